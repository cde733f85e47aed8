"""Activation functions."""

from __future__ import annotations

import cmath
import math

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import FLOATS, REALS, bfloat16, float16, float32, float64
from headrace.base.export import export
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast, conj
from headrace.ops.compare import greater, where
from headrace.ops.concat_pad import concat
from headrace.ops.elementwise import maximum
from headrace.ops.make import unary
from headrace.ops.reduce import reduce_sum
from headrace.ops.reshape import transpose
from headrace.ops.samples import S
from headrace.ops.transcendental import BOTH, ULP, erfc, exp, tanh

inf, nan = math.inf, math.nan
_SPECIAL = S(values=[-1.0, 1.0, inf, -inf, nan], dtype=("float32",), grad=False)
_ONE = (S(3, 4), S(), S(0), _SPECIAL)


def _wide(x):
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _sigmoid(x):
    """1 / (1 + e^-x) without overflow: e^-|x| is at most 1."""
    wide = _wide(x)
    if wide.dtype.kind == "c":
        return 1 / (1 + np.exp(-wide))
    small = np.exp(-np.abs(wide))
    return (np.where(wide >= 0, wide.dtype.type(1), small) / (1 + small)).astype(x.dtype)


def _logistic(x):
    """The oracle of `Sigmoid`."""
    if isinstance(x, complex):
        return 1 / (1 + cmath.exp(-x))
    return 0.0 if x < -700 else 1 / (1 + math.exp(-x))


sigmoid = unary(
    "Sigmoid",
    "`1 / (1 + exp(-x))` of each element.",
    export=("math.sigmoid", "sigmoid", "nn.sigmoid"),
    example="tf.sigmoid([0., 2.]).numpy() -> array([0.5      , 0.8807971], dtype=float32)",
    dtypes=BOTH,
    kernel=_sigmoid,
    grad=lambda dy, y, x: dy * conj(y * (1.0 - y)),
    keep=("output",),
    scalar=lambda b, x: b.math.sigmoid(x),
    oracle=_logistic,
    samples=_ONE,
    ulp=ULP,
)


def _softplus(x):
    wide = _wide(x)
    return (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)


softplus = unary(
    "Softplus",
    "`log(exp(x) + 1)` of each element, without overflow.",
    export=("math.softplus", "nn.softplus"),
    example="tf.math.softplus([0., 100.]).numpy() "
    "-> array([  0.6931472, 100.       ], dtype=float32)",
    dtypes=FLOATS,
    kernel=_softplus,
    grad=lambda dy, y, x: dy * sigmoid(x),
    keep=("features",),
    scalar=lambda b, x: b.math.softplus(x),
    oracle=lambda x: x if x > 700 else math.log1p(math.exp(x)),
    samples=_ONE,
    ulp=ULP,
    operand="features",
)

relu = unary(
    "Relu",
    "The larger of each element and 0.",
    export=("nn.relu",),
    example="tf.nn.relu([-1., 2.]).numpy() -> array([0., 2.], dtype=float32)",
    dtypes=REALS,
    kernel=lambda x: np.maximum(x, x.dtype.type(0)),
    grad=lambda dy, y, x: where(greater(y, 0), dy, 0),
    keep=("output",),
    scalar=lambda b, x: b.maximum(x, 0),
    oracle=lambda x: x if x != x else max(x, 0),
    samples=_ONE,
    operand="features",
)

relu6 = unary(
    "Relu6",
    "Each element, limited to [0, 6].",
    export=("nn.relu6",),
    example="tf.nn.relu6([-1., 2., 9.]).numpy() -> array([0., 2., 6.], dtype=float32)",
    dtypes=REALS,
    kernel=lambda x: np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6)),
    grad=lambda dy, y, x: where(greater(y * (6 - y), 0), dy, 0),
    keep=("output",),
    scalar=lambda b, x: b.minimum(b.maximum(x, 0), 6),
    oracle=lambda x: x if x != x else min(max(x, 0), 6),
    samples=(*_ONE, S(values=[5.0, 7.0, -3.0])),
    operand="features",
)


