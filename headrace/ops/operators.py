"""Python's operators on tensors and variables, installed from one table.

Two eager tensors of one dtype, or a float tensor and a Python number, go straight to the kernel
while nobody records; all else takes the common way through `apply`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import bool as bool_dtype
from headrace.core.context import modes
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.tensor import EagerTensor, Tensor, new, wrap
from headrace.core.variable import Variable
from headrace.ops import compare, elementwise, gather, matmul, strided_slice

ndarray = np.ndarray


def forward(
    function: Callable[..., Any], strict: bool = False, op: Any = None, name: str | None = None
) -> Callable[[Any, Any], Any]:
    """The method `x OP y` for a public function of two inputs.

    Args:
        strict: whether `y` must fit x's dtype (comparisons); else a misfit is the op's error.
        op: the record whose kernel is tried first (default: that of the function).
        name: what the node is called in a graph.
    """
    table = (op or function.op).table  # type: ignore[attr-defined]

    def method(x: Any, y: Any) -> Any:
        kind = x.__class__
        if (kind is EagerTensor or kind is Variable) and not modes:
            a = x._array
            dtype = a.dtype
            kind = y.__class__
            if kind is EagerTensor or kind is Variable:
                b = y._array
                fits = b.dtype is dtype
            else:
                b = y
                fits = (kind is float or kind is int) and dtype.kind == "f"
                fits = fits or (kind is int and dtype.kind == "i")
            if fits:
                try:
                    array = table[dtype](a, b)
                except Exception:
                    return function(x, y)
                if array.__class__ is not ndarray:
                    array = np.asarray(array)
                tensor = new(EagerTensor)
                tensor._array = array
                tensor._uid = None
                return tensor
        if strict and not isinstance(y, (Tensor, Variable)):
            y = convert(y, x.dtype)
        return function(x, y, name)

    return method


elementwise.add.op.hinted = True  # type: ignore[attr-defined]


def times(x: Any, y: Any, name: str | None = None) -> Any:
    """`x * y` off the fast path: of two bools it is `x & y`."""
    try:
        return apply(times.op, (x, y), name=name)  # type: ignore[attr-defined]
    except errors.InvalidArgumentError:
        if x.dtype is bool_dtype:
            return compare.logical_and(x, convert(y, bool_dtype))
        raise


times.op = elementwise.multiply.op  # type: ignore[attr-defined]


def backward(
    function: Callable[..., Any], op: Any = None, name: str | None = None
) -> Callable[[Any, Any], Any]:
    """The method `y OP x` for a public function of two inputs; y takes x's dtype."""
    swapped = forward(function, op=op, name=name)

    def method(x: Any, y: Any) -> Any:
        if y.__class__ is not EagerTensor:
            y = convert(y, x.dtype)
        return swapped(y, x)

    return method


def equal(x: Any, y: Any) -> Any:
    """`x == y`: element by element; False where the two cannot be compared at all."""
    return _equality(compare.equal, x, y, False)


def not_equal(x: Any, y: Any) -> Any:
    """`x != y`: element by element; True where the two cannot be compared at all."""
    return _equality(compare.not_equal, x, y, True)


def _equality(function: Callable[..., Any], x: Any, y: Any, otherwise: bool) -> Any:
    if y is None:
        return otherwise
    if not isinstance(y, (Tensor, Variable)):
        y = convert(y, x.dtype)
    try:
        return function(x, y)
    except errors.InvalidArgumentError as error:
        if "Incompatible shapes" not in error.message:
            raise
        return wrap(np.array(otherwise))


def _logical(
    logical: Callable[..., Any], bitwise: Callable[..., Any]
) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    def method(x: Any, y: Any) -> Any:
        if not isinstance(y, (Tensor, Variable)):
            y = convert(y, x.dtype)
        return (logical if x.dtype is bool_dtype else bitwise)(x, y)

    return method, lambda x, y: method(convert(y, x.dtype), x)


def _invert(x: Any) -> Any:
    return compare.logical_not(x) if x.dtype is bool_dtype else compare.invert(x)


def _rmatmul(x: Any, y: Any) -> Any:
    return matmul.matmul(convert(y, x.dtype), x, name="matmul")


def _table() -> dict[str, Callable[..., Any]]:
    e, c = elementwise, compare
    methods: dict[str, Callable[..., Any]] = {
        "__lt__": forward(c.less, strict=True),
        "__le__": forward(c.less_equal, strict=True),
        "__gt__": forward(c.greater, strict=True),
        "__ge__": forward(c.greater_equal, strict=True),
        "__eq__": equal,
        "__ne__": not_equal,
        "__neg__": lambda x: e.negative(x),
        "__abs__": lambda x: e.absolute(x),
        "__invert__": _invert,
        "__matmul__": lambda x, y: matmul.matmul(x, y, name="matmul"),
        "__rmatmul__": _rmatmul,
        "__truediv__": forward(e.truediv, op=e.divide_real.op),
        "__rtruediv__": backward(e.truediv, op=e.divide_real.op),
        "__getitem__": strided_slice.getitem,
    }
    for name, function in (
        ("add", e.add),
        ("sub", e.subtract),
        ("mul", times),
        ("floordiv", e.floordiv),
        ("mod", e.floormod),
        ("pow", e.power),
    ):
        methods[f"__{name}__"] = forward(function, name=name)
        methods[f"__r{name}__"] = backward(function, name=name)
    for name, logical, bitwise in (
        ("and", c.logical_and, c.bitwise_and),
        ("or", c.logical_or, c.bitwise_or),
        ("xor", c.logical_xor, c.bitwise_xor),
    ):
        methods[f"__{name}__"], methods[f"__r{name}__"] = _logical(logical, bitwise)
    return methods


def sparse_read(self: Any, indices: Any, name: str | None = None) -> Any:
    """The rows of the variable that `indices` names; their gradient is `tf.IndexedSlices`."""
    return gather.gather(self, indices)


def gather_nd(self: Any, indices: Any, name: str | None = None) -> Any:
    """The elements or slices of the variable that the last axis of `indices` names."""
    return gather.gather_nd(self, indices)


def install() -> None:
    """Give `Tensor` and `Variable` their operators."""
    methods = _table()
    for name, method in methods.items():
        setattr(Tensor, name, method)
        setattr(Variable, name, method)
    Variable.sparse_read, Variable.gather_nd = sparse_read, gather_nd  # type: ignore
    Variable.__getitem__ = strided_slice.getitem_of_variable
    Tensor.OVERLOADABLE_OPERATORS = frozenset(methods)


install()
