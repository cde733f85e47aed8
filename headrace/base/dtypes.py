"""Data types: `tf.DType`, one object for each.

A DType names how an element is stored (`np`, a NumPy dtype) and what it is called in each
place: by users (`float32`), in TensorFlow's error texts (`float`), in its files (a number).
DTypes are singletons, so `is` compares them. The fast way from an array's dtype is the dict
`from_numpy`.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np

from headrace.base.export import export, export_value


@export("dtypes.DType", "DType")
class DType:
    """The type of a tensor's elements.

    Args:
        type_enum: TensorFlow's number of the type; `tf.as_dtype` takes names and types too.
    Raises:
        TypeError: no type has this number.

    >>> tf.float32.is_floating, tf.float32.size, tf.as_dtype("int8").max
    (True, 4, 127)
    """

    __slots__ = {
        "name": "The name, as `float32`.",
        "np": "The NumPy dtype of the storage (strings: objects).",
        "as_numpy_dtype": "The NumPy scalar type (quantized types: a structured dtype).",
        "as_datatype_enum": "The number of this type in TensorFlow's files.",
        "size": "The bytes that one element takes (0 if that is not fixed).",
        "is_floating": "Whether it is a real floating-point type.",
        "is_complex": "Whether it is a complex type.",
        "is_integer": "Whether it is an integer type (bool and quantized types are none).",
        "is_unsigned": "Whether it is an unsigned integer type.",
        "is_bool": "Whether it is the type of truth values.",
        "is_quantized": "Whether it is one of TensorFlow's quantized types.",
        "is_numeric": "Whether it is a number type with arithmetic (8-bit floats have none).",
        "is_numpy_compatible": "Whether NumPy has arrays of it.",
        "base_dtype": "This type; of a reference type, the type that it refers to.",
    }
    name: str
    np: np.dtype
    as_numpy_dtype: Any
    as_datatype_enum: int
    size: int
    is_floating: builtins.bool
    is_complex: builtins.bool
    is_integer: builtins.bool
    is_unsigned: builtins.bool
    is_bool: builtins.bool
    is_quantized: builtins.bool
    is_numeric: builtins.bool
    is_numpy_compatible: builtins.bool
    base_dtype: DType

    def __new__(cls, type_enum: int) -> DType:
        found = _KNOWN.get(int(type_enum))
        if found is None:
            raise TypeError(f"{type_enum} does not correspond to a valid tensorflow::DataType")
        return found

    @property
    def real_dtype(self) -> DType:
        """The type of the real part: float32 for complex64."""
        if not self.is_complex:
            return self
        return float32 if self.base_dtype is complex64 else float64

    @property
    def min(self) -> Any:
        """The smallest value of a number type.

        Raises:
            TypeError: the type has none.
        """
        return self._extreme("min", "minimum")

    @property
    def max(self) -> Any:
        """The largest value of a number type.

        Raises:
            TypeError: the type has none.
        """
        return self._extreme("max", "maximum")

    @property
    def limits(self) -> tuple[Any, Any]:
        """The values between which TensorFlow scales images of this type: `(0, 255)` of uint8.

        Raises:
            ValueError: the type has none.
        """
        if self.base_dtype in (float32, float64):
            return 0, 1
        if self.is_bool:
            return 0, True
        if self.is_integer and self.is_numeric:
            return 0, self.max
        raise ValueError(f"{self} does not have defined limits.")

    def _extreme(self, which: str, word: str) -> Any:
        if self.is_floating:
            return getattr(ml_dtypes.finfo(self.np), which)
        if self.is_integer:
            return int(getattr(ml_dtypes.iinfo(self.np), which))
        why = f" with quantized type {self}" if self.is_quantized else f" with type {self}"
        if not self.is_numpy_compatible:
            why = ""
        raise TypeError(f"Cannot find {word} value of {self}{why}.")

    def is_compatible_with(self, other: Any) -> builtins.bool:
        """Whether a tensor of type `other` can be used where this type is asked for."""
        other = as_dtype(other)
        return self is other or self is other.base_dtype

    def is_subtype_of(self, other: Any) -> builtins.bool:
        """Whether this type is `other`."""
        return self == other

    def most_specific_common_supertype(self, types: Iterable[Any]) -> DType | None:
        """This type if all of `types` are the same, else None."""
        return self if all(self == other for other in types) else None

    @property
    def _is_ref_dtype(self) -> builtins.bool:
        return self.base_dtype is not self

    @property
    def _as_ref(self) -> DType:
        return _KNOWN[self.as_datatype_enum % _REFERENCE + _REFERENCE]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"A DType does not change; {name!r} of {self!r} cannot be set.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"A DType does not change; {name!r} of {self!r} has to stay.")

    def __eq__(self, other: object) -> builtins.bool:
        if self is other:
            return True
        if other is None or other.__class__ is DType:
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        # Not the address, so that sets of dtypes have the same order in every run.
        return self.as_datatype_enum

    def __int__(self) -> int:
        return self.as_datatype_enum

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)

    def __copy__(self) -> DType:
        return self

    def __deepcopy__(self, memo: Any) -> DType:
        return self


_REFERENCE = 100
"""What is added to a type's number in the number of references to it."""
_KNOWN: dict[Any, DType] = {}
"""Every DType by its number, its names and its Python and NumPy types."""