def _elu(x):
    """The larger of x and e^min(x, 0) - 1, which is never below x where x is negative."""
    if x.dtype.itemsize == 2:
        return _elu(x.astype(np.float32)).astype(x.dtype)
    return np.maximum(x, np.expm1(np.minimum(x, 0)))


elu = unary(
    "Elu",
    "Each element if it is positive, else `exp(x) - 1`.",
    export=("nn.elu",),
    example="tf.nn.elu([-1., 2.]).numpy() -> array([-0.63212055,  2.        ], dtype=float32)",
    dtypes=FLOATS,
    kernel=_elu,
    grad=lambda dy, y, x: elu_grad(dy, y),
    keep=("output",),
    scalar=lambda b, x: b.where(x > 0, x, b.math.expm1(b.minimum(x, 0))),
    oracle=lambda x: x if x > 0 or x != x else math.expm1(x),
    samples=_ONE,
    ulp=ULP,
    operand="features",
)


class EluGrad(Op):
    """The gradient of `Elu` from its result."""

    kind = Kind.ELEMENTWISE
    inputs = ("gradients", "outputs")
    dtypes = FLOATS
    samples = (S((3, 4), (3, 4)), S((), ()), S((0,), (0,)))

    def infer(gradients, outputs):
        return Spec(gradients.shape, gradients.dtype)

    def kernel(gradients, outputs):
        return gradients * (np.minimum(outputs, 0) + outputs.dtype.type(1))

    grad = (
        lambda dz, z, gradients, outputs: elu_grad(dz, outputs),
        lambda dz, z, gradients, outputs: where(greater(outputs, 0), 0 * dz, dz * gradients),
    )

    def scalar(b, gradients, outputs):
        return gradients * (b.minimum(outputs, 0) + 1)

    def oracle(gradients, outputs):
        return gradients * (min(outputs, 0) + 1)


def elu_grad(dy, y):
    """The gradient of `elu` with result `y`."""
    return apply(EluGrad, (dy, y))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _selu(x):
    wide = _wide(x)
    low = SELU_ALPHA * np.expm1(np.minimum(wide, 0))
    return (wide.dtype.type(SELU_SCALE) * np.where(wide > 0, wide, low)).astype(x.dtype)


selu = unary(
    "Selu",
    "Scaled `elu`: keeps mean 0 and variance 1 through layers (Klambauer et al. 2017).",
    export=("nn.selu",),
    example="tf.nn.selu([-1., 2.]).numpy() -> array([-1.1113307,  2.1014018], dtype=float32)",
    dtypes=FLOATS,
    kernel=_selu,
    grad=lambda dy, y, x: where(
        greater(y, 0), dy * SELU_SCALE, dy * (y + SELU_SCALE * SELU_ALPHA)
    ),
    keep=("output",),
    scalar=lambda b, x: b.where(
        x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * b.math.expm1(b.minimum(x, 0))
    ),
    oracle=lambda x: SELU_SCALE * (x if x > 0 or x != x else SELU_ALPHA * math.expm1(x)),
    samples=_ONE,
    ulp=ULP,
    operand="features",
)

softsign = unary(
    "Softsign",
    "`x / (1 + |x|)` of each element.",
    export=("math.softsign", "nn.softsign"),
    example="tf.nn.softsign([-1., 3.]).numpy() -> array([-0.5 ,  0.75], dtype=float32)",
    dtypes=FLOATS,
    kernel=lambda x: (_wide(x) / (1 + np.abs(_wide(x)))).astype(x.dtype),
    grad=lambda dy, y, x: dy / ((1.0 + maximum(x, -x)) * (1.0 + maximum(x, -x))),
    keep=("features",),
    scalar=lambda b, x: x / (1 + b.math.abs(x)),
    oracle=lambda x: x / (1 + abs(x)),
    samples=(S(3, 4), S(), S(0)),
    ulp=ULP,
    operand="features",
)


def _single(alpha):
    """A slope as TensorFlow stores it: attributes are float32."""
    return float(np.float32(alpha))


