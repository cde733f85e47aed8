"""Tensors: `Tensor` is what users see, `EagerTensor` holds a value.

A tensor is immutable and knows no ops: `ops/operators.py` installs `+`, `@`, `[...]` from one
table. Storage is any array that speaks NumPy's protocols; a 0-d result is an array too. The
symbolic kind, which has no value, stands in `core/graph.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from headrace.base.dtypes import DType, as_dtype, from_numpy, variant
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.context import DEVICE

next_uid = itertools.count(1).__next__
"""Gives the identities by which tapes and graphs tell tensors apart."""

_EAGER_ABSENT = ("name", "op", "graph", "value_index")
_NUMPY_METHODS = frozenset("T astype ravel transpose reshape clip size tolist data".split())


@export("Tensor")
class Tensor:
    """A multi-dimensional array of one dtype; immutable.

    Made by `tf.constant`, `tf.convert_to_tensor` and by every op.

    >>> t = tf.constant([[1., 2.], [3., 4.]])
    >>> t.shape, t.dtype
    (TensorShape([2, 2]), tf.float32)
    """

    __slots__ = ("__weakref__", "_uid")
    _uid: int | None
    __array_priority__ = 100
    OVERLOADABLE_OPERATORS: frozenset[str] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("A tf.Tensor is made by tf.constant, tf.convert_to_tensor or an op.")

    def __hash__(self) -> int:
        raise TypeError("Tensor is unhashable. Instead, use tensor.ref() as the key.")

    @property
    def dtype(self) -> DType:
        """The type of the elements, a `tf.DType`."""
        raise NotImplementedError

    @property
    def shape(self) -> TensorShape:
        """The shape, a `tf.TensorShape`."""
        raise NotImplementedError

    @property
    def ndim(self) -> int | None:
        """The number of dimensions."""
        return self.shape.ndims

    def get_shape(self) -> TensorShape:
        """The shape, a `tf.TensorShape` (older spelling of `shape`)."""
        return self.shape

    def ref(self) -> Reference:
        """A hashable reference that compares by identity; `.deref()` gives the tensor back."""
        return Reference(self)


class Reference:
    """A hashable handle on a tensor or variable: equal to another of the same object."""

    __slots__ = ("_object",)

    def __init__(self, wrapped: Any) -> None:
        self._object = wrapped

    def deref(self) -> Any:
        """The object that is referred to."""
        return self._object

    def __hash__(self) -> int:
        return id(self._object)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._object is other._object

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._object!r}>"


class EagerTensor(Tensor):
    """A tensor that holds its value. Made by `wrap(array)`, never by its constructor."""

    __slots__ = ("__dict__", "_array")

    _array: np.ndarray

    @property
    def dtype(self) -> DType:
        return from_numpy[self._array.dtype]

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._array.shape)

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def device(self) -> str:
        """The device that holds the value, in TensorFlow's full spelling."""
        return DEVICE

    @property
    def backing_device(self) -> str:
        """The device that holds the memory, in TensorFlow's full spelling."""
        return DEVICE

    @property
    def is_tensor_like(self) -> bool:
        return True

    def set_shape(self, shape: Any) -> None:
        """Check that `shape` is compatible with this tensor's; a value's shape is fixed."""
        if not self.shape.is_compatible_with(shape):
            raise ValueError(
                f"Tensor's shape {self.shape} is not compatible with supplied shape "
                f"{TensorShape(shape)}."
            )

    def numpy(self) -> Any:
        """A copy of the value: an array, or for a scalar what NumPy calls a scalar."""
        array = self._array
        return array.copy() if array.ndim else array[()]

    def cpu(self) -> EagerTensor:
        """This tensor in the memory of the CPU."""
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype=dtype, copy=True if copy is None else copy)

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("Scalar tensor has no `len()`")
        return len(self._array)

    def __iter__(self) -> Iterator[EagerTensor]:
        if not self._array.ndim:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[i] for i in range(len(self._array)))  # type: ignore[index]

    def __bool__(self) -> bool:
        return bool(self._array) if self._array.size else False

    def __int__(self) -> int:
        return int(self._array.real if self._array.dtype.kind == "c" else self._array)

    def __float__(self) -> float:
        return float(self._array.real if self._array.dtype.kind == "c" else self._array)

    def __complex__(self) -> complex:
        return complex(self._array)

    def __index__(self) -> int:
        array = self._array
        return array.__index__() if array.ndim else array[()].__index__()

    def __round__(self, digits: int | None = None) -> Any:
        item: Any = self._array[()]
        return round(item, digits) if digits is not None else round(float(self))

    def __format__(self, spec: str) -> str:
        return format(self.numpy() if not self._array.ndim else self._array, spec)

    def __str__(self) -> str:
        text = _value_text(self._array)
        return f"tf.Tensor({text}, shape={self.shape}, dtype={self.dtype.name})"

    def __repr__(self) -> str:
        return (
            f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, "
            f"numpy={value_repr(self._array)}>"
        )

    def __copy__(self) -> EagerTensor:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> EagerTensor:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._array, self.dtype.name)

    def __buffer__(self, flags: int) -> memoryview:
        """The value's memory, not to be written to (Python 3.12 and later ask for it)."""
        return self._array.data.toreadonly()

    def consumers(self) -> Any:
        """The ops that use this tensor: only a graph knows."""
        raise NotImplementedError(
            "Tensor.consumers is undefined when eager execution is enabled."
        )

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """The value in a session: there is none, and the value is here."""
        raise NotImplementedError(
            "eval is not supported when eager execution is enabled, is .numpy() what you're "
            "looking for?"
        )

    def __dlpack__(self, **options: Any) -> Any:
        """Hand the value to another library without a copy (DLPack protocol)."""
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __getattr__(self, name: str) -> Any:
        if name in _EAGER_ABSENT:
            raise AttributeError(f"Tensor.{name} is undefined when eager execution is enabled.")
        if name in _NUMPY_METHODS:
            raise AttributeError(
                f"EagerTensor object has no attribute {name!r}. NumPy's attributes "
                f"are those of its value: t.numpy().{name}"
            )
        raise AttributeError(f"'EagerTensor' object has no attribute {name!r}")


