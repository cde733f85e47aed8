"""Functions over the slices of tensors: `tf.map_fn`, `tf.scan`, `tf.foldl`, `tf.foldr`,
`tf.vectorized_map`.

The slices are those along the first axis. Eagerly Python's loop runs over them; in a graph a
`tf.while_loop` reads them from TensorArrays, and writes results into others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.base import errors, nest
from headrace.base.dtypes import DType, as_dtype
from headrace.base.export import export
from headrace.base.shapes import Dims, as_tuple
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.scopes import name_scope
from headrace.core.type_spec import TensorSpec
from headrace.ops.compare import where
from headrace.ops.create import zeros
from headrace.ops.reduce import reduce_max
from headrace.ops.reshape import stop_gradient
from headrace.ops.shapes import shape
from headrace.trace.control import while_loop
from headrace.trace.function import function
from headrace.trace.tensor_array import TensorArray

Function = Callable[..., Any]
Body = Callable[[Any, list[Any]], Sequence[Any]]


@export("map_fn")
def map_fn(
    fn: Function,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """`fn` of each slice of `elems` along the first axis, stacked.

    Args:
        fn: function of one slice, in the structure of `elems`.
        elems: tensor `[n, ...]`, or structure of such tensors with the same `n`.
        dtype: older spelling of `fn_output_signature`.
        parallel_iterations, swap_memory: how TensorFlow would schedule the work; the result
            does not depend on them.
        back_prop: False lets no gradient through.
        infer_shape: whether all results must have one shape.
        name: of the operation in a graph.
        fn_output_signature: dtype or `tf.TensorSpec` of the result, or structure of them
            (by default the structure and dtypes of `elems`).
    Returns: tensor `[n, ...]`, or a structure of them like what `fn` returns.
    Raises: TypeError: `fn` is no function. ValueError: no tensors, scalars, different sizes, or
        a result of another structure.

    >>> tf.map_fn(lambda x: x * x, tf.constant([1, 2, 3])).numpy()
    array([1, 4, 9], dtype=int32)
    >>> tf.map_fn(lambda x: tf.reduce_sum(x) / 2, tf.constant([[1, 2], [3, 4]]),
    ...           fn_output_signature=tf.float64).numpy()
    array([1.5, 3.5])
    """
    _check_function(fn)
    signature = dtype if fn_output_signature is None else fn_output_signature
    with name_scope(name or "map"):
        tensors = _tensors(elems)
        if not tensors:
            raise ValueError(
                "elems must be a Tensor or (possibly nested) sequence of Tensors. Got "
                f"{elems}, which does not contain any Tensors."
            )
        if any(t.shape.rank == 0 for t in tensors):
            raise ValueError("Elements in elems must be 1+ dimensional Tensors, not scalars")
        count = _common_size(tensors)
        form = elems if signature is None else signature
        promised = tensors if signature is None else nest.flatten(form)
        slices = _slices(tensors, count)
        results = [
            TensorArray(d, count, infer_shape=infer_shape, element_shape=dims)
            for dims, d in map(_result_spec, promised)
        ]

        def step(i: Any, written: list[Any]) -> list[Any]:
            result = fn(nest.pack_sequence_as(elems, [ta.read(i) for ta in slices]))
            nest.assert_same_structure(form, result)
            pairs = zip(written, nest.flatten(result), strict=True)
            return [ta.write(i, value) for ta, value in pairs]

        stacked = [ta.stack() for ta in _repeated(0, count, step, results)]
        return nest.pack_sequence_as(form, _with_gradient(stacked, back_prop))


def _check_function(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"The provided function {fn!r} is not callable. fn must be callable.")


def _tensors(elems: Any) -> list[Any]:
    return [convert(x) for x in nest.flatten(elems)]


def _result_spec(form: Any) -> tuple[Dims, DType]:
    """The shape and dtype that a result is promised to have; `form` may be a tensor like it."""
    if hasattr(form, "node") or hasattr(form, "numpy"):
        return None, form.dtype
    if hasattr(form, "shape") and hasattr(form, "dtype"):
        return as_tuple(form.shape), form.dtype
    return None, as_dtype(form)


def _common_size(tensors: Sequence[Any]) -> Any:
    """The size of the first axis: an int, or a symbolic scalar.

    Raises:
        ValueError: the sizes differ.
    """
    size = None
    for tensor in tensors:
        own = _first_size(tensor)
        if None not in (size, own) and size != own:
            raise ValueError(f"Dimensions {size} and {own} are not compatible")
        size = own if size is None else size
    return shape(tensors[0])[0] if size is None else size


def _first_size(tensor: Any) -> int | None:
    dims = as_tuple(tensor.shape)
    return None if dims is None else dims[0]


def _slices(tensors: Sequence[Any], count: Any) -> list[TensorArray]:
    return [TensorArray(t.dtype, count, clear_after_read=False).unstack(t) for t in tensors]


def _with_gradient(tensors: Sequence[Any], back_prop: bool) -> list[Any]:
    return list(tensors) if back_prop else [stop_gradient(t) for t in tensors]


def _repeated(begin: int, end: Any, step: Body, values: Sequence[Any]) -> list[Any]:
    """`values = step(i, values)` for i from `begin` to `end`."""
    if state.graph is None:
        current = list(values)
        for i in range(begin, int(end)):
            current = list(step(i, current))
        return current
    results = while_loop(
        lambda i, *_: i < end,
        lambda i, *current: [i + 1, *step(i, list(current))],
        [begin, *values],
        name="while",
    )
    return list(results[1:])


class _Fold:
    """What scans and folds have in common: elements in their order, and where they begin."""

    def __init__(self, fn: Function, elems: Any, initializer: Any, reverse: bool) -> None:
        _check_function(fn)
        self.fn, self.elems, self.reverse = fn, elems, reverse
        tensors = _tensors(elems)
        if any(t.shape.rank == 0 for t in tensors):
            raise IndexError("tuple index out of range: elems must have 1 or more dimensions")
        self.count = _first_size(tensors[0])
        if self.count is None:
            self.count = shape(tensors[0])[0]
        self._slices = _slices(tensors, self.count)
        if initializer is None:
            self.form, self.begin = elems, 1
            at = self.count - 1 if reverse else 0
            self.start = [ta.read(at) for ta in self._slices]
        else:
            self.form, self.begin = initializer, 0
            self.start = _tensors(initializer)

    def place(self, i: Any) -> Any:
        """Where the element that comes as number `i` stands."""
        return self.count - 1 - i if self.reverse else i

    def after(self, i: Any, values: Sequence[Any]) -> list[Any]:
        """The values after element number `i`."""
        at = self.place(i)
        element = nest.pack_sequence_as(self.elems, [ta.read(at) for ta in self._slices])
        result = self.fn(nest.pack_sequence_as(self.form, list(values)), element)
        nest.assert_same_structure(self.form, result)
        return [convert(value) for value in nest.flatten(result)]

    def packed(self, tensors: Sequence[Any], back_prop: bool) -> Any:
        """Results in their structure."""
        return nest.pack_sequence_as(self.form, _with_gradient(tensors, back_prop))


@export("scan")
def scan(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All values of `a = fn(a, x)`, for `x` over the slices of `elems` along the first axis.

    Args:
        fn: function of the value so far and one slice that gives the next value.
        elems: tensor `[n, ...]`, or structure of such tensors with the same `n`.
        initializer: the first value; without it that is the first slice.
        parallel_iterations, swap_memory: how TensorFlow would schedule the work; the result
            does not depend on them.
        back_prop: False lets no gradient through.
        infer_shape: whether all values must have one shape.
        reverse: whether to begin with the last slice.
        name: of the operation in a graph.
    Returns: tensor `[n, ...]`, or a structure of them like what `fn` returns.
    Raises: TypeError: `fn` is no function. ValueError: it changes the structure or the shape.

    >>> tf.scan(lambda a, x: a + x, tf.constant([1, 2, 3, 4])).numpy()
    array([ 1,  3,  6, 10], dtype=int32)
    """
    with name_scope(name or "scan"):
        fold = _Fold(fn, elems, initializer, reverse)
        width = len(fold.start)
        written = [
            TensorArray(
                a.dtype,
                fold.count,
                infer_shape=infer_shape,
                element_shape=as_tuple(a.shape) if infer_shape else None,
            )
            for a in fold.start
        ]
        if fold.begin:
            pairs = zip(written, fold.start, strict=True)
            written = [ta.write(fold.place(0), a) for ta, a in pairs]

        def step(i: Any, values: list[Any]) -> list[Any]:
            after = fold.after(i, values[:width])
            at = fold.place(i)
            rows = zip(values[width:], after, strict=True)
            return [*after, *(ta.write(at, a) for ta, a in rows)]

        found = _repeated(fold.begin, fold.count, step, [*fold.start, *written])
        return fold.packed([ta.stack() for ta in found[width:]], back_prop)