class LeakyRelu(Op):
    """Each element, negative ones scaled by `alpha`."""

    kind = Kind.ELEMENTWISE
    inputs = ("features",)
    attrs = {"alpha": 0.2}
    dtypes = FLOATS
    samples = (S(3, 4), S(), S(0), S(3, 4, alpha=0.01))

    def infer(features, alpha=0.2):
        return Spec(features.shape, features.dtype)

    def kernel(features, alpha=0.2):
        return np.where(features > 0, features, features * features.dtype.type(_single(alpha)))

    def grad(dy, y, features, alpha=0.2):
        return where(greater(features, 0), dy, dy * _single(alpha))

    def scalar(b, features, alpha=0.2):
        return b.where(features > 0, features, features * _single(alpha))

    def oracle(features, alpha=0.2):
        return features if features > 0 else _single(alpha) * features


@export("nn.leaky_relu")
def leaky_relu(features, alpha=0.2, name=None):
    """Each element, negative ones scaled by `alpha`.

    Args:
        features: real tensor; integers become float32.
        alpha: the slope below 0.
        name: of the operation in a graph.
    Source: TensorFlow's `LeakyRelu`.

    >>> tf.nn.leaky_relu([-1., 2.]).numpy()
    array([-0.2,  2. ], dtype=float32)
    """
    features = convert(features)
    if features.dtype.is_integer:
        features = cast(features, float32)
    return apply(LeakyRelu, (features,), {"alpha": float(alpha)}, name=name)


def shifted(x, axis):
    """x minus its largest value along an axis: exponentials of it do not overflow."""
    wide = _wide(x)
    return wide - wide.max(axis=axis, keepdims=True, initial=-inf)


class Softmax(Op):
    """`exp(x) / sum(exp(x))` along the last axis."""

    kind = Kind.REDUCE
    inputs = ("logits",)
    dtypes = FLOATS
    keep = ("output",)
    samples = (S(3, 4), S(4), S(2, 0), S(2, 3, 4), S(values=[1000.0, 0.0, -1000.0]))
    ulp = {float16: 4, bfloat16: 4, float32: 8, float64: 8}

    def infer(logits):
        return Spec(logits.shape, logits.dtype)

    def kernel(logits):
        powers = np.exp(shifted(logits, -1))
        return (powers / powers.sum(axis=-1, keepdims=True)).astype(logits.dtype)

    def grad(dy, y, logits):
        return (dy - reduce_sum(dy * y, -1, keepdims=True)) * y

    def lower(c, logits):
        n, rows = logits.shape[-1:], logits.shape[:-1]
        wide = c.compute(logits.dtype)
        top = c.reduce("max", rows, wide, n, lambda i, r: logits[i + r])
        powers = c.store(
            c.map(logits.shape, wide, lambda *i: c.math.exp(logits[i] - top[i[:-1]]))
        )
        total = c.reduce("add", rows, wide, n, lambda i, r: powers[i + r])
        return c.map(logits.shape, logits.dtype, lambda *i: powers[i] / total[i[:-1]])

    def oracle(items):
        top = max(items, default=0)
        powers = [math.exp(x - top) for x in items]
        return [p / sum(powers) for p in powers]


class LogSoftmax(Op):
    """`x - log(sum(exp(x)))` along the last axis."""

    kind = Kind.REDUCE
    inputs = ("logits",)
    dtypes = FLOATS
    keep = ("output",)
    samples = Softmax.samples
    ulp = {float16: 8, bfloat16: 8, float32: 16, float64: 16}

    def infer(logits):
        return Spec(logits.shape, logits.dtype)

    def kernel(logits):
        rest = shifted(logits, -1)
        total = np.log(np.exp(rest).sum(axis=-1, keepdims=True))
        return (rest - total).astype(logits.dtype)

    def grad(dy, y, logits):
        return dy - reduce_sum(dy, -1, keepdims=True) * exp(y)

    def lower(c, logits):
        n, rows = logits.shape[-1:], logits.shape[:-1]
        wide = c.compute(logits.dtype)
        top = c.reduce("max", rows, wide, n, lambda i, r: logits[i + r])
        total = c.reduce("add", rows, wide, n, lambda i, r: c.math.exp(logits[i + r] - top[i]))
        return c.map(
            logits.shape,
            logits.dtype,
            lambda *i: logits[i] - top[i[:-1]] - c.math.log(total[i[:-1]]),
        )

    def oracle(items):
        if not items:
            return []
        top = max(items)
        total = math.log(math.fsum(math.exp(x - top) for x in items))
        return [x - top - total for x in items]


