"""Metrics of regression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import losses
from headrace.keras.metrics.mean import Mean, MeanMetricWrapper


def _class(class_name: str, function: Callable[..., Any], name: str, doc: str) -> Any:
    """The running mean of a loss function."""

    def __init__(self: Any, name: str = name, dtype: Any = None) -> None:
        MeanMetricWrapper.__init__(self, function, name, dtype)

    text = f"{doc}\n\nArgs:\n    name: its name.\n    dtype: dtype of its variables.\n"
    members = {"__init__": __init__, "__doc__": text, "__module__": __name__}
    cls = type(class_name, (MeanMetricWrapper,), members)
    return export(f"keras.metrics.{class_name}")(cls)


MeanSquaredError = _class(
    "MeanSquaredError",
    losses.mean_squared_error,
    "mean_squared_error",
    "Mean of squared differences.",
)
MeanAbsoluteError = _class(
    "MeanAbsoluteError",
    losses.mean_absolute_error,
    "mean_absolute_error",
    "Mean of absolute differences.",
)
MeanAbsolutePercentageError = _class(
    "MeanAbsolutePercentageError",
    losses.mean_absolute_percentage_error,
    "mean_absolute_percentage_error",
    "Mean of differences relative to the labels, in percent.",
)
MeanSquaredLogarithmicError = _class(
    "MeanSquaredLogarithmicError",
    losses.mean_squared_logarithmic_error,
    "mean_squared_logarithmic_error",
    "Mean of squared differences of `log(1 + y)`.",
)
LogCoshError = _class(
    "LogCoshError", losses.log_cosh, "logcosh", "Mean of `log(cosh(difference))`."
)


@export("keras.metrics.RootMeanSquaredError")
class RootMeanSquaredError(Mean):
    """Root of the mean of squared differences.

    Args:
        name: its name.
        dtype: dtype of its variables.
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = losses.squeezed(y_true, y_pred)
        y_true, y_pred = tf.cast(y_true, self._dtype), tf.cast(y_pred, self._dtype)
        super().update_state(tf.math.squared_difference(y_pred, y_true), sample_weight)

    def result(self) -> Any:
        return tf.sqrt(tf.math.divide_no_nan(self.total, self.count))