def _define(name: str, enum: int, kind: str, storage: Any) -> DType:
    """Make a type and the type of references to it.

    `kind` is f(loat), c(omplex), i(nt), u(nsigned int), b(ool), s(tring), q(uantized) or
    h(andle); a capital letter marks a type that can be stored and cast, but not computed with.
    """
    dtype, reference = object.__new__(DType), object.__new__(DType)
    letter = kind.lower()
    stored = np.dtype(storage)
    scalar = stored if letter in "qh" else object if letter == "s" else stored.type
    facts = {
        "np": stored,
        "as_numpy_dtype": scalar,
        "size": 0 if letter in "sh" else stored.itemsize,
        "is_floating": letter == "f",
        "is_complex": letter == "c",
        "is_integer": letter in "iu",
        "is_unsigned": letter == "u",
        "is_bool": letter == "b",
        "is_quantized": letter == "q",
        "is_numeric": kind in "fciuq",
        "is_numpy_compatible": letter != "h",
        "base_dtype": dtype,
    }
    for one, suffix, offset in ((dtype, "", 0), (reference, "_ref", _REFERENCE)):
        facts["name"], facts["as_datatype_enum"] = name + suffix, enum + offset
        for fact, value in facts.items():
            object.__setattr__(one, fact, value)
        _KNOWN[name + suffix] = _KNOWN[enum + offset] = one
    return dtype


def _handle(name: str) -> np.dtype:
    """The storage of a type of opaque objects: objects, told from strings by a field's name."""
    return np.dtype([(name, object)])


def _quantized(name: str, storage: str) -> np.dtype:
    return np.dtype([(name, storage)])


float32 = _define("float32", 1, "f", np.float32)
float64 = double = _define("float64", 2, "f", np.float64)
int32 = _define("int32", 3, "i", np.int32)
uint8 = _define("uint8", 4, "u", np.uint8)
int16 = _define("int16", 5, "i", np.int16)
int8 = _define("int8", 6, "i", np.int8)
string = _define("string", 7, "s", object)
complex64 = _define("complex64", 8, "c", np.complex64)
int64 = _define("int64", 9, "i", np.int64)
bool = _define("bool", 10, "b", np.bool_)
qint8 = _define("qint8", 11, "q", _quantized("qint8", "i1"))
quint8 = _define("quint8", 12, "q", _quantized("quint8", "u1"))
qint32 = _define("qint32", 13, "q", _quantized("qint32", "i4"))
bfloat16 = _define("bfloat16", 14, "f", ml_dtypes.bfloat16)
qint16 = _define("qint16", 15, "q", _quantized("qint16", "i2"))
quint16 = _define("quint16", 16, "q", _quantized("quint16", "u2"))
uint16 = _define("uint16", 17, "u", np.uint16)
complex128 = _define("complex128", 18, "c", np.complex128)
float16 = half = _define("float16", 19, "f", np.float16)
resource = _define("resource", 20, "h", _handle("resource"))
variant = _define("variant", 21, "h", _handle("variant"))
uint32 = _define("uint32", 22, "u", np.uint32)
uint64 = _define("uint64", 23, "u", np.uint64)
float8_e5m2 = _define("float8_e5m2", 24, "F", ml_dtypes.float8_e5m2)
float8_e4m3fn = _define("float8_e4m3fn", 25, "F", ml_dtypes.float8_e4m3fn)
float8_e4m3fnuz = _define("float8_e4m3fnuz", 26, "F", ml_dtypes.float8_e4m3fnuz)
float8_e4m3b11fnuz = _define("float8_e4m3b11fnuz", 27, "F", ml_dtypes.float8_e4m3b11fnuz)
float8_e5m2fnuz = _define("float8_e5m2fnuz", 28, "F", ml_dtypes.float8_e5m2fnuz)
int4 = _define("int4", 29, "I", ml_dtypes.int4)
uint4 = _define("uint4", 30, "U", ml_dtypes.uint4)
int2 = _define("int2", 31, "I", ml_dtypes.int2)
uint2 = _define("uint2", 32, "U", ml_dtypes.uint2)
float4_e2m1fn = _define("float4_e2m1fn", 33, "F", ml_dtypes.float4_e2m1fn)

