"""Losses of classification: cross-entropies of probabilities or logits.

A prediction that a softmax or sigmoid activation made remembers its logits, and the loss is
then computed from these: that is exact where probabilities round to 0 or 1.
"""

from __future__ import annotations

import warnings
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend, losses
from headrace.keras.losses import LossFunctionWrapper, Reduction


def _logits(output: Any, from_logits: bool, activation: str, function: str) -> tuple[Any, bool]:
    """The logits behind a prediction if they are known, and whether the answer is logits."""
    found = getattr(output, "_keras_logits", None)
    if found is None and not tf.executing_eagerly() and output.op.type == activation:
        found = output.op.inputs[0]
    if found is None:
        return output, from_logits
    if from_logits:
        warnings.warn(
            f'"`{function}` received `from_logits=True`, but the `output` argument was '
            f"produced by a {activation} activation and thus does not represent logits. "
            "Was this intended?",
            stacklevel=3,
        )
    return found, True


def _clipped(output: Any) -> Any:
    least = tf.cast(backend.epsilon(), output.dtype)
    return tf.clip_by_value(output, least, 1.0 - least)


# What one prediction costs


@export("keras.backend.categorical_crossentropy")
def categorical(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy between distributions and predictions.

    Args:
        target: distributions, of the predictions' shape.
        output: probabilities, or logits.
        from_logits: whether `output` is logits.
        axis: the axis of the classes.
    Raises:
        ValueError: shapes that differ.
    """
    target, output = tf.convert_to_tensor(target), tf.convert_to_tensor(output)
    target.shape.assert_is_compatible_with(output.shape)
    output, from_logits = _logits(output, from_logits, "Softmax", "categorical_crossentropy")
    if from_logits:
        return tf.nn.softmax_cross_entropy_with_logits(target, output, axis)
    output = _clipped(output / tf.reduce_sum(output, axis, keepdims=True))
    return -tf.reduce_sum(target * tf.math.log(output), axis)


@export("keras.backend.sparse_categorical_crossentropy")
def sparse_categorical(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """Cross-entropy between class numbers and predictions.

    Args:
        target: class numbers `[...]` or `[..., 1]`.
        output: probabilities or logits `[..., classes]`.
        from_logits: whether `output` is logits.
        axis: the axis of the classes.
        ignore_class: a number that costs nothing.
    """
    target, output = tf.cast(target, "int64"), tf.convert_to_tensor(output)
    name = "sparse_categorical_crossentropy"
    output, from_logits = _logits(output, from_logits, "Softmax", name)
    if not from_logits:
        output = tf.math.log(_clipped(output))
    rank = output.shape.rank
    if rank is not None and axis % rank != rank - 1:
        axis %= rank
        output = tf.transpose(output, (*range(axis), *range(axis + 1, rank), axis))
    rows = tf.shape(output)[:-1]
    flat = None not in (rank, target.shape.rank) and target.shape.rank != rank - 1
    if flat:
        target = tf.reshape(target, [-1])
        output = tf.reshape(output, [-1, tf.shape(output)[-1]])
    if ignore_class is not None:
        return _ignoring(target, output, ignore_class, rows if flat and rank > 2 else None)
    found = tf.nn.sparse_softmax_cross_entropy_with_logits(target, output)
    return tf.reshape(found, rows) if flat and rank > 2 else found


def _ignoring(target: Any, output: Any, ignored: int, rows: Any) -> Any:
    """The losses of all targets but one class, with zeros in its place.

    The result remembers which are counted.
    """
    counted = tf.not_equal(target, tf.cast(ignored, target.dtype))
    kept = tf.where(counted, target, tf.zeros_like(target))
    found = tf.nn.sparse_softmax_cross_entropy_with_logits(kept, output)
    found = tf.where(counted, found, tf.zeros_like(found))
    if rows is not None:
        found, counted = tf.reshape(found, rows), tf.reshape(counted, rows)
    found = tf.identity(found)
    found._keras_mask = counted
    return found


@export("keras.backend.binary_crossentropy")
def binary(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy between numbers in [0, 1] and predictions, elementwise.

    Args:
        target: numbers in [0, 1], of the predictions' shape.
        output: probabilities, or logits.
        from_logits: whether `output` is logits.
    """
    target, output = tf.convert_to_tensor(target), tf.convert_to_tensor(output)
    output, from_logits = _logits(output, from_logits, "Sigmoid", "binary_crossentropy")
    if from_logits:
        return tf.nn.sigmoid_cross_entropy_with_logits(target, output)
    output, least = _clipped(output), backend.epsilon()
    hit = target * tf.math.log(output + least)
    return -(hit + (1.0 - target) * tf.math.log(1.0 - output + least))


# The losses


def _labels(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = tf.convert_to_tensor(y_pred)
    return tf.cast(y_true, y_pred.dtype), y_pred


@losses.function()
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy between one-hot labels and predictions.

    Args:
        y_true: labels `[batch, ..., classes]`, distributions.
        y_pred: probabilities (or logits) of the same shape.
        from_logits: whether `y_pred` is logits.
        label_smoothing: the share of each label that is spread over all classes.
        axis: the axis of the classes.
    Returns: tensor `[batch, ...]`.
    Raises:
        ValueError: shapes that differ.

    >>> keras.losses.categorical_crossentropy([[0., 1.]], [[0.5, 0.5]]).numpy()
    array([0.6931472], dtype=float32)
    """
    y_true, y_pred = _labels(y_true, y_pred)
    if label_smoothing:
        classes = tf.cast(tf.shape(y_true)[-1], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    return categorical(y_true, y_pred, from_logits, axis)


@losses.function()
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Any:
    """Cross-entropy between class numbers and predictions.

    Args:
        y_true: class numbers `[batch, ...]`, or `[batch, ..., 1]`.
        y_pred: probabilities (or logits) `[batch, ..., classes]`.
        from_logits: whether `y_pred` is logits.
        axis: the axis of the classes.
        ignore_class: a class number that costs nothing.
    Returns: tensor `[batch, ...]`.

    >>> keras.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy()
    array([0.6931472], dtype=float32)
    """
    return sparse_categorical(y_true, y_pred, from_logits, axis, ignore_class)


@losses.function()
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The mean of cross-entropies between labels of 0 or 1 and predictions, along an axis.

    Args:
        y_true: labels `[batch, ..., d]`.
        y_pred: probabilities (or logits) of the same shape.
        from_logits: whether `y_pred` is logits.
        label_smoothing: the share of each label that becomes one half.
        axis: the axis of the mean.
    Returns: tensor `[batch, ...]`.

    >>> keras.losses.binary_crossentropy([[0., 1.]], [[0.5, 0.5]]).numpy()
    array([0.6931472], dtype=float32)
    """
    y_true, y_pred = _labels(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return tf.reduce_mean(binary(y_true, y_pred, from_logits), axis)


losses.TABLE["bce"] = losses.TABLE["BCE"] = binary_crossentropy


def _named(cls: Any) -> Any:
    cls.__module__ = losses.__name__
    losses.TABLE[cls.__name__] = cls
    return export(f"keras.losses.{cls.__name__}")(cls)


@_named
class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy between one-hot labels and predictions.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: the share of each label that is spread over all classes.
        axis: the axis of the classes.
        reduction: a word of `keras.losses.Reduction`.
        name: its name.

    >>> float(keras.losses.CategoricalCrossentropy()([[0., 1.]], [[0.5, 0.5]]))
    0.6931471824645996
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = Reduction.AUTO,
        name: str | None = "categorical_crossentropy",
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@_named
class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy between class numbers and predictions.

    Args:
        from_logits: whether predictions are logits.
        ignore_class: a class number that is left out of the mean.
        reduction: a word of `keras.losses.Reduction`.
        name: its name.

    >>> float(keras.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]]))
    0.6931471824645996
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = Reduction.AUTO,
        name: str | None = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            from_logits=from_logits,
            ignore_class=ignore_class,
        )


@_named
class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy between labels of 0 or 1 and predictions.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: the share of each label that becomes one half.
        axis: the axis of the mean of one example.
        reduction: a word of `keras.losses.Reduction`.
        name: its name.

    >>> float(keras.losses.BinaryCrossentropy()([[0., 1.]], [[0.5, 0.5]]))
    0.6931471824645996
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = Reduction.AUTO,
        name: str | None = "binary_crossentropy",
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
