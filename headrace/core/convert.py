"""From Python values to tensors, by TensorFlow's rules.

Python integers become int32 (int64 where they need it), floats float32, arrays keep their
dtype, text becomes UTF-8 bytes. Nothing is guessed: a sequence must be rectangular and of one
kind. An object that knows better defines `__tf_tensor__(dtype, name)`, as variables do.
Read `core/tensor.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.base.dtypes import DType, as_dtype, float32, from_numpy, int32, int64, kernel_name
from headrace.base.dtypes import string as string_dtype
from headrace.base.shapes import TensorShape
from headrace.core.tensor import EagerTensor, Tensor, wrap

CONVERTERS: list[tuple[int, type | tuple[type, ...], Callable[..., Any]]] = []
_NON_RECTANGULAR = "Can't convert non-rectangular Python sequence to Tensor."
_MIXED = "Can't convert Python sequence with mixed types to Tensor."
_OUT_OF_RANGE = "Can't convert Python sequence with out-of-range integer to Tensor."
_TOO_LARGE = (
    "Can't convert Python sequence with a value out of range for a double-precision float."
)
_NUMPY_NAMES = {
    "M": "NPY_DATETIME",
    "m": "NPY_TIMEDELTA",
    "f": "NPY_LONGDOUBLE",
    "c": "NPY_CLONGDOUBLE",
}


class _Hooks:
    """What `ops` provides, recorded on tapes: stacking, and rows into a dense tensor."""

    pack: Callable[[list[Any]], Tensor]
    cast: Callable[[Any, DType], Tensor]
    densify: Callable[[Any], Tensor]
    conjugate: Callable[[Any], Tensor]
    reduce_sum: Callable[..., Tensor]
    range_of_rank: Callable[[Any], Tensor]
    slice: Callable[..., Tensor]
    concat: Callable[..., Tensor]
    ones: Callable[..., Tensor]
    ones_like: Callable[[Any], Tensor]
    range: Callable[..., Tensor]
    reduce_prod: Callable[..., Tensor]


hooks = _Hooks()


def convert(value: Any, dtype: DType | None = None, hint: DType | None = None) -> Tensor:
    """`value` as a tensor.

    Args:
        value: tensor, variable, array, number, text, or (nested) sequence of these.
        dtype: the dtype it must have; numbers are converted, tensors must have it already.
        hint: the dtype it should have if the value allows it.
    Raises:
        TypeError, ValueError: as `tf.convert_to_tensor` does.
    """
    kind = value.__class__
    if kind is float or kind is int:
        wanted = dtype or hint
        if wanted is not None and (wanted.is_floating or (wanted is int64 and _is_long(value))):
            return wrap(np.array(value, wanted.np))
    elif isinstance(value, Tensor):
        if dtype is not None and value.dtype != dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
                f"{value.dtype.name}: {value!r}"
            )
        return value
    special = getattr(value, "__tf_tensor__", None)
    if special is not None and not isinstance(value, type):
        return special(dtype)
    if CONVERTERS:
        result = _registered(value, dtype)
        if result is not None:
            return result
    listed = isinstance(value, (list, tuple)) and _holds_tensor(value)
    if hint is not None and dtype is None and not listed:
        try:
            return wrap(to_array(value, hint))
        except (TypeError, ValueError):
            pass
    if listed:
        return _packed(value, dtype or hint)
    return wrap(to_array(value, dtype))


def _is_long(value: Any) -> bool:
    return value.__class__ is int and -(1 << 63) <= value < 1 << 63


def to_array(value: Any, dtype: DType | None = None) -> np.ndarray:
    """`value` (no tensors inside) as a fresh array of TensorFlow's dtype for it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_array(np.asarray(value), dtype)
    if isinstance(value, (bool, int, float, complex, str, bytes)):
        return _from_leaves(value, value, dtype)
    if isinstance(value, (list, tuple, range)):
        return _from_leaves(value, _first_leaf(value), dtype)
    if isinstance(value, TensorShape):
        if not value.is_fully_defined():
            raise ValueError(
                f"Cannot convert a partially known TensorShape {value} to a Tensor."
            )
        return np.array(value.as_list(), dtype=np.int32 if dtype is None else dtype.np)
    if hasattr(value, "__array__"):
        return _from_array(np.asarray(value), dtype)
    if isinstance(value, memoryview | bytearray):
        items = list(value)
        return _from_leaves(items, _first_leaf(items), dtype)
    if hasattr(value, "__len__") and hasattr(value, "__getitem__") and not _mapping(value):
        items = [value[i] for i in range(len(value))]
        return _from_leaves(items, _first_leaf(items), dtype)
    raise _unsupported(value)


