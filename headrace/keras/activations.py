"""Activation functions, by name and as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import serialize_keras_object

Activation = Callable[..., Any]
TABLE: dict[str, Activation] = {}


def _named(function: Activation) -> Activation:
    TABLE[function.__name__] = function
    return export(f"keras.activations.{function.__name__}")(function)


def _of_logits(y: Any, x: Any) -> Any:
    """`y`, which remembers that it was computed from `x`."""
    y._keras_logits = x
    return y


@_named
def linear(x: Any) -> Any:
    """The tensor itself."""
    return x


@_named
def relu(
    x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """The larger of `x` and 0; with arguments, a leaky, capped or shifted one.

    Args:
        x: tensor.
        alpha: slope below the threshold.
        max_value: largest value.
        threshold: where the function begins to rise.
    """
    return backend.relu(x, alpha, max_value, threshold)


@_named
def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` if it is positive, else `alpha (exp(x) - 1)` (Clevert et al. 2015)."""
    return tf.nn.elu(x) if alpha == 1.0 else backend.elu(x, alpha)


@_named
def selu(x: Any) -> Any:
    """Scaled `elu` (Klambauer et al. 2017); goes with `lecun_normal`."""
    return tf.nn.selu(x)


@_named
def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the probability that a normal number is below `x`."""
    return tf.nn.gelu(x, approximate)


@_named
def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`; a loss of the result is computed from `x`."""
    return _of_logits(tf.sigmoid(x), x)


@_named
def hard_sigmoid(x: Any) -> Any:
    """`0.2 x + 0.5`, limited to [0, 1]."""
    return backend.hard_sigmoid(x)


@_named
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return tf.tanh(x)


@_named
def exponential(x: Any) -> Any:
    """`exp(x)`."""
    return tf.exp(x)


@_named
def softplus(x: Any) -> Any:
    """`log(exp(x) + 1)`."""
    return tf.math.softplus(x)


@_named
def softsign(x: Any) -> Any:
    """`x / (1 + |x|)`."""
    return tf.nn.softsign(x)


@_named
def swish(x: Any) -> Any:
    """`x sigmoid(x)` (Ramachandran et al. 2017)."""
    return tf.nn.silu(x)


@_named
def mish(x: Any) -> Any:
    """`x tanh(softplus(x))` (Misra 2019)."""
    x = tf.convert_to_tensor(x)
    return x * tf.tanh(tf.math.softplus(x))


@_named
def softmax(x: Any, axis: int = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis; a loss of the result is computed from `x`.

    Raises:
        ValueError: a vector or scalar.
    """
    x = tf.convert_to_tensor(x)
    if x.shape.rank is not None and x.shape.rank <= 1:
        raise ValueError(f"Cannot apply softmax to a tensor that is 1D. Received input: {x}")
    return _of_logits(tf.nn.softmax(x, axis), x)


@_named
def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of `softmax`."""
    return tf.nn.log_softmax(x, axis)


@_named
def relu6(x: Any) -> Any:
    """`x`, limited to [0, 6]."""
    return tf.nn.relu6(x)


@_named
def leaky_relu(x: Any, alpha: float = 0.2) -> Any:
    """`x` if it is positive, else `alpha x`."""
    return tf.nn.leaky_relu(x, alpha)


TABLE["silu"] = TABLE["swish"]


@export("keras.activations.serialize")
def serialize(activation: Activation, use_legacy_format: bool = False) -> Any:
    """The name of an activation function, or the dictionary of one that is an object."""
    if activation in (tf.nn.silu,):
        return "swish"
    return serialize_keras_object(activation)


@export("keras.activations.deserialize")
def deserialize(
    name: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Activation:
    """The activation function with a name.

    Raises:
        ValueError: nobody knows the name.
    """
    try:
        return deserialize_object(name, TABLE, custom_objects, "activation function")
    except ValueError:
        raise ValueError(
            f"Unknown activation function '{name}' cannot be deserialized."
        ) from None


@export("keras.activations.get")
def get(identifier: Any) -> Activation:
    """An activation function from its name, a function, or None (linear).

    Raises:
        ValueError: an unknown name. TypeError: none of these.

    >>> keras.activations.get("relu").__name__
    'relu'
    """
    if identifier is None:
        return linear
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise TypeError(f"Could not interpret activation function identifier: {identifier}")