FLOATS = frozenset({float16, bfloat16, float32, float64})
COMPLEX = frozenset({complex64, complex128})
SIGNED = frozenset({int8, int16, int32, int64})
UNSIGNED = frozenset({uint8, uint16, uint32, uint64})
INTS = SIGNED | UNSIGNED
REALS = FLOATS | INTS
NUMERIC = REALS | COMPLEX
ALL = NUMERIC | {bool, string}
QUANTIZED = frozenset({qint8, quint8, qint16, quint16, qint32})
NARROW = frozenset(dtype for dtype in _KNOWN.values() if 24 <= dtype.as_datatype_enum <= 33)
"""Types below 16 bits that can be stored and cast, but not computed with."""
HANDLES = frozenset({resource, variant})

from_numpy: dict[Any, DType] = {d.np: d for d in ALL | QUANTIZED | NARROW | HANDLES}


def _publish() -> None:
    for dtype in from_numpy.values():
        name = dtype.name
        names = [f"dtypes.experimental.{name}"] if dtype in NARROW else [f"dtypes.{name}", name]
        for public in names:
            export_value(public, dtype)
        if dtype not in HANDLES | QUANTIZED:
            _KNOWN[dtype.np.type] = dtype
    aliases = (("half", float16), ("float", float32), ("double", float64))
    for name, dtype in aliases:
        _KNOWN[name], _KNOWN[f"{name}_ref"] = dtype, dtype._as_ref
        if name != "float":
            export_value(f"dtypes.{name}", dtype)
            export_value(name, dtype)
    references = {dtype._as_ref for dtype in QUANTIZED}
    export_value("dtypes.QUANTIZED_DTYPES", QUANTIZED | references)
    _KNOWN.update({float: float32, builtins.bool: bool, object: string})
    _KNOWN.update({np.str_: string, np.bytes_: string})
    _KNOWN.update({np.longlong: int64, np.ulonglong: uint64})


_publish()
_KERNEL_NAMES = {"float32": "float", "float64": "double", "float16": "half"}


@export("dtypes.as_dtype", "as_dtype")
def as_dtype(type_value: Any) -> DType:
    """The DType for a DType, a name, a NumPy or Python type, an array, or a number in a file.

    As in TensorFlow, Python's `float` is float32, `bool` is bool, and `int` (is it int32 or
    int64?) is nothing.

    Raises:
        TypeError: nothing that names a type of tensors.

    >>> tf.as_dtype("float"), tf.as_dtype(np.int16), tf.as_dtype(np.array(["text"]))
    (tf.float32, tf.int16, tf.string)
    """
    if type_value.__class__ is DType:
        return type_value
    try:
        return _KNOWN[type_value]
    except (KeyError, TypeError):
        pass
    storage = getattr(type_value, "dtype", type_value)
    if isinstance(storage, np.dtype):
        found = from_numpy.get(storage) or _KNOWN.get(storage.type)
        if found is not None:
            return found
    raise TypeError(
        f"Cannot convert the argument `type_value`: {type_value!r} to a TensorFlow DType."
    )


def kernel_name(dtype: DType) -> str:
    """The dtype's name in TensorFlow's error texts: `float` for float32."""
    return _KERNEL_NAMES.get(dtype.name, dtype.name)