def _mapping(value: Any) -> bool:
    return hasattr(value, "keys") or isinstance(value, (set, frozenset))


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple, range)):
        if not len(value):
            return None
        value = value[0]
    return value


def _from_array(array: np.ndarray, dtype: DType | None) -> np.ndarray:
    kind = array.dtype.kind
    if kind in "USO":
        if dtype is not None and dtype != string_dtype:
            return array.astype(dtype.np)
        return _text_array(array)
    if array.dtype not in from_numpy:
        array = array.astype(array.dtype.newbyteorder("=")) if kind in "biufc" else array
    if array.dtype not in from_numpy:
        name = _NUMPY_NAMES.get(kind)
        problem = f"Unsupported numpy type: {name}" if name else "Unsupported numpy data type"
        raise ValueError(f"Failed to convert a NumPy array to a Tensor ({problem}).")
    if dtype is None or dtype.np is array.dtype:
        return np.array(array, order="C")
    if dtype == string_dtype:
        item = type(array.dtype.type().item()).__name__
        raise ValueError(
            f"Failed to convert a NumPy array to a Tensor (Unsupported object type {item})."
        )
    return np.array(array.astype(dtype.np), order="C")


def _text_array(array: np.ndarray) -> np.ndarray:
    result = np.empty(array.shape, dtype=object)
    flat = result.reshape(-1)
    for i, item in enumerate(array.reshape(-1)):
        if isinstance(item, str):
            item = item.encode()
        elif not isinstance(item, bytes):
            raise ValueError(
                "Failed to convert a NumPy array to a Tensor (Unsupported object type "
                f"{type(item).__name__})."
            )
        flat[i] = bytes(item)
    return result


def _from_leaves(value: Any, leaf: Any, dtype: DType | None) -> np.ndarray:
    """An array from Python scalars (nested sequences of them); `leaf` is the first."""
    if isinstance(leaf, (str, bytes)):
        return _from_text(value, dtype)
    try:
        array = np.array(value)
    except ValueError:
        raise ValueError(_rectangular_error(value)) from None
    except OverflowError:
        raise ValueError(_OUT_OF_RANGE) from None
    kind = array.dtype.kind
    if kind == "O" or (kind not in "biufc" and array.dtype not in from_numpy):
        raise _not_numeric(value, leaf, array)
    if leaf is None:
        if array.size:
            raise _unsupported(None)
        return array.astype((dtype or float32).np)
    if isinstance(leaf, (bool, np.bool_)) and kind != "b":
        raise ValueError(_MIXED)
    if dtype is not None:
        return _cast_leaves(value, array, dtype)
    if kind == "c" and isinstance(leaf, (int, float)):
        raise ValueError(_MIXED)
    if kind == "b":
        return array
    if kind in "iu":
        if isinstance(leaf, (np.generic, np.ndarray)) and kind == "u":
            return array
        if array.dtype == np.uint64:
            raise ValueError(_OUT_OF_RANGE)
        small = array.astype(np.int32)
        return small if array.dtype.itemsize <= 4 or np.array_equal(small, array) else array
    if isinstance(leaf, (np.generic, np.ndarray)) and leaf.dtype.kind == kind:
        return array.astype(leaf.dtype, copy=False)
    return _single(array) if kind == "f" else array


def _single(array: np.ndarray) -> np.ndarray:
    """Python floats as float32; one that does not fit is refused."""
    result = array.astype(np.float32)
    if np.isinf(result).any() and not np.array_equal(np.isinf(result), np.isinf(array)):
        raise ValueError(_TOO_LARGE)
    return result


def _cast_leaves(value: Any, array: np.ndarray, dtype: DType) -> np.ndarray:
    order = "biufc"
    target = dtype.np
    rank = "f" if dtype.is_floating else target.kind
    source = array.dtype.kind
    legal = rank in order and source in order
    if legal and not (source == "b" or rank == "b"):
        legal = (source in "iu" and rank in "iufc") or order.index(source) <= order.index(rank)
    if not legal or (rank == "b" and source != "b"):
        raise TypeError(
            f"Cannot convert {value!r} to EagerTensor of dtype {kernel_name(dtype)}"
        )
    return array.astype(target)