@export("foldl")
def foldl(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last value of `a = fn(a, x)`, for `x` over the slices of `elems` from the first on.

    Args:
        fn: function of the value so far and one slice that gives the next value.
        elems: tensor `[n, ...]`, or structure of such tensors with the same `n`.
        initializer: the first value; without it that is the first slice.
        parallel_iterations, swap_memory: how TensorFlow would schedule the work; the result
            does not depend on them.
        back_prop: False lets no gradient through.
        name: of the operation in a graph.
    Returns: tensor or structure like what `fn` returns.
    Raises: TypeError: `fn` is no function. ValueError: it changes the structure.

    >>> int(tf.foldl(lambda a, x: 10 * a + x, tf.constant([1, 2, 3])))
    123
    """
    with name_scope(name or "foldl"):
        fold = _Fold(fn, elems, initializer, reverse=False)
        found = _repeated(fold.begin, fold.count, fold.after, fold.start)
        return fold.packed(found, back_prop)


@export("foldr")
def foldr(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last value of `a = fn(a, x)`, for `x` over the slices of `elems` from the last on.

    Args:
        fn: function of the value so far and one slice that gives the next value.
        elems: tensor `[n, ...]`, or structure of such tensors with the same `n`.
        initializer: the first value; without it that is the last slice.
        parallel_iterations, swap_memory: how TensorFlow would schedule the work; the result
            does not depend on them.
        back_prop: False lets no gradient through.
        name: of the operation in a graph.
    Returns: tensor or structure like what `fn` returns.
    Raises: TypeError: `fn` is no function. ValueError: it changes the structure.

    >>> int(tf.foldr(lambda a, x: 10 * a + x, tf.constant([1, 2, 3])))
    321
    """
    with name_scope(name or "foldr"):
        fold = _Fold(fn, elems, initializer, reverse=True)
        found = _repeated(fold.begin, fold.count, fold.after, fold.start)
        return fold.packed(found, back_prop)


@export("vectorized_map")
def vectorized_map(
    fn: Function, elems: Any, fallback_to_while_loop: bool = True, warn: bool = True
) -> Any:
    """`fn` of each slice of `elems` along the first axis, stacked.

    Unlike `tf.map_fn` it needs no signature, and tensors whose first axis has size 1 are used
    for all slices. The slices are worked on one after the other.

    Args:
        fn: function of one slice, in the structure of `elems`; what it returns for one slice
            must not have other shapes than for another.
        elems: tensor `[n, ...]`, or structure of such tensors with the same `n`, or 1.
        fallback_to_while_loop: whether a loop may do the work; it always does.
        warn: whether TensorFlow would warn of that.
    Returns: tensor `[n, ...]`, or a structure of them like what `fn` returns.
    Raises: IndexError: scalars. InvalidArgumentError: different sizes.

    >>> tf.vectorized_map(lambda x: x[0] * x[1], (tf.constant([1, 2, 3]), tf.constant([10])))
    <tf.Tensor: shape=(3,), dtype=int32, numpy=array([10, 20, 30], dtype=int32)>
    """
    tensors = _tensors(elems)
    if any(t.shape.rank == 0 for t in tensors):
        raise IndexError("list index out of range: elems must have 1 or more dimensions")
    known = [_first_size(t) for t in tensors]
    if None in known:
        count = reduce_max([shape(t)[0] for t in tensors])
    else:
        count = max(known)  # type: ignore[type-var]
        for n in known:
            if n not in (1, count):
                raise errors.invalid_argument(f"indices[{n}] = {n} is not in [0, {n})")
    slices = [
        TensorArray(t.dtype, shape(t)[0] if n is None else n, clear_after_read=False).unstack(t)
        for t, n in zip(tensors, known, strict=True)
    ]

    traced = fn if hasattr(fn, "get_concrete_function") else function(fn)
    form = traced.get_concrete_function(_slice_specs(elems, tensors)).structured_outputs
    found = [x for x in nest.flatten(form) if x is not None]
    results = [TensorArray(x.dtype, count, element_shape=as_tuple(x.shape)) for x in found]

    def step(i: Any, written: list[Any]) -> list[Any]:
        parts = [_slice(ta, i, n) for ta, n in zip(slices, known, strict=True)]
        result = traced(nest.pack_sequence_as(elems, parts))
        leaves = [x for x in nest.flatten(result) if x is not None]
        return [ta.write(i, x) for ta, x in zip(written, leaves, strict=True)]

    if count.__class__ is int and not count:
        stacked = [
            zeros((0, *(d or 0 for d in as_tuple(x.shape) or ())), x.dtype) for x in found
        ]
    else:
        stacked = [ta.stack() for ta in _repeated(0, count, step, results)]
    rest = iter(stacked)
    return nest.map_structure(lambda leaf: None if leaf is None else next(rest), form)


def _slice(held: TensorArray, i: Any, size: int | None) -> Any:
    """A slice; the only one there is serves for all."""
    if size == 1:
        return held.read(0)
    return held.read(i if size is not None else where(held.size() > 1, i, 0))


def _none_of(tensor: Any) -> tuple[int, ...]:
    """The shape of no tensors like this one, stacked."""
    return (0, *(d or 0 for d in as_tuple(tensor.shape) or ()))


def _slice_specs(elems: Any, tensors: Sequence[Any]) -> Any:
    """The specs of the slices, in the structure of `elems`."""
    specs = [TensorSpec(t.shape[1:], t.dtype) for t in tensors]
    return nest.pack_sequence_as(elems, specs)


__all__ = ["foldl", "foldr", "map_fn", "scan", "vectorized_map"]