def _along(op, logits, axis, name):
    """Apply an op of the last axis to another one."""
    logits = convert(logits)
    axis = -1 if axis is None else static(axis)
    rank = logits.ndim
    if axis == -1 or axis + 1 == rank:
        return apply(op, (logits,), name=name)
    if rank is None:
        raise ValueError(f"Softmax along axis {axis} needs logits whose rank is known.")
    if not -rank <= axis < rank:
        raise errors.invalid_argument(
            f"`dim` must be in the range [{-rank}, {rank}) where {rank} is the number of "
            "dimensions "
            f"in the input. Received: dim={axis}"
        )
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    return transpose(apply(op, (transpose(logits, order),), name=name), order)


@export("nn.softmax", "math.softmax")
def softmax(logits, axis=None, name=None):
    """`exp(x) / sum(exp(x))` along an axis.

    Args:
        logits: float tensor of rank 1 or more.
        axis: int, the axis (default: last).
        name: of the operation in a graph.
    Returns: tensor of the same shape; sums along the axis are 1.
    Raises: InvalidArgumentError: no such axis.
    Source: TensorFlow's `Softmax`.

    >>> tf.nn.softmax([1., 1.]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return _along(Softmax, logits, axis, name)


@export("nn.log_softmax", "math.log_softmax")
def log_softmax(logits, axis=None, name=None):
    """The logarithm of `softmax`, without loss of accuracy; arguments as there.

    >>> tf.nn.log_softmax([1., 1.]).numpy()
    array([-0.6931472, -0.6931472], dtype=float32)
    """
    return _along(LogSoftmax, logits, axis, name)


@export("nn.gelu")
def gelu(features, approximate=False, name=None):
    """`x` times the probability that a normal number is below `x` (Hendrycks, Gimpel 2016).

    Args:
        features: float tensor.
        approximate: whether to use the formula with tanh.
        name: of the operation in a graph.

    >>> tf.nn.gelu([-1., 1.]).numpy()
    array([-0.15865526,  0.8413447 ], dtype=float32)
    """
    x = convert(features)
    if not x.dtype.is_floating:
        raise ValueError(
            "`features.dtype` must be a floating point tensor.Received:"
            f"features.dtype={x.dtype}"
        )
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1.0 + tanh(inner))
    return 0.5 * x * erfc(-x * math.sqrt(0.5))


@export("nn.silu", "nn.swish")
def silu(features, beta=1.0):
    """`x sigmoid(beta x)` of each element (Ramachandran et al. 2017).

    Args:
        features: float tensor.
        beta: the slope inside: a number, or a tensor that broadcasts.

    >>> tf.nn.silu([0., 1.]).numpy()
    array([0.       , 0.7310586], dtype=float32)
    """
    x = convert(features)
    return x * sigmoid(x if beta.__class__ in (int, float) and beta == 1 else beta * x)


@export("nn.crelu")
def crelu(features, axis=-1, name=None):
    """The positive parts of `x` and of `-x`, side by side (Shang et al. 2016).

    Args:
        features: real tensor of rank 1 or more.
        axis: int, the axis along which they are joined.
        name: of the operation in a graph.
    Returns: tensor that is twice as long along the axis.

    >>> tf.nn.crelu([-1., 2.]).numpy()
    array([0., 2., 1., 0.], dtype=float32)
    """
    x = convert(features)
    return relu(concat([x, -x], axis), name=name)


@export("math.log_sigmoid")
def log_sigmoid(x, name=None):
    """`log(sigmoid(x))` of each element, without overflow.

    Args:
        x: float tensor.
        name: of the operation in a graph.

    >>> tf.math.log_sigmoid([0., 100.]).numpy()
    array([-6.931472e-01, -3.783506e-44], dtype=float32)
    """
    return -softplus(-convert(x))
