"""`while` and `for`: Python's, or `tf.while_loop` where a tensor decides.

A `while` loop is the graph's if its condition is a tensor; one whose condition becomes a tensor
later is unrolled up to there. A `for` loop is the graph's if it goes over a tensor, or over an
object that knows how (see `Iterable`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from headrace.base import nest
from headrace.base.dtypes import int32
from headrace.base.lazy import lazy_module
from headrace.base.shapes import TensorShape
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops import compare as comparisons
from headrace.ops import gather, shapes
from headrace.trace.autograph.carry import (
    blank,
    check_invariant,
    check_iteration,
    is_opaque,
    scratch,
)
from headrace.trace.autograph.errors import (
    MIXED_FOR,
    NONRETURNING,
    PendingReturn,
    Undefined,
    UndefinedReturn,
)
from headrace.trace.autograph.operators import condition, is_staged

control = lazy_module("headrace.trace.control")
GetState = Callable[[], tuple[Any, ...]]
SetState = Callable[[Sequence[Any]], None]
Options = dict[str, Any]


class Iterable(Protocol):
    """What an object needs so that a `for` loop over it becomes the graph's.

    Attributes:
        element_spec: structure of `tf.TensorSpec`s, the form of one element.
    """

    element_spec: Any

    def __autograph_for__(
        self,
        initial: tuple[Any, ...],
        step: Callable[[tuple[Any, ...], Any], tuple[Any, ...]],
        keep_going: Callable[[tuple[Any, ...]], Any] | None,
    ) -> tuple[Any, ...]:
        """Run `carried = step(carried, element)` for each element, in order.

        Args:
            initial: tensors (or structures of them) that the first step is given.
            step: makes the ops of one iteration.
            keep_going: after a step, whether there is to be another: a bool scalar; None if
                the loop always goes to the end.
        Returns: what the last step returned; `initial` if there was none.
        """
        ...


# While


def while_stmt(
    test: Callable[[], Any],
    body: Callable[[], None],
    get_state: GetState,
    set_state: SetState,
    names: tuple[str, ...],
    options: Options,
) -> None:
    """A `while` loop.

    Args:
        test: computes the condition.
        body: runs an iteration.
        get_state, set_state: read and write the variables that the loop may change.
        names: what these are called.
        options: what `set_loop_options` was given.
    """
    going = scratch(test)
    while not is_staged(going):
        if not going:
            return
        body()
        going = test()
    _Carried(body, get_state, set_state, names, options).loop(test)


class _Carried:
    """The variables of a staged loop: which are carried, and how they look.

    Variables that have no value before the loop get one of the right form, which an iteration
    on trial shows. Objects that a graph cannot hold, and that the loop leaves as they are,
    are not carried.
    """

    def __init__(
        self,
        body: Callable[..., None],
        get_state: GetState,
        set_state: SetState,
        names: tuple[str, ...],
        options: Options,
        trial: Callable[[], None] | None = None,
    ) -> None:
        self.body, self.names = body, names
        self.get_state, self.set_state = get_state, set_state
        self.options = options
        self.values: list[Any] = list(get_state())
        self.carried = [not is_opaque(value) for value in self.values]
        self.invariants = self._invariants()
        if not all(self.carried):
            self._try(trial or body)

    def _try(self, trial: Callable[[], None]) -> None:
        """Run an iteration on trial, to see what the variables without a value will be."""
        before = self.values
        entry = [PendingReturn() if isinstance(v, UndefinedReturn) else v for v in before]
        after = scratch(lambda: self._trial(trial, entry))
        self.set_state(before)
        for position, name in enumerate(self.names):
            if not self.carried[position]:
                self._complete(position, name, after[position])

    def _trial(self, trial: Callable[[], None], entry: list[Any]) -> list[Any]:
        self.set_state(
            [
                nest.map_structure(_as_symbol, value) if carried else value
                for value, carried in zip(entry, self.carried, strict=True)
            ]
        )
        trial()
        return list(self.get_state())

    def _complete(self, position: int, name: str, after: Any) -> None:
        before = self.values[position]
        missing = before is None or isinstance(before, Undefined)
        if isinstance(after, UndefinedReturn):
            return
        if isinstance(after, Undefined):
            raise ValueError(f"'{name}' must be defined before the loop")
        if missing and not is_opaque(after):
            self.values[position] = blank(after)
            self.carried[position] = True
            if self.invariants[position] is None:
                self.invariants[position] = _shapes(after)
        elif after is not before:
            if isinstance(before, UndefinedReturn):
                raise NotImplementedError(NONRETURNING)
            raise TypeError(
                f"Failed to convert elements of {after!r} to Tensor. Consider casting elements "
                "to a supported type. See https://www.tensorflow.org/api_docs/python/tf/dtypes "
                "for supported TF dtypes."
            )

    def _invariants(self) -> list[Any]:
        """The shapes that the user has promised, by variable."""
        given = self.options.get("shape_invariants") or ()
        found: list[Any] = [None] * len(self.values)
        for tensor, shape in given:
            for position, value in enumerate(self.values):
                if value is tensor:
                    found[position] = TensorShape(shape)
                    check_invariant(self.names[position], value, shape)
        return found

    # Packing

    def pack(self, values: Sequence[Any]) -> list[Any]:
        """The carried ones of the values of all variables."""
        return [v for v, carried in zip(values, self.carried, strict=True) if carried]

    def restore(self, packed: Sequence[Any]) -> None:
        """Give all variables their values again, the carried ones those given."""
        rest = iter(packed)
        self.set_state(
            [
                next(rest) if carried else value
                for value, carried in zip(self.values, self.carried, strict=True)
            ]
        )

    def step(self, packed: Sequence[Any], *element: Any) -> list[Any]:
        """Make the ops of one iteration; returns the carried values after it."""
        self.restore(packed)
        entry = list(self.get_state())
        self.body(*element)
        after = self.get_state()
        rows = zip(self.names, entry, after, self.invariants, self.carried, strict=True)
        for name, one, two, invariant, carried in rows:
            if carried:
                check_iteration(name, one, two, invariant)
        return self.pack(after)

    # Loops

    def loop(self, test: Callable[[], Any]) -> None:
        """`while test()`."""

        def going() -> Any:
            return condition(test(), "while loop")

        self.run((), lambda own: going(), lambda own, packed: ((), self.step(packed)))

    def run(
        self,
        own: tuple[Any, ...],
        going: Callable[[tuple[Any, ...]], Any],
        step: Callable[[tuple[Any, ...], Sequence[Any]], tuple[tuple[Any, ...], list[Any]]],
    ) -> tuple[Any, ...]:
        """A `tf.while_loop` over values of the loop's own and the carried ones.

        Args:
            own: the loop's own values (a counter).
            going: whether there is another iteration, from the loop's own values.
            step: one iteration; returns the loop's own values and the carried ones after it.
        Returns: the loop's own values after the last iteration.
        """
        packed = self.pack(self.values)
        count = len(own)
        if not own and not packed:
            own = (convert(0),)

        def test(*values: Any) -> Any:
            self.restore(values[len(own) :])
            return going(values[:count])

        def body(*values: Any) -> tuple[Any, ...]:
            mine, after = step(values[:count], values[len(own) :])
            return (*(mine or values[: len(own)]), *after)

        promised = self.pack(self.invariants)
        options: Options = {}
        if any(shape is not None for shape in promised):
            shapes_ = [shape or _shapes(v) for shape, v in zip(promised, packed, strict=True)]
            options["shape_invariants"] = (*map(_shapes, own), *shapes_)
        after = control.while_loop(
            test,
            body,
            (*own, *packed),
            parallel_iterations=self.options.get("parallel_iterations", 10),
            swap_memory=self.options.get("swap_memory", False),
            maximum_iterations=self.options.get("maximum_iterations"),
            **options,
        )
        self.restore(after[len(own) :])
        return tuple(after[:count])


def _as_symbol(leaf: Any) -> Any:
    """A number as the tensor that it will be in the loop."""
    if isinstance(leaf, (Tensor, Variable)) or state.graph is None:
        return leaf
    try:
        return state.graph.constant(convert(leaf)._array)
    except (AttributeError, TypeError, ValueError):
        return leaf


def _shapes(value: Any) -> Any:
    def shape(leaf: Any) -> TensorShape:
        return TensorShape(()) if hasattr(leaf, "_with_flow") else convert(leaf).shape

    return nest.map_structure(shape, value)


# For


def for_stmt(
    iterated: Any,
    extra_test: Callable[[], Any] | None,
    body: Callable[[Any], None],
    get_state: GetState,
    set_state: SetState,
    names: tuple[str, ...],
    options: Options,
) -> None:
    """A `for` loop.

    Args:
        iterated: what the loop goes over.
        extra_test: whether to go on after an iteration (False after a `break`), or None.
        body: runs an iteration with an element.
        get_state, set_state: read and write the variables that the loop may change.
        names: what these are called.
        options: what `set_loop_options` was given.
    """
    source = _source(iterated)
    if source is None:
        _python_for(iterated, extra_test, body)
        return
    carried = _Carried(
        body, get_state, set_state, names, options, lambda: body(source.example())
    )
    source.run(carried, extra_test)


def _python_for(
    iterated: Any, extra_test: Callable[[], Any] | None, body: Callable[[Any], None]
) -> None:
    if extra_test is None:
        for item in iterated:
            body(item)
        return
    for item in iterated:
        body(item)
        going = extra_test()
        if is_staged(going):
            raise NotImplementedError(MIXED_FOR)
        if not going:
            return


def _source(iterated: Any) -> Any:
    """What makes a staged loop over an object; None if Python's loop is the right one."""
    if state.graph is None:
        return None
    if isinstance(iterated, Variable):
        iterated = iterated.value()
    if isinstance(iterated, Symbol) and iterated.node.op.name == "Range":
        return _Range(iterated)
    if isinstance(iterated, Tensor):
        return _Rows(iterated)
    if isinstance(iterated, Numbered):
        rows = _source(iterated.iterated)
        return None if rows is None else _Numbered(rows, iterated.start)
    if isinstance(iterated, Together):
        return _Together([_source(part) for part in iterated.parts])
    if hasattr(type(iterated), "__autograph_for__"):
        return _Own(iterated)
    return None


