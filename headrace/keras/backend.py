"""`keras.backend`: Keras' settings, unique names, and its low-level functions.

The functions call TensorFlow's of the same meaning, under the names that Keras gave them. Some
of these are names of Python's own (`max`, `sum`, `any`): here they mean Keras'.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export, export_value

_SETTINGS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
_COUNTS: dict[str, int] = defaultdict(int)


class SeedGenerator:
    """Where seeds come from that nobody gave: Python's generator, or one of our own."""

    generator: random.Random | None = None

    @classmethod
    def draw(cls) -> int:
        """An int in [1, 1e9]."""
        source = cls.generator if cls.generator is not None else random
        return source.randint(1, int(1e9))


@export("keras.backend.floatx")
def floatx() -> str:
    """The default float dtype's name.

    >>> keras.backend.floatx()
    'float32'
    """
    return _SETTINGS["floatx"]  # type: ignore[return-value]


@export("keras.backend.set_floatx")
def set_floatx(value: str) -> None:
    """Set the default float dtype: "float16", "float32", "float64" or "bfloat16".

    Raises:
        ValueError: another name.
    """
    accepted = {"bfloat16", "float16", "float32", "float64"}
    if value not in accepted:
        raise ValueError(f"Unknown `floatx` value: {value}. Expected one of {accepted}")
    _SETTINGS["floatx"] = str(value)


@export("keras.backend.epsilon")
def epsilon() -> float:
    """A small number that keeps divisions and logarithms away from 0.

    >>> keras.backend.epsilon()
    1e-07
    """
    return _SETTINGS["epsilon"]  # type: ignore[return-value]


@export("keras.backend.set_epsilon")
def set_epsilon(value: float) -> None:
    """Set the number that `epsilon` gives."""
    _SETTINGS["epsilon"] = value


@export("keras.backend.image_data_format")
def image_data_format() -> str:
    """Where images have their channels: "channels_last" or "channels_first"."""
    return _SETTINGS["image_data_format"]  # type: ignore[return-value]


@export("keras.backend.set_image_data_format")
def set_image_data_format(data_format: str) -> None:
    """Set where images have their channels.

    Raises:
        ValueError: another word.
    """
    accepted = {"channels_last", "channels_first"}
    if data_format not in accepted:
        raise ValueError(f"Unknown `data_format`: {data_format}. Expected one of {accepted}")
    _SETTINGS["image_data_format"] = str(data_format)


@export("keras.backend.get_uid")
def get_uid(prefix: str = "") -> int:
    """How often this prefix was asked for: 1, 2, ..."""
    _COUNTS[prefix] += 1
    return _COUNTS[prefix]


@export("keras.backend.reset_uids")
def reset_uids() -> None:
    """Let all counts of `get_uid` begin again."""
    _COUNTS.clear()


@export("keras.backend.clear_session")
def clear_session() -> None:
    """Forget what Keras holds globally: the counts behind layers' names."""
    reset_uids()


def unique_name(prefix: str) -> str:
    """`prefix` the first time, then `prefix_1`, `prefix_2`, ..."""
    count = get_uid(prefix)
    return prefix if count == 1 else f"{prefix}_{count - 1}"


# Functions under Keras' names for what TensorFlow has

_SAME = {
    "square": tf.square,
    "exp": tf.exp,
    "log": tf.math.log,
    "sqrt": lambda x: tf.sqrt(tf.maximum(x, 0)),
    "abs": tf.abs,
    "sign": tf.sign,
    "round": tf.round,
    "sin": tf.sin,
    "cos": tf.cos,
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "equal": tf.equal,
    "not_equal": tf.not_equal,
    "greater": tf.greater,
    "greater_equal": tf.greater_equal,
    "less": tf.less,
    "less_equal": tf.less_equal,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "softplus": tf.math.softplus,
    "softsign": tf.nn.softsign,
    "transpose": tf.transpose,
    "reshape": tf.reshape,
    "tile": tf.tile,
    "identity": tf.identity,
    "stop_gradient": tf.stop_gradient,
    "shape": tf.shape,
    "gather": lambda reference, indices: tf.gather(reference, indices),
    "one_hot": lambda indices, num_classes: tf.one_hot(indices, num_classes),
}
for _name, _function in _SAME.items():
    export_value(f"keras.backend.{_name}", _function)


def _reduced(function: Any) -> Any:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x, axis, keepdims)

    reduce.__doc__ = function.__doc__
    return reduce


for _name in ("sum", "prod", "max", "min"):
    export_value(f"keras.backend.{_name}", _reduced(getattr(tf, f"reduce_{_name}")))


def _real(x: Any) -> Any:
    """A bool tensor as numbers, so that a mean can be taken."""
    x = tf.convert_to_tensor(x)
    return tf.cast(x, floatx()) if x.dtype == tf.bool else x


