"""Changes of dtype: `cast` and its relatives."""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import (
    COMPLEX,
    NUMERIC,
    DType,
    as_dtype,
    complex64,
    complex128,
    float32,
    float64,
    int32,
)
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, wrap
from headrace.ops.make import binary, unary
from headrace.ops.samples import S

_SAMPLES = (S(3, 4, DstT=float32), S(3, 4, DstT=int32), S(DstT=bool_dtype), S(0, DstT=float64))


def _to_unsigned(x, dtype):
    """Floats as uint32 or uint64; those outside go as processors take them, not NumPy."""
    if dtype.size == 4:
        return np.where(np.isnan(x), 0, x).astype(np.int64).astype(np.uint32)
    half = x.dtype.type(2.0**63)
    low = x.astype(np.int64).astype(np.uint64)
    high = (x - half).astype(np.int64).astype(np.uint64) ^ np.uint64(1 << 63)
    return np.where((x >= half) & (x < 2 * half), high, low)


class Cast(Op):
    """A tensor's values in another dtype."""

    kind = Kind.ELEMENTWISE
    inputs = ("x",)
    attrs = {"DstT": None, "Truncate": False}
    dtypes = NUMERIC | {bool_dtype}
    keep = ()
    samples = _SAMPLES

    def infer(x, DstT, Truncate=False):
        if DstT not in Cast.dtypes:
            raise errors.unimplemented(f"Cast {x.dtype.name} to {DstT.name} is not supported")
        return Spec(x.shape, DstT)

    def kernel(x, DstT, Truncate=False):
        if DstT not in Cast.dtypes:
            raise errors.unimplemented(f"Cast of a tensor to {DstT.name} is not supported")
        if x.dtype.kind == "c" and not DstT.is_complex:
            x = x.real if not DstT.is_bool else x != 0
        if DstT.is_unsigned and DstT.size >= 4 and x.dtype.kind not in "iub":
            return _to_unsigned(x, DstT)
        return x.astype(DstT.np)

    def grad(dy, y, x, DstT, Truncate=False):
        if not (_has_gradient(x.dtype) and _has_gradient(DstT)):
            return None
        return cast(dy, x.dtype)

    def scalar(b, x, DstT, Truncate=False):
        return b.cast(x, DstT)

    def oracle(x, DstT, Truncate=False):
        if DstT.is_complex:
            return complex(x)
        if isinstance(x, complex) and not DstT.is_bool:
            x = x.real
        return (bool if DstT.is_bool else float if DstT.is_floating else int)(x)


def _has_gradient(dtype):
    return dtype.is_floating or dtype.is_complex


@export("cast", "dtypes.cast")
def cast(x, dtype, name=None):
    """The values of `x` in another dtype.

    Args:
        x: number or bool tensor, `tf.IndexedSlices`, or what can be converted to a tensor.
        dtype: the dtype of the result. Floats become integers by dropping the fraction; complex
            numbers become real ones by dropping the imaginary part.
        name: of the operation in a graph.
    Returns: tensor of x's shape.
    Raises: TypeError: `dtype` names no dtype. UnimplementedError: no such conversion.
    Source: TensorFlow's `Cast`.

    >>> tf.cast([1.8, -2.2], tf.int32).numpy()
    array([ 1, -2], dtype=int32)
    """
    target = dtype if dtype.__class__ is DType else as_dtype(dtype)
    if x.__class__ is not EagerTensor:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, target), x.indices, x.dense_shape)
        if x.__class__ is np.ndarray and x.dtype.kind in "fiu" and target.is_floating:
            return wrap(x.astype(target.np))  # of a constant, one copy is enough
        x = convert(x)
    if x.dtype is target:
        return x
    return apply(Cast, (x,), {"DstT": target}, name=name)


def conj(x):
    """The complex conjugate in gradients; real tensors are their own."""
    return conjugate(x) if x.dtype.is_complex else x


conjugate = unary(
    "Conj",
    "Complex conjugate of each element of a complex tensor.",
    example="tf.raw_ops.Conj(input=[1+2j]).numpy() -> array([1.-2.j])",
    dtypes=COMPLEX,
    kernel=np.conjugate,
    grad=lambda dy, y, x: conj(dy),
    keep=(),
    scalar=lambda b, x: b.math.conj(x),
    oracle=lambda x: x.conjugate(),
    samples=(S(3, 4), S(), S(0)),
    operand="input",
)


@export("math.conj")
def conj_part(x, name=None):
    """Complex conjugate of each element; a real tensor is returned as it is.

    Args:
        x: number tensor, any shape.
        name: of the operation in a graph.
    Returns: tensor of x's shape and dtype.

    >>> tf.math.conj([1+2j]).numpy()
    array([1.-2.j])
    """
    return conj(convert(x))


real = unary(
    "Real",
    "The real part of each element of a complex tensor.",
    example="tf.raw_ops.Real(input=[1+2j]).numpy() -> array([1.])",
    dtypes=COMPLEX,
    out=lambda dtype: dtype.real_dtype,
    kernel=lambda x: x.real,
    grad=lambda dy, y, x: make_complex(dy, dy * 0),
    keep=(),
    scalar=lambda b, x: b.math.real(x),
    oracle=lambda x: x.real,
    samples=(S(3, 4), S(), S(0)),
    operand="input",
)

imag = unary(
    "Imag",
    "The imaginary part of each element of a complex tensor.",
    example="tf.raw_ops.Imag(input=[1+2j]).numpy() -> array([2.])",
    dtypes=COMPLEX,
    out=lambda dtype: dtype.real_dtype,
    kernel=lambda x: x.imag,
    grad=lambda dy, y, x: make_complex(dy * 0, dy),
    keep=(),
    scalar=lambda b, x: b.math.imag(x),
    oracle=lambda x: x.imag,
    samples=(S(3, 4), S(), S(0)),
    operand="input",
)

make_complex = binary(
    "Complex",
    "The complex number with real part `real` and imaginary part `imag`.",
    export=("complex", "dtypes.complex"),
    example="tf.complex([1.], [2.]).numpy() -> array([1.+2.j], dtype=complex64)",
    dtypes=frozenset({float32, float64}),
    out=lambda dtype: complex64 if dtype is float32 else complex128,
    kernel=lambda x, y: (x + 1j * y).astype(np.result_type(x.dtype, np.complex64)),
    grad=(lambda dy, z, x, y: real(dy), lambda dy, z, x, y: imag(dy)),
    keep=(),
    scalar=lambda b, x, y: b.complex(x, y),
    oracle=complex,
    samples=(S((3, 4), (3, 4)), S((3, 1), (4,)), S((), ())),
    operands=("real", "imag"),
)


@export("math.real")
def real_part(input, name=None):
    """The real part of each element; a real tensor is returned as it is.

    Args:
        input: number tensor, any shape.
        name: of the operation in a graph.
    Returns: real tensor of the same shape.

    >>> tf.math.real([1+2j]).numpy()
    array([1.])
    """
    input = convert(input)
    return real(input) if input.dtype.is_complex else input


@export("math.imag")
def imag_part(input, name=None):
    """The imaginary part of each element; zeros for a real tensor.

    Args:
        input: number tensor, any shape.
        name: of the operation in a graph.
    Returns: real tensor of the same shape.

    >>> tf.math.imag([1+2j]).numpy()
    array([2.])
    """
    input = convert(input)
    return imag(input) if input.dtype.is_complex else input * 0