class _Counted:
    """A source of which the number of elements, and each element by its number, are known."""

    def count(self) -> Any:
        """The number of elements: int, or int32 scalar."""
        raise NotImplementedError

    def element(self, index: Any) -> Any:
        """The element at an index (int32 scalar)."""
        raise NotImplementedError

    def example(self) -> Any:
        """An element for the iteration on trial."""
        self.count()
        return self.element(_as_symbol(0))

    def run(self, carried: _Carried, extra_test: Callable[[], Any] | None) -> None:
        """Make the loop."""
        limit = convert(self.count())

        def going(own: tuple[Any, ...]) -> Any:
            within = own[0] < limit
            return (
                within if extra_test is None else comparisons.logical_and(within, extra_test())
            )

        def step(own: tuple[Any, ...], packed: Sequence[Any]) -> Any:
            return (own[0] + 1,), carried.step(packed, self.element(own[0]))

        carried.run((convert(0),), going, step)


def length(tensor: Tensor) -> Any:
    """The size of the first axis: int, or an int32 scalar if only the run will tell.

    Raises:
        ValueError: the tensor has no axis.
    """
    if tensor.shape.rank == 0:
        shape = shapes.shape(tensor)
        raise ValueError(f"len requires a non-scalar tensor, got one of shape {shape}")
    known = tensor.shape[0] if tensor.shape.rank else None
    return shapes.shape(tensor)[0] if known is None else known


