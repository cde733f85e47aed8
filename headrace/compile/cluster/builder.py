"""`c` for whole programs: what `compile/loops/builder.py` has, and memory that changes.

A `State` is what a handle of a variable is to a rule; a carry is a buffer that a loop hands
from round to round. Both are written while views that were made of them may still wait to be
evaluated: `lowering.py` sees to it that those are stored before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np

from headrace.base.dtypes import DType, from_numpy
from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine, stride
from headrace.compile.loops.builder import Builder, nest, stores
from headrace.compile.loops.checks import divisions
from headrace.compile.loops.expr import Apply, Choose, Const, Expr, Index, Load, operands
from headrace.compile.loops.lower import CannotLower
from headrace.compile.loops.operations import FLOAT_FUNCTIONS
from headrace.compile.loops.verify import verify
from headrace.compile.loops.views import Stored, View, ravel
from headrace.compile.passes.program import Node

HEAVY = 15
"""So many additions cost as much as a function such as exp."""
_FUNCTIONS = frozenset(FLOAT_FUNCTIONS) - {"abs", "floor", "ceil", "rint", "trunc", "sqrt"}


class State:
    """A variable, as a rule sees it: memory that `c.read` and `c.assign` mean."""

    def __init__(self, buffer: ir.Buffer) -> None:
        self.buffer = buffer
        self.shape, self.dtype = buffer.shape, buffer.dtype


class Random(NamedTuple):
    """The random state of one node: three words, which the caller provides and takes back."""

    buffer: ir.Buffer
    node: Node


class ProgramBuilder(Builder):
    """`c`: what the rules of a program's nodes write with.

    Attributes:
        constants: arrays that the program reads, with their buffers.
        randoms: the random states that it draws from.
        sources: the node that each failure of the program comes from.
        paths: where each node is: names of nodes, and which of their bodies, that lead there.
        mutable: the buffers that are written more than once, by id.
        tested: the nodes whose views have been tested for all their elements.
        current: the lowering of which a rule is being applied.
    """

    def __init__(self) -> None:
        super().__init__()
        self.constants: list[tuple[ir.Buffer, np.ndarray]] = []
        self.randoms: list[Random] = []
        self.sources: list[Node] = []
        self.paths: dict[Node, tuple[tuple[str, int], ...]] = {}
        self._said_by: dict[int, tuple[ir.Failure, Node]] = {}
        self._evaluated: Node | None = None
        self.mutable: set[int] = set()
        self.tested: set[Node] = set()
        self.current: Any = None
        self._constant_views: dict[int, View] = {}

    # Memory that changes

    def refuse(self, reason: str) -> NoReturn:
        """The node can't become native code.

        Raises:
            CannotLower: that.
        """
        raise CannotLower(reason)

    def fresh(self, letter: str) -> str:
        """A name that nothing else in the program has."""
        return self._name(letter)

    def read(self, state: State) -> View:
        """The elements of a variable as they are now."""
        return Stored(state.buffer)

    def assign(self, state: State, view: View) -> tuple[()]:
        """Give a variable other elements."""
        self.write(state.buffer, view)
        return ()

    def write(self, buffer: ir.Buffer, view: View, at: Sequence[Expr] = ()) -> None:
        """Store a view in a buffer, or in its part at the leading indices `at`.

        The view may read the buffer itself: if it does so at other places than the one that is
        written, it is stored elsewhere first.
        """
        index = self._indices(view.shape)
        with self._stage("map", index) as body:
            value = view.element(index)
            found = stores(buffer, (*at, *index), value)
            if not at and not _in_place(buffer, found):
                apart = self._buffer(view.shape, view.dtype)
                found = stores(apart, index, value)
                view = Stored(apart)
            body += nest(index, found)
        if found[0].buffer is not buffer:
            self.write(buffer, view, at)

    def scatter_into(
        self,
        combine: str,
        state: State,
        extents: Sequence[int],
        place: Callable[..., Sequence[Any]],
        updates: View,
    ) -> tuple[()]:
        """Combine each element of `updates` into element `place(*i)` of a variable, in order.

        Args:
            combine: as in `scatter`; the dtype is one that is computed in itself.
            extents: the shape of `updates`.
            place: gives an index of the variable; what it checks is checked before any write.
        """
        updates = self.apart(updates, state.buffer)
        steps = self._indices(extents)
        with self._stage("scatter", steps) as body:
            offset = ravel(tuple(place(*steps)), state.shape)
            value = updates.element(steps)
            body += nest(steps, self._combine_into(combine, state.buffer, offset, value))
        return ()

    def apart(self, view: View, buffer: ir.Buffer) -> View:
        """The view, or a copy of it if it reads a buffer that is about to change."""
        with self._trial():
            value = view.element(self._indices(view.shape))
        read = any(load.buffer is buffer for load in _loads(_parts(value)))
        return self._stored(view) if read else view

    def store(self, view: View) -> View:
        """The same view, computed once into memory that lies as what it is made of lies."""
        order = None if isinstance(view, Stored) else self._order(view)
        if order is None:
            return super().store(view)
        back = [order.index(d) for d in range(view.rank)]
        turned = self.map(
            [view.shape[d] for d in order],
            view.dtype,
            lambda *i: view[tuple(i[k] for k in back)],
        )
        stored = self._stored(turned)
        return self.map(view.shape, view.dtype, lambda *i: stored[tuple(i[d] for d in order)])

    def _order(self, view: View) -> list[int] | None:
        """The order of dimensions in which what a view reads lies, if that is another one."""
        index = self._indices(view.shape)
        with self._trial():
            value = view.element(index)
        orders = set()
        for load in _loads(_parts(value)):
            if prod(load.buffer.shape) >= view.size:
                steps = [stride(load.offset, i) if isinstance(i, Index) else 0 for i in index]
                if None in steps:
                    return None
                known = [(-abs(step or 0), d) for d, step in enumerate(steps)]
                orders.add(tuple(d for _, d in sorted(known)))
        (order,) = orders if len(orders) == 1 else [()]
        return list(order) if order and order[-1] != view.rank - 1 else None

    def carry(self, shape: Sequence[int], dtype: DType) -> ir.Buffer:
        """Memory that is written more than once."""
        buffer = self._buffer(shape, dtype)
        self.mutable.add(id(buffer))
        return buffer

    def copied(self, view: View) -> View:
        """The elements that a view has now, in memory of their own."""
        return self._stored(view)

    # What may fail

    def test(self, view: View) -> bool:
        """Test now what all elements of a view demand, however many of them will be read.

        Returns:
            False where nothing was tested, since divisors are only when elements are stored.
        """
        index = self._indices(view.shape)
        with self._trial() as checks:
            value = view.element(index)
        if view.size and any(divisions(x) for x in _parts(value)):
            return False
        if checks:
            self._emit_checks(checks, index)
            self.tested.add(self._node())
        return True

    def check(
        self, condition: Expr, message: str, *values: Any, error: str = "invalid_argument"
    ) -> None:
        """As for a single op; what was tested for all elements is not tested again."""
        if self._evaluated not in self.tested:
            super().check(condition, message, *values, error=error)

    def _failure(self, failure: ir.Failure) -> int:
        """The number of what a check says, which belongs to the node that is lowered now."""
        node = self._said_by.get(id(failure), (failure, self._node()))[1]
        for number, known in enumerate(zip(self._failures, self.sources, strict=True), 1):
            if known == (failure, node):
                return number
        self._failures.append(failure)
        self.sources.append(node)
        return len(self._failures)

    def _said(self, error: str, message: str) -> ir.Failure:
        failure = super()._said(error, message)
        self._said_by[id(failure)] = (failure, self._node())
        return failure

    def _node(self) -> Node:
        """The node whose rule is being applied, or whose view is being evaluated."""
        lowering = self.current
        return self._evaluated or lowering.program.nodes[lowering.now]

    def map(self, shape: Sequence[int], dtype: DType, fn: Callable[..., Any]) -> View:
        """A view, which remembers the node that it belongs to."""
        node = self._node()

        def element(*index: Expr) -> Any:
            before, self._evaluated = self._evaluated, node
            try:
                return fn(*index)
            finally:
                self._evaluated = before

        return super().map(shape, dtype, element)

    # Constants

    def constant(self, array: np.ndarray) -> View:
        """An array as a view: a number if all elements are the same, else memory."""
        found = self._constant_views.get(id(array))
        if found is None:
            found = self._constant_views[id(array)] = self._of_array(array)
        return found

    def _of_array(self, array: np.ndarray) -> View:
        dtype = from_numpy[array.dtype]
        flat = np.ascontiguousarray(array).reshape(-1)
        if not flat.size or _uniform(flat):
            return self.fill(array.shape, dtype, flat[0].item() if flat.size else 0)
        buffer = ir.Buffer(self._name("k"), array.shape, dtype)
        self.constants.append((buffer, flat.reshape(array.shape)))
        return Stored(buffer)

    # Steps

    @contextmanager
    def steps(self) -> Iterator[list[ir.Step]]:
        """What is written inside comes into a list of its own."""
        inner: list[ir.Step] = []
        outer = self._stages
        self._stages = inner
        try:
            yield inner
        finally:
            self._stages = outer

    def step(self, step: ir.Step) -> None:
        """Add a step."""
        self._stages.append(step)

    # What views cost

    def cost(self, view: View) -> int:
        """About how many operations one element takes beyond loading and moving."""
        if isinstance(view, Stored):
            return 0
        with self._trial():
            value = view.element(self._indices(view.shape))
        total, seen = 0, set()
        stack = [*_parts(value)]
        while stack:
            x = stack.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if isinstance(x, Choose):
                total += 2
            elif isinstance(x, Apply) and x.dtype is not ir.INDEX:
                total += HEAVY if x.name in _FUNCTIONS else 4 if x.name == "div" else 1
            stack.extend(operands(x))
        return total

    # The end

    def program(
        self,
        name: str,
        inputs: Sequence[ir.Buffer],
        states: Sequence[ir.Buffer],
        results: Sequence[View],
    ) -> ir.Loops:
        """The program whose outputs are `results`; constants follow the inputs."""
        outputs: list[ir.Buffer] = []
        foreign = {id(b) for b in (*inputs, *states)}
        foreign |= {id(buffer) for buffer, _ in self.constants}
        for view in results:
            if not isinstance(view, Stored) or id(view.buffer) in foreign:
                view = self._stored(view)
            elif view.buffer.shape != view.shape or view.buffer in outputs:
                view = self._stored(self.map(view.shape, view.dtype, _elements(view)))
            outputs.append(view.buffer)
        taken = {id(b) for b in outputs}
        rest = tuple([b for b in self._temporaries if id(b) not in taken])
        return verify(
            ir.Loops(
                name,
                (*inputs, *[buffer for buffer, _ in self.constants]),
                tuple(outputs),
                rest,
                tuple(self._stages),
                tuple(self._failures),
                (*states, *[random.buffer for random in self.randoms]),
            )
        )


def _elements(view: View) -> Callable[..., Any]:
    return lambda *index: view.element(index)


def _parts(value: Any) -> tuple[Expr, ...]:
    return (value,) if isinstance(value, Expr) else (value.re, value.im)


def _uniform(flat: np.ndarray) -> bool:
    """Whether all elements are the same number, and one that a text can hold."""
    first = flat[:1]
    if flat.dtype.kind not in "biufc" and flat.dtype.itemsize != 2:
        return False
    same = bool((flat.view(f"V{flat.itemsize}") == first.view(f"V{flat.itemsize}")).all())
    wide = np.complex128 if flat.dtype.kind == "c" else np.float64
    return same and (flat.dtype.kind in "biu" or bool(np.isfinite(first.astype(wide))[0]))


def _loads(values: Sequence[Expr]) -> Iterator[Load]:
    """The loads in some expressions."""
    seen: set[int] = set()
    stack = [*values]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Load):
            yield x
        stack.extend(operands(x))


def _in_place(buffer: ir.Buffer, found: Sequence[ir.Store]) -> bool:
    """Whether stores load from the buffer that they write only what they then write over."""
    seen: set[int] = set()
    place = affine(found[0].offset)
    stack = [store.value for store in found]
    while stack:
        x = stack.pop()
        if id(x) in seen or isinstance(x, Const):
            continue
        seen.add(id(x))
        if isinstance(x, Load) and x.buffer is buffer:
            if len(found) > 1 or not place.equals(affine(x.offset)):
                return False
        stack.extend(operands(x))
    return True