@export("keras.backend.mean")
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean along some axes; of truth values, the share of true ones."""
    return tf.reduce_mean(_real(x), axis, keepdims)


@export("keras.backend.std")
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The standard deviation along some axes."""
    return tf.math.reduce_std(_real(x), axis, keepdims)


@export("keras.backend.var")
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance along some axes."""
    return tf.math.reduce_variance(_real(x), axis, keepdims)


@export("keras.backend.any")
def any_(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether one element along some axes is true."""
    return tf.reduce_any(tf.cast(x, tf.bool), axis, keepdims)


@export("keras.backend.all")
def all_(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements along some axes are true."""
    return tf.reduce_all(tf.cast(x, tf.bool), axis, keepdims)


@export("keras.backend.argmax")
def argmax(x: Any, axis: int = -1) -> Any:
    """The position of the largest element along an axis."""
    return tf.argmax(x, axis)


@export("keras.backend.argmin")
def argmin(x: Any, axis: int = -1) -> Any:
    """The position of the smallest element along an axis."""
    return tf.argmin(x, axis)


@export("keras.backend.pow")
def pow_(x: Any, a: Any) -> Any:
    """Each element to the power of `a`."""
    return tf.pow(x, a)


@export("keras.backend.clip")
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """Each element, limited to [min_value, max_value]."""
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)):
        max_value = min_value if max_value < min_value else max_value
    low = -np.inf if min_value is None else min_value
    return tf.clip_by_value(x, low, np.inf if max_value is None else max_value)


@export("keras.backend.dot")
def dot(x: Any, y: Any) -> Any:
    """The product over x's last axis and y's last but one."""
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    if x.ndim <= 2 and y.ndim <= 2:
        return tf.matmul(x, y)
    return tf.tensordot(x, y, [[x.ndim - 1], [max(y.ndim - 2, 0)]])


@export("keras.backend.cast")
def cast(x: Any, dtype: Any) -> Any:
    """The values of `x` in another dtype."""
    return tf.cast(x, dtype)


@export("keras.backend.cast_to_floatx")
def cast_to_floatx(x: Any) -> Any:
    """`x` in the default float dtype: a tensor for a tensor, else an array."""
    if isinstance(x, (tf.Tensor, tf.Variable)):
        return tf.cast(x, floatx())
    return np.asarray(x, dtype=floatx())


@export("keras.backend.concatenate")
def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Tensors one after the other along an axis."""
    return tf.concat(tensors, axis)


@export("keras.backend.stack")
def stack(x: Any, axis: int = 0) -> Any:
    """Tensors of one shape along a new axis."""
    return tf.stack(x, axis)


@export("keras.backend.expand_dims")
def expand_dims(x: Any, axis: int = -1) -> Any:
    """A tensor with a new axis of size 1."""
    return tf.expand_dims(x, axis)


@export("keras.backend.squeeze")
def squeeze(x: Any, axis: Any) -> Any:
    """A tensor without an axis of size 1."""
    return tf.squeeze(x, [axis])


@export("keras.backend.flatten")
def flatten(x: Any) -> Any:
    """All elements as a vector."""
    return tf.reshape(x, [-1])


@export("keras.backend.batch_flatten")
def batch_flatten(x: Any) -> Any:
    """All elements of each row as a vector: `[rows, ...]`."""
    x = tf.convert_to_tensor(x)
    return tf.reshape(x, [-1, int(np.prod(x.shape[1:]))])


@export("keras.backend.permute_dimensions")
def permute_dimensions(x: Any, pattern: Any) -> Any:
    """The axes in another order."""
    return tf.transpose(x, pattern)


@export("keras.backend.reverse")
def reverse(x: Any, axes: Any) -> Any:
    """The elements in opposite order along some axes."""
    return tf.reverse(x, [axes] if isinstance(axes, int) else axes)


@export("keras.backend.cumsum")
def cumsum(x: Any, axis: int = 0) -> Any:
    """Running sum along an axis."""
    return tf.cumsum(x, axis)


@export("keras.backend.cumprod")
def cumprod(x: Any, axis: int = 0) -> Any:
    """Running product along an axis."""
    return tf.math.cumprod(x, axis)


@export("keras.backend.logsumexp")
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`log(sum(exp(x)))` along some axes."""
    return tf.reduce_logsumexp(x, axis, keepdims)


@export("keras.backend.switch")
def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two tensors (or of two functions' results) by a condition."""
    condition = tf.cast(condition, tf.bool)
    if condition.ndim == 0 and callable(then_expression):
        return then_expression() if condition else else_expression()
    return tf.where(condition, then_expression, else_expression)


@export("keras.backend.relu")
def relu(
    x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """`x` above a threshold (up to a largest value), `alpha (x - threshold)` below."""
    x = tf.convert_to_tensor(x)
    if not alpha and max_value is None and not threshold:
        return tf.nn.relu(x)
    low = alpha * (x - threshold) if alpha else x * 0
    high = x if max_value is None else tf.minimum(x, tf.cast(max_value, x.dtype))
    return tf.where(x >= threshold if alpha else x > threshold, high, low)


@export("keras.backend.elu")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` if it is positive, else `alpha (exp(x) - 1)`."""
    result = tf.nn.elu(x)
    return (
        result if alpha == 1 else tf.where(tf.convert_to_tensor(x) > 0, result, alpha * result)
    )


@export("keras.backend.softmax")
def softmax(x: Any, axis: int = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis."""
    return tf.nn.softmax(x, axis)


@export("keras.backend.hard_sigmoid")
def hard_sigmoid(x: Any) -> Any:
    """`0.2 x + 0.5`, limited to [0, 1]."""
    return tf.clip_by_value(0.2 * tf.convert_to_tensor(x) + 0.5, 0.0, 1.0)


@export("keras.backend.l2_normalize")
def l2_normalize(x: Any, axis: Any = None) -> Any:
    """`x` divided by its Euclidean norm along an axis."""
    return tf.math.l2_normalize(x, axis)


def _dtype(dtype: Any) -> Any:
    return floatx() if dtype is None else dtype


@export("keras.backend.variable")
def variable(
    value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None
) -> Any:
    """A variable with a value."""
    return tf.Variable(value, dtype=_dtype(dtype), name=name, constraint=constraint)


@export("keras.backend.constant")
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor with a value."""
    return tf.constant(value, _dtype(dtype), shape)


@export("keras.backend.zeros")
def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros."""
    return tf.Variable(tf.zeros(shape, _dtype(dtype)), name=name)


@export("keras.backend.ones")
def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones."""
    return tf.Variable(tf.ones(shape, _dtype(dtype)), name=name)


@export("keras.backend.eye")
def eye(size: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable with an identity matrix."""
    return tf.Variable(tf.eye(size, dtype=_dtype(dtype)), name=name)


@export("keras.backend.zeros_like")
def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros in the shape of `x`."""
    return tf.zeros_like(x, dtype)


@export("keras.backend.ones_like")
def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones in the shape of `x`."""
    return tf.ones_like(x, dtype)


@export("keras.backend.arange")
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Integers from `start` up to `stop`."""
    if stop is None and start < 0:
        start = 0
    return tf.cast(tf.range(start, limit=stop, delta=step), dtype)


@export("keras.backend.random_normal")
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers from a normal distribution."""
    return tf.random.normal(shape, mean, stddev, _dtype(dtype), seed)


@export("keras.backend.random_uniform")
def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Numbers from a uniform distribution."""
    return tf.random.uniform(shape, minval, maxval, _dtype(dtype), seed)


@export("keras.backend.truncated_normal")
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normals less than 2 deviations from the mean."""
    return tf.random.truncated_normal(shape, mean, stddev, _dtype(dtype), seed)


@export("keras.backend.get_value")
def get_value(x: Any) -> Any:
    """The value of a variable or tensor as an array."""
    return x.numpy() if hasattr(x, "numpy") else x


@export("keras.backend.batch_get_value")
def batch_get_value(tensors: Any) -> list[Any]:
    """The values of several variables."""
    return [get_value(x) for x in tensors]


@export("keras.backend.set_value")
def set_value(x: Any, value: Any) -> None:
    """Give a variable a value."""
    x.assign(np.asarray(value, dtype=x.dtype.as_numpy_dtype))


@export("keras.backend.batch_set_value")
def batch_set_value(tuples: Any) -> None:
    """Give several variables values: pairs (variable, value)."""
    for x, value in tuples:
        set_value(x, value)


@export("keras.backend.update")
def update(x: Any, new_x: Any) -> Any:
    """Give a variable a value."""
    return x.assign(new_x)


@export("keras.backend.update_add")
def update_add(x: Any, increment: Any) -> Any:
    """Add to a variable."""
    return x.assign_add(increment)


@export("keras.backend.update_sub")
def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract from a variable."""
    return x.assign_sub(decrement)


@export("keras.backend.ndim")
def ndim(x: Any) -> int:
    """The number of dimensions."""
    return x.shape.rank


@export("keras.backend.int_shape")
def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape as a tuple."""
    return tuple(x.shape)


@export("keras.backend.count_params")
def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(x.shape.as_list()))


@export("keras.backend.dtype")
def dtype(x: Any) -> str:
    """The dtype's name."""
    return x.dtype.name