class _Rows(_Counted):
    """The slices of a tensor along its first axis."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def count(self) -> Any:
        return length(self.tensor)

    def element(self, index: Any) -> Any:
        return gather.gather(self.tensor, index)


class _Range(_Rows):
    """The numbers of a `tf.range`, which are computed one by one."""

    def count(self) -> Any:
        start, limit, delta = self.tensor.node.inputs  # type: ignore[attr-defined]
        step = _known(delta)
        counted = self.tensor.shape[0] is None and limit.dtype.is_integer and step is not None
        if not counted or not step:
            return super().count()  # the range itself says what is wrong with it
        if _known(start) == 0 and step == 1:
            return cast_.cast(limit, int32)
        rounds = -((start - limit) // delta)
        return cast_.cast(elementwise.maximum(rounds, 0), int32)

    def element(self, index: Any) -> Any:
        start, _, delta = self.tensor.node.inputs  # type: ignore[attr-defined]
        value = cast_.cast(index, start.dtype)
        if _known(delta) != 1:
            value = value * delta
        return value if _known(start) == 0 else start + value


def _known(tensor: Any) -> Any:
    """The value of a scalar of a graph, if it is known."""
    return tensor.spec.value if isinstance(tensor, Symbol) else tensor._array


class _Numbered(_Counted):
    """`enumerate` of another source."""

    def __init__(self, rows: _Counted, start: Any) -> None:
        self.rows, self.start = rows, start

    def count(self) -> Any:
        return self.rows.count()

    def element(self, index: Any) -> Any:
        return index + self.start, self.rows.element(index)


class _Together(_Counted):
    """`zip` of other sources."""

    def __init__(self, parts: list[_Counted]) -> None:
        self.parts = parts

    def count(self) -> Any:
        counts = [part.count() for part in self.parts]
        if all(isinstance(count, int) for count in counts):
            return min(counts)
        return functools_.reduce(elementwise.minimum, counts)

    def element(self, index: Any) -> Any:
        return tuple(part.element(index) for part in self.parts)


class _Own:
    """An object that makes its loop itself (`Iterable`)."""

    def __init__(self, iterated: Any) -> None:
        self.iterated = iterated

    def example(self) -> Any:
        """An element for the iteration on trial."""
        graph = state.graph
        return nest.map_structure(
            lambda spec: graph.placeholder(spec.dtype, _dims(spec.shape)),
            self.iterated.element_spec,
        )

    def run(self, carried: _Carried, extra_test: Callable[[], Any] | None) -> None:
        """Make the loop."""

        def step(packed: tuple[Any, ...], element: Any) -> tuple[Any, ...]:
            return tuple(carried.step(packed, element))

        def going(packed: tuple[Any, ...]) -> Any:
            carried.restore(packed)
            return condition(extra_test(), "for loop")  # type: ignore[misc]

        packed = nest.map_structure(convert, tuple(carried.pack(carried.values)))
        keep_going = None if extra_test is None else going
        carried.restore(self.iterated.__autograph_for__(packed, step, keep_going))


def _dims(shape: Any) -> Any:
    return None if shape.rank is None else tuple(shape.as_list())


class Numbered:
    """What `enumerate` gives for a tensor of a graph."""

    def __init__(self, iterated: Any, start: Any = 0) -> None:
        self.iterated, self.start = iterated, start

    def __iter__(self) -> Any:
        return iter(enumerate(self.iterated, self.start))


class Together:
    """What `zip` gives for tensors of a graph."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = parts

    def __iter__(self) -> Any:
        return iter(zip(*self.parts, strict=False))


cast_ = lazy_module("headrace.ops.cast")
elementwise = lazy_module("headrace.ops.elementwise")
functools_ = lazy_module("functools")
__all__ = ["Iterable", "Numbered", "Together", "for_stmt", "length", "while_stmt"]
