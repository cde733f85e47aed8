"""Data types: `tf.DType`, one object for each.

A DType names how an element is stored (`np`, a NumPy dtype) and what it is called in each place:
by users (`float32`), in TensorFlow's error texts (`float`), in its files (an enum). DTypes are
singletons; the fast way from an array's dtype is the dict `from_numpy`.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from headrace.base.export import export, export_value


@export("dtypes.DType", "DType")
class DType:
    """The type of a tensor's elements.

    >>> tf.float32.is_floating, tf.float32.size, tf.as_dtype("int8").max
    (True, 4, 127)
    """

    __slots__ = ("_name", "_np", "_enum", "_kind")

    def __init__(self, name: str, storage: Any, enum: int, kind: str) -> None:
        self._name, self._np, self._enum, self._kind = name, np.dtype(storage), enum, kind

    @property
    def name(self) -> str:
        """The name, as `float32`."""
        return self._name

    @property
    def np(self) -> np.dtype:
        """The NumPy dtype of the storage (strings: objects)."""
        return self._np

    @property
    def as_numpy_dtype(self) -> type:
        """The NumPy scalar type."""
        return self._np.type

    @property
    def as_datatype_enum(self) -> int:
        """The number of this type in TensorFlow's files."""
        return self._enum

    @property
    def is_floating(self) -> bool:
        """Whether it is a real floating-point type."""
        return self._kind == "f"

    @property
    def is_complex(self) -> bool:
        """Whether it is a complex type."""
        return self._kind == "c"

    @property
    def is_integer(self) -> bool:
        """Whether it is an integer type (bool is none)."""
        return self._kind in "iu"

    @property
    def is_unsigned(self) -> bool:
        """Whether it is an unsigned integer type."""
        return self._kind == "u"

    @property
    def is_bool(self) -> bool:
        """Whether it is the type of truth values."""
        return self._kind == "b"

    @property
    def is_quantized(self) -> bool:
        """Whether it is one of TensorFlow's quantized types."""
        return False

    @property
    def is_numeric(self) -> bool:
        """Whether it is a number type."""
        return self._kind in "fciu"

    @property
    def is_numpy_compatible(self) -> bool:
        """Whether NumPy arrays can hold it."""
        return self._kind != "r"

    @property
    def base_dtype(self) -> DType:
        """This type (reference types do not exist any more)."""
        return self

    @property
    def real_dtype(self) -> DType:
        """The type of the real part: float32 for complex64."""
        return {"complex64": float32, "complex128": float64}.get(self._name, self)

    @property
    def size(self) -> int:
        """The bytes that one element takes (1 for strings)."""
        return 1 if self._kind in "sr" else self._np.itemsize

    @property
    def min(self) -> Any:
        """The smallest value of a number type."""
        return self._limit("min")

    @property
    def max(self) -> Any:
        """The largest value of a number type."""
        return self._limit("max")

    @property
    def limits(self) -> tuple[Any, Any]:
        """The smallest and the largest value."""
        return self.min, self.max

    def _limit(self, which: str) -> Any:
        if self._kind == "b":
            return which == "max"
        if self._kind == "f":
            return getattr(ml_dtypes.finfo(self._np), which)
        if self._kind in "iu":
            return int(getattr(ml_dtypes.iinfo(self._np), which))
        verb = "minimum" if which == "min" else "maximum"
        raise TypeError(f"Cannot find {verb} value of {self}.")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor of `other` can be used where this type is asked for."""
        return self is as_dtype(other)

    def is_subtype_of(self, other: Any) -> bool:
        """Whether this is `other`."""
        return self is other

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._enum

    def __repr__(self) -> str:
        return f"tf.{self._name}"

    def __str__(self) -> str:
        return f"<dtype: {self._name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self._name,)

    def __copy__(self) -> DType:
        return self

    def __deepcopy__(self, memo: Any) -> DType:
        return self


float16 = half = DType("float16", np.float16, 19, "f")
float32 = DType("float32", np.float32, 1, "f")
float64 = double = DType("float64", np.float64, 2, "f")
bfloat16 = DType("bfloat16", ml_dtypes.bfloat16, 14, "f")
complex64 = DType("complex64", np.complex64, 8, "c")
complex128 = DType("complex128", np.complex128, 18, "c")
int8 = DType("int8", np.int8, 6, "i")
int16 = DType("int16", np.int16, 5, "i")
int32 = DType("int32", np.int32, 3, "i")
int64 = DType("int64", np.int64, 9, "i")
uint8 = DType("uint8", np.uint8, 4, "u")
uint16 = DType("uint16", np.uint16, 17, "u")
uint32 = DType("uint32", np.uint32, 22, "u")
uint64 = DType("uint64", np.uint64, 23, "u")
bool = DType("bool", np.bool_, 10, "b")  # noqa: A001
string = DType("string", object, 7, "s")
resource = DType("resource", object, 20, "r")
variant = DType("variant", object, 21, "r")

FLOATS = frozenset({float16, bfloat16, float32, float64})
COMPLEX = frozenset({complex64, complex128})
SIGNED = frozenset({int8, int16, int32, int64})
UNSIGNED = frozenset({uint8, uint16, uint32, uint64})
INTS = SIGNED | UNSIGNED
REALS = FLOATS | INTS
NUMERIC = REALS | COMPLEX
ALL = NUMERIC | {bool, string}

from_numpy: dict[Any, DType] = {dtype.np: dtype for dtype in ALL}
_BY_NAME: dict[str, DType] = {dtype.name: dtype for dtype in (*ALL, resource, variant)}
_ALIASES: dict[Any, DType] = {
    "half": float16,
    "float": float32,
    "double": float64,
    float: float32,
    int: int64,
    complex: complex128,
    str: string,
    bytes: string,
    object: string,
    type(True): bool,
}
_KERNEL_NAMES = {"float32": "float", "float64": "double", "float16": "half"}

for _name, _dtype in _BY_NAME.items():
    export_value(f"dtypes.{_name}", _dtype)
    export_value(_name, _dtype)
for _name in ("half", "double"):
    export_value(f"dtypes.{_name}", _ALIASES[_name])
    export_value(_name, _ALIASES[_name])


@export("dtypes.as_dtype", "as_dtype")
def as_dtype(type_value: Any) -> DType:
    """The DType for a DType, a name, a NumPy or Python type, or one of TensorFlow's enums.

    Raises:
        TypeError: nothing that names a type of tensors.

    >>> tf.as_dtype("float"), tf.as_dtype(int)
    (tf.float32, tf.int64)
    """
    if isinstance(type_value, DType):
        return type_value
    try:
        found = _BY_NAME.get(type_value) or _ALIASES.get(type_value)
    except TypeError:
        found = None
    if found is not None:
        return found
    if type_value.__class__ is int:
        for dtype in _BY_NAME.values():
            if dtype.as_datatype_enum == type_value:
                return dtype
    try:
        storage = np.dtype(type_value) if type_value is not None else None
    except TypeError:
        storage = None
    if storage in from_numpy:
        return from_numpy[storage]
    if storage is not None and storage.kind in "SUO":
        return string
    if hasattr(type_value, "dtype"):
        return as_dtype(type_value.dtype)
    raise TypeError(
        f"Cannot convert the argument `type_value`: {type_value!r} to a TensorFlow DType."
    )


def kernel_name(dtype: DType) -> str:
    """The dtype's name in TensorFlow's error texts: `float` for float32."""
    return _KERNEL_NAMES.get(dtype.name, dtype.name)
