"""Metrics of classification: accuracies and mean cross-entropies."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend, crossentropy
from headrace.keras.losses import TABLE
from headrace.keras.metrics.mean import MeanMetricWrapper


def _named(function: Any) -> Any:
    TABLE[function.__name__] = function
    return export(f"keras.metrics.{function.__name__}")(function)


@_named
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """How often predictions are on the labels' side of a threshold, along the last axis.

    Args:
        y_true: labels of 0 or 1, `[batch, ..., d]`.
        y_pred: predictions of the same shape.
        threshold: above it a prediction means 1.
    Returns: tensor `[batch, ...]`.

    >>> keras.metrics.binary_accuracy([[1., 0.]], [[0.8, 0.6]]).numpy()
    array([0.5], dtype=float32)
    """
    return tf.reduce_mean(_on_one_side(y_true, y_pred, threshold), -1)


def _on_one_side(y_true: Any, y_pred: Any, threshold: float) -> Any:
    """Whether predictions are on the labels' side of a threshold, elementwise."""
    y_pred = tf.convert_to_tensor(y_pred)
    said = tf.cast(y_pred > tf.cast(threshold, y_pred.dtype), y_pred.dtype)
    return tf.cast(tf.equal(tf.cast(y_true, said.dtype), said), backend.floatx())


@_named
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the likeliest class is the one of a one-hot label.

    Args:
        y_true: labels `[batch, ..., classes]`.
        y_pred: predictions of the same shape.
    Returns: tensor `[batch, ...]` of 0 and 1.

    >>> keras.metrics.categorical_accuracy([[0., 1.]], [[0.2, 0.8]]).numpy()
    array([1.], dtype=float32)
    """
    right = tf.equal(tf.argmax(y_true, -1), tf.argmax(y_pred, -1))
    return tf.cast(right, backend.floatx())


@_named
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the likeliest class is the one of a label.

    Args:
        y_true: class numbers `[batch, ...]`, or `[batch, ..., 1]`.
        y_pred: predictions `[batch, ..., classes]`.
    Returns: tensor `[batch, ...]` of 0 and 1.

    >>> keras.metrics.sparse_categorical_accuracy([1], [[0.2, 0.8]]).numpy()
    array([1.], dtype=float32)
    """
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    if y_true.shape.rank is not None and y_true.shape.rank == y_pred.shape.rank:
        y_true = tf.squeeze(y_true, [-1])
    said = tf.cast(tf.argmax(y_pred, -1), y_true.dtype)
    return tf.cast(tf.equal(y_true, said), backend.floatx())


def _equal(y_true: Any, y_pred: Any) -> Any:
    """Whether predictions are the labels."""
    return tf.cast(tf.equal(y_true, y_pred), backend.floatx())


def _accuracy(class_name: str, function: Any, name: str, doc: str) -> Any:
    """The running mean of an accuracy without further arguments."""

    def __init__(self: Any, name: str = name, dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, function, name, dtype)

    text = f"{doc}\n\nArgs:\n    name: its name.\n    dtype: dtype of its variables.\n"
    members = {"__init__": __init__, "__doc__": text, "__module__": __name__}
    cls = type(class_name, (MeanMetricWrapper,), members)
    return export(f"keras.metrics.{class_name}")(cls)


Accuracy = _accuracy("Accuracy", _equal, "accuracy", "How often predictions are the labels.")
CategoricalAccuracy = _accuracy(
    "CategoricalAccuracy",
    categorical_accuracy,
    "categorical_accuracy",
    "How often the likeliest class is the one of a one-hot label.",
)
SparseCategoricalAccuracy = _accuracy(
    "SparseCategoricalAccuracy",
    sparse_categorical_accuracy,
    "sparse_categorical_accuracy",
    "How often the likeliest class is the one of a label.",
)


@export("keras.metrics.BinaryAccuracy")
class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the labels' side of a threshold.

    Args:
        name: its name.
        dtype: dtype of its variables.
        threshold: above it a prediction means 1.
    """

    def __init__(
        self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(_on_one_side, name, dtype, threshold=threshold)


@export("keras.metrics.BinaryCrossentropy")
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between labels of 0 or 1 and predictions.

    Args:
        name: its name.
        dtype: dtype of its variables.
        from_logits: whether predictions are logits.
        label_smoothing: the share of each label that becomes one half.
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            crossentropy.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@export("keras.metrics.CategoricalCrossentropy")
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between one-hot labels and predictions.

    Args:
        name: its name.
        dtype: dtype of its variables.
        from_logits: whether predictions are logits.
        label_smoothing: the share of each label that is spread over all classes.
        axis: the axis of the classes.
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            crossentropy.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@export("keras.metrics.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy between class numbers and predictions.

    Args:
        name: its name.
        dtype: dtype of its variables.
        from_logits: whether predictions are logits.
        ignore_class: a class number that is left out.
        axis: the axis of the classes.
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            crossentropy.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
