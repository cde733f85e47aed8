"""Metrics that sum and average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.engine.call_context import user_code
from headrace.keras.losses import fitted, squeezed
from headrace.keras.metrics.metric import Metric, enter_mean
from headrace.keras.utils.serialization import get_registered_name


class _Running(Metric):
    """Keeps a weighted sum."""

    def __init__(self, name: str, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_weight("total", initializer="zeros")

    def _add(self, values: Any, sample_weight: Any) -> Any:
        """Add values; returns the weights that fit them (or None), and the weighted values."""
        values = tf.cast(values, self._dtype)
        weights = None
        if sample_weight is not None:
            weights = fitted(tf.cast(sample_weight, self._dtype), values)
            rank, wanted = weights.shape.rank, values.shape.rank
            if rank is not None and wanted is not None and rank > wanted:
                weights = tf.reduce_mean(weights, tuple(range(wanted, rank)))
            values = values * weights
        self.total.assign_add(
            values if values.ndim == 0 else tf.reduce_sum(values), read_value=False
        )
        return weights, values


@export("keras.metrics.Sum")
class Sum(_Running):
    """The (weighted) sum of values.

    Args:
        name: its name.
        dtype: dtype of its variable.

    >>> m = keras.metrics.Sum()
    >>> m([1., 2.])
    <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self._add(values, sample_weight)

    def result(self) -> Any:
        return tf.identity(self.total)


@export("keras.metrics.Mean")
class Mean(_Running):
    """The (weighted) mean of values.

    Args:
        name: its name.
        dtype: dtype of its variables.

    >>> m = keras.metrics.Mean()
    >>> m([1., 3.])
    <tf.Tensor: shape=(), dtype=float32, numpy=2.0>
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        weights, values = self._add(values, sample_weight)
        if weights is None:
            known = 1 if values.ndim == 0 else values.shape.num_elements()
            count = tf.cast(tf.size(values), self._dtype) if known is None else float(known)
        else:
            count = tf.reduce_sum(weights + tf.zeros_like(values))
        self.count.assign_add(count, read_value=False)

    def result(self) -> Any:
        return tf.math.divide_no_nan(self.total, self.count)


enter_mean(Mean)


@export("keras.metrics.MeanMetricWrapper")
class MeanMetricWrapper(Mean):
    """The mean of a function of labels and predictions.

    Args:
        fn: function `(y_true, y_pred, **kwargs)`, one value a sample.
        name: its name.
        dtype: dtype of its variables.
        kwargs: further arguments of the function.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name or fn.__name__, dtype)
        self._fn, self._fn_kwargs = fn, kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = tf.cast(y_true, self._dtype), tf.cast(y_pred, self._dtype)
        y_true, y_pred = squeezed(y_true, y_pred)
        values = user_code(self._fn)(y_true, y_pred, **self._fn_kwargs)
        mask = getattr(values, "_keras_mask", None)
        if mask is not None:
            mask = tf.cast(mask, self._dtype)
            given = 1.0 if sample_weight is None else tf.cast(sample_weight, self._dtype)
            sample_weight = mask * fitted(tf.convert_to_tensor(given), mask)
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self._fn_kwargs}
        if type(self) is MeanMetricWrapper:
            config["fn"] = get_registered_name(self._fn)
        return config