new = object.__new__


def wrap(array: np.ndarray) -> EagerTensor:
    """An eager tensor around `array`, which nobody may change from now on."""
    tensor = new(EagerTensor)
    tensor._array = array
    tensor._uid = None
    return tensor


class Handle:
    """Base of values that are no arrays: lists of tensors, and what else a program hands on."""

    __slots__ = ()

    dtype = variant.np
    shape: tuple[int, ...] = ()
    ndim = 0
    nbytes = 0


def as_array(value: Any) -> Any:
    """What a kernel returned, as an array: NumPy gives scalars and objects for 0-d results."""
    if value.__class__ is np.ndarray or value is None or isinstance(value, Handle):
        return value
    if isinstance(value, (bytes, str)):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    return np.asarray(value)


def value_repr(array: np.ndarray) -> str:
    """The text after `numpy=` in the repr of a tensor or variable."""
    text = repr(array) if array.ndim else _scalar_text(array)
    return "\n" + text if "\n" in text else text


def _value_text(array: np.ndarray) -> str:
    text = str(array) if array.ndim else _scalar_text(array)
    return "\n" + text if "\n" in text else text


def _scalar_text(array: np.ndarray) -> str:
    item = array[()]
    if isinstance(item, bytes):
        return repr(item)
    text = str(item)
    return text if array.dtype.kind != "V" or not text.lstrip("-").isdigit() else text + ".0"


def _restore(array: np.ndarray, dtype: str) -> EagerTensor:
    return wrap(array.astype(as_dtype(dtype).np, copy=False))