def _from_text(value: Any, dtype: DType | None) -> np.ndarray:
    if dtype is not None and dtype != string_dtype:
        raise TypeError(
            f"Cannot convert {value!r} to EagerTensor of dtype {kernel_name(dtype)}"
        )
    shape = _text_shape(value)
    result = np.empty(shape, dtype=object)
    flat = result.reshape(-1)
    for i, item in enumerate(_leaves(value)):
        if not isinstance(item, (str, bytes)):
            raise ValueError(_MIXED)
        flat[i] = item.encode() if isinstance(item, str) else bytes(item)
    return result


def _text_shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        return ()
    shapes = {_text_shape(item) for item in value}
    if len(shapes) > 1:
        raise ValueError(_NON_RECTANGULAR)
    return (len(value), *(shapes.pop() if shapes else ()))


def _leaves(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _rectangular_error(value: Any) -> str:
    first = value[0] if len(value) else None
    if not isinstance(first, (list, tuple)) and not isinstance(first, np.ndarray):
        return _MIXED
    return _NON_RECTANGULAR


def _not_numeric(value: Any, leaf: Any, array: np.ndarray) -> Exception:
    if array.dtype.kind in "US":
        return ValueError(_MIXED)
    plain = (bool, int, float, complex, str, bytes, np.generic)
    if not isinstance(leaf, plain):
        return _unsupported(leaf)
    if all(isinstance(item, plain) for item in _leaves(value)):
        return ValueError(_OUT_OF_RANGE)
    return ValueError(_MIXED)


def _unsupported(value: Any) -> Exception:
    return ValueError(
        f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) "
        "to a Tensor."
    )


def _holds_tensor(value: Any) -> bool:
    for item in value:
        if isinstance(item, Tensor) or hasattr(item, "__tf_tensor__"):
            return True
        if isinstance(item, (list, tuple)) and _holds_tensor(item):
            return True
    return False


def _packed(value: Any, dtype: DType | None) -> Tensor:
    """A list with tensors inside: converted one by one, then stacked by the `Pack` op.

    The tensors are cast to a dtype that is asked for, or only hoped for, as in TensorFlow.
    """
    wanted = dtype
    if dtype is None:
        dtype = next((t.dtype for t in _leaves(value) if hasattr(t, "dtype")), None)
    items = [convert(item, None, dtype) for item in value]
    if wanted is not None:
        items = [item if item.dtype == wanted else hooks.cast(item, wanted) for item in items]
    if any(item.shape.rank != items[0].shape.rank for item in items):
        raise ValueError(_NON_RECTANGULAR)
    return hooks.pack(items)


def _registered(value: Any, dtype: DType | None) -> Tensor | None:
    for _, base, function in CONVERTERS:
        if isinstance(value, base):
            result = function(value, dtype=dtype, name=None, as_ref=False)
            if result is not NotImplemented:
                return convert(result, dtype)
    return None


def static(value: Any) -> Any:
    """A value that decides a shape as Python ints: int, tuple of ints, or None if unknown.

    Args:
        value: int, sequence of ints, array, or tensor (eager ones are read; symbolic ones whose
            value is not known are returned as they are, for the graph to carry).
    """
    if value is None or value.__class__ is int or value.__class__ is tuple:
        return value
    if isinstance(value, EagerTensor):
        value = value._array
    elif isinstance(value, Tensor):
        known = value.spec.value  # type: ignore[attr-defined]
        if not isinstance(known, np.ndarray):
            return value
        value = known
    elif hasattr(value, "__tf_tensor__"):
        return static(convert(value))
    if isinstance(value, (np.ndarray, np.generic)):
        items = value.tolist()
        return tuple(items) if isinstance(items, list) else items
    if hasattr(value, "as_list"):
        return tuple(value.as_list())
    if isinstance(value, (list, tuple, range)):
        return tuple(static(item) for item in value)
    return value.__index__()


def natural_dtype(value: Any) -> DType:
    """The dtype that `value` would get as a tensor."""
    found = getattr(value, "dtype", None)
    return as_dtype(found) if found is not None else convert(value).dtype


__all__ = ["convert", "hooks", "natural_dtype", "static", "to_array", "int32", "int64"]
