"""Losses: functions of labels and predictions, and classes that also reduce and weigh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.engine.call_context import graph_scope, user_code
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import (
    get_registered_name,
    interpret,
    serialize_keras_object,
)

TABLE: dict[str, Any] = {}


@export("keras.losses.Reduction")
class Reduction:
    """How a loss class makes one number of many."""

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All words."""
        return cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE

    @classmethod
    def validate(cls, key: str) -> None:
        """Raise ValueError for another word."""
        if key not in cls.all():
            raise ValueError(f'Invalid Reduction Key: {key}. Expected keys are "{cls.all()}"')


def function(*aliases: str) -> Callable[[Any], Any]:
    """Enter a loss function under Keras' names in `losses` and `metrics`."""

    def register(function: Any) -> Any:
        names = (function.__name__, *aliases)
        for name in names:
            TABLE[name] = function
        spaces = ("keras.losses", "keras.metrics")
        return export(*(f"{space}.{name}" for space in spaces for name in names))(function)

    return register


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors; labels in the predictions' dtype."""
    if not isinstance(y_pred, tf.Tensor):
        y_pred = tf.convert_to_tensor(y_pred)
    return tf.cast(y_true, y_pred.dtype), y_pred


@function("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of squared differences along the last axis.

    Args:
        y_true: labels `[batch, ..., d]`.
        y_pred: predictions of the same shape.
    Returns: tensor `[batch, ...]`.

    >>> keras.losses.mean_squared_error([[1., 2.]], [[0., 0.]]).numpy()
    array([2.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return tf.reduce_mean(tf.math.squared_difference(y_pred, y_true), -1)


@function("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of absolute differences along the last axis.

    Args:
        y_true: labels `[batch, ..., d]`.
        y_pred: predictions of the same shape.
    Returns: tensor `[batch, ...]`.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return tf.reduce_mean(tf.abs(y_pred - y_true), -1)


@function("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of differences relative to the labels, in percent, along the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    size = tf.maximum(tf.abs(y_true), tf.cast(backend.epsilon(), y_pred.dtype))
    return 100.0 * tf.reduce_mean(tf.abs((y_true - y_pred) / size), -1)


@function("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of squared differences of `log(1 + y)` along the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    least = tf.cast(backend.epsilon(), y_pred.dtype)
    first = tf.math.log(tf.maximum(y_pred, least) + 1.0)
    second = tf.math.log(tf.maximum(y_true, least) + 1.0)
    return tf.reduce_mean(tf.math.squared_difference(first, second), -1)


@export("keras.losses.huber", "keras.metrics.huber")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the squared difference where it is small, linear beyond `delta` (Huber 1964).

    Args:
        y_true: labels `[batch, ..., d]`.
        y_pred: predictions of the same shape.
        delta: where the function becomes linear.
    Returns: tensor `[batch, ...]`.
    """
    y_pred = tf.cast(y_pred, backend.floatx())
    y_true = tf.cast(y_true, backend.floatx())
    error = tf.abs(y_pred - y_true)
    square, line = 0.5 * tf.square(error), delta * error - 0.5 * delta * delta
    return tf.reduce_mean(tf.where(error <= delta, square, line), -1)


TABLE["huber"] = TABLE["huber_loss"] = huber


@function("logcosh")
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean of `log(cosh(difference))` along the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    x = y_pred - y_true
    values = x + tf.math.softplus(-2.0 * x) - tf.math.log(tf.constant(2.0, x.dtype))
    return tf.reduce_mean(values, -1)


@export("keras.losses.Loss")
class Loss:
    """Base of losses: `loss(y_true, y_pred, sample_weight)` gives a reduced number.

    Subclasses write `call(y_true, y_pred)`, one value a sample.

    Args:
        reduction: a word of `keras.losses.Reduction`.
        name: its name.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str | None = None) -> None:
        Reduction.validate(reduction)
        self.reduction, self.name = reduction, name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        with graph_scope(self.name or type(self).__name__):
            losses = user_code(self.call)(y_true, y_pred)
            return weighted(losses, sample_weight, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss a sample: `[batch, ...]`."""
        raise NotImplementedError("Must be implemented in subclasses.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """A loss from what `get_config` gave."""
        return cls(**config)


def weighted(losses: Any, sample_weight: Any, reduction: str) -> Any:
    """Losses times weights, reduced; what a loss leaves out (`_keras_mask`) does not count."""
    losses = tf.convert_to_tensor(losses)
    if not losses.dtype.is_floating:
        losses = tf.cast(losses, "float32")
    mask = getattr(losses, "_keras_mask", None)
    if sample_weight is not None:
        losses = losses * fitted(tf.cast(sample_weight, losses.dtype), losses)
    if reduction == Reduction.NONE:
        return losses
    if reduction == Reduction.SUM:
        return tf.reduce_sum(losses)
    counted = tf.size(losses) if mask is None else tf.math.count_nonzero(mask)
    count = tf.cast(counted, losses.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(losses), count)


def fitted(weight: Any, values: Any) -> Any:
    """A weight with axes of size 1 added or removed, so that it broadcasts to `values`."""
    rank, wanted = weight.shape.rank, values.shape.rank
    if rank == 0:
        return weight
    if rank is None or wanted is None:
        ones = tf.ones([tf.maximum(tf.rank(values) - tf.rank(weight), 0)], "int32")
        return tf.reshape(weight, tf.concat([tf.shape(weight)[: tf.rank(values)], ones], 0))
    if rank == wanted + 1 and weight.shape[-1] == 1:
        return tf.squeeze(weight, [-1])
    while rank < wanted:
        weight, rank = tf.expand_dims(weight, -1), rank + 1
    return weight


def squeezed(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors, a last axis of size 1 removed from the one that has an axis more."""
    if not (isinstance(y_pred, tf.Tensor) and isinstance(y_true, tf.Tensor)):
        y_pred, y_true = tf.convert_to_tensor(y_pred), tf.convert_to_tensor(y_true)
    return _squeezed(y_true, y_pred), _squeezed(y_pred, y_true)


def _squeezed(x: Any, other: Any) -> Any:
    """`x` without its last axis, if that has size 1 and `other` has an axis less."""
    rank, wanted = x.ndim, other.ndim
    if rank is not None and wanted is not None:
        if rank != wanted + 1 or not wanted or x.shape[-1] not in (1, None):
            return x
        if x.shape[-1] == 1:
            return tf.squeeze(x, [-1])
    single = tf.equal(tf.reduce_prod(tf.shape(x)[-1:]), 1)
    wanted = tf.rank(other)
    found = single & (wanted > 0) & tf.equal(tf.rank(x), wanted + 1)
    return tf.cond(found, lambda: tf.squeeze(x, [-1]), lambda: tf.identity(x))


class LossFunctionWrapper(Loss):
    """A loss class around a function."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str = Reduction.AUTO,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(reduction, name)
        self.fn, self._fn_kwargs = fn, kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if all(isinstance(y, (tf.Tensor, tf.Variable)) for y in (y_true, y_pred)):
            y_true, y_pred = squeezed(y_true, y_pred)
        return user_code(self.fn)(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self._fn_kwargs}
        return {**config, "fn": get_registered_name(self.fn)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """A loss from what `get_config` gave."""
        given = {name: value for name, value in config.items() if name != "fn"}
        if cls is LossFunctionWrapper and "fn" in config:
            return cls(get(config["fn"]), **given)
        return cls(**given)


def _class(class_name: str, function: Callable[..., Any], doc: str) -> Any:
    """A loss class around a function without further arguments."""

    def __init__(
        self: Any, reduction: str = Reduction.AUTO, name: str | None = function.__name__
    ) -> None:
        LossFunctionWrapper.__init__(self, function, reduction, name)

    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    cls = type(class_name, (LossFunctionWrapper,), members)
    TABLE[class_name] = cls
    return export(f"keras.losses.{class_name}")(cls)


_ARGUMENTS = (
    "\n\nArgs:\n    reduction: a word of `keras.losses.Reduction`.\n    name: its name.\n"
)
MeanSquaredError = _class(
    "MeanSquaredError", mean_squared_error, "Mean of squared differences." + _ARGUMENTS
)
MeanAbsoluteError = _class(
    "MeanAbsoluteError", mean_absolute_error, "Mean of absolute differences." + _ARGUMENTS
)
MeanAbsolutePercentageError = _class(
    "MeanAbsolutePercentageError",
    mean_absolute_percentage_error,
    "Mean of differences relative to the labels, in percent." + _ARGUMENTS,
)
MeanSquaredLogarithmicError = _class(
    "MeanSquaredLogarithmicError",
    mean_squared_logarithmic_error,
    "Mean of squared differences of `log(1 + y)`." + _ARGUMENTS,
)
LogCosh = _class("LogCosh", log_cosh, "Mean of `log(cosh(difference))`." + _ARGUMENTS)


@export("keras.losses.Huber")
class Huber(LossFunctionWrapper):
    """Half the squared difference where it is small, linear beyond `delta` (Huber 1964).

    Args:
        delta: where the function becomes linear.
        reduction: a word of `keras.losses.Reduction`.
        name: its name.
    """

    def __init__(
        self, delta: float = 1.0, reduction: str = Reduction.AUTO, name: str = "huber_loss"
    ) -> None:
        super().__init__(huber, reduction, name, delta=delta)


TABLE["Huber"] = Huber


@export("keras.losses.serialize")
def serialize(loss: Any, use_legacy_format: bool = False) -> Any:
    """A loss function's name, or a loss object as a dictionary."""
    return serialize_keras_object(loss)


@export("keras.losses.deserialize")
def deserialize(
    name: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """A loss from its name or dictionary.

    Raises:
        ValueError: nobody knows the name.
    """
    return deserialize_object(name, TABLE, custom_objects, "loss function")


@export("keras.losses.get")
def get(identifier: Any) -> Any:
    """A loss from a name, a dictionary, an object, a function, or None.

    Raises:
        ValueError: an unknown name, or none of these.
    """
    return interpret(identifier, deserialize, "loss function", instances=False)
