"""`Metric`: a number that is kept over many batches."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.engine import layer as layer_module
from headrace.keras.engine.call_context import around_calls, context, user_code
from headrace.keras.engine.layer import Layer


@export("keras.metrics.Metric")
class Metric(Layer):
    """Base of metrics: `update_state` adds a batch, `result` gives the number.

    Subclasses make their variables with `add_weight(name, initializer="zeros")`.

    Args:
        name: its name (default: from the class, made unique).
        dtype: dtype of its variables.
    """

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.stateful = True
        self.built = True
        self._result: Any = None

    def _signature(self) -> None:
        self._takes_training = False
        self._first_name = "y_true"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch, and give the number over all batches so far."""
        user_code(self.update_state)(*args, **kwargs)
        self._result = result = user_code(self.result)()
        return result

    def is_result(self, value: Any) -> bool:
        """Whether `value` is what the last call of this metric gave."""
        return value is not None and value is self._result

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = (),
        aggregation: Any = tf.VariableAggregation.SUM,
        synchronization: Any = tf.VariableSynchronization.ON_READ,
        initializer: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A new variable of this metric; it is not trained.

        Args:
            name: its name.
            shape: its shape (default: scalar).
            aggregation, synchronization: for copies on several devices.
            initializer: what `keras.initializers.get` takes.
            dtype: its dtype (default: the metric's).
        """
        outer, context.scope = context.scope, ""
        try:
            with around_calls():
                return super().add_weight(
                    name=name,
                    shape=shape,
                    dtype=dtype,
                    trainable=False,
                    initializer=initializer,
                    synchronization=synchronization,
                    aggregation=aggregation,
                    **kwargs,
                )
        finally:
            context.scope = outer

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch; subclasses write it."""
        raise NotImplementedError("Must be implemented in subclasses.")

    def result(self) -> Any:
        """The number over all batches so far; subclasses write it."""
        raise NotImplementedError("Must be implemented in subclasses.")

    def reset_state(self) -> None:
        """Begin again: all variables become 0."""
        for variable in self.variables:
            variable.assign(tf.zeros_like(variable), read_value=False)

    def reset_states(self) -> None:
        """Begin again (older spelling of `reset_state`)."""
        self.reset_state()

    def merge_state(self, metrics: Any) -> None:
        """Add what other metrics of the same sort have counted.

        Raises:
            ValueError: a metric with other variables.
        """
        for metric in metrics:
            if len(self.weights) != len(metric.weights):
                raise ValueError(f"Metric {metric} is not compatible with {self}")
            for mine, theirs in zip(self.weights, metric.weights, strict=True):
                mine.assign_add(theirs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


def enter_mean(mean: type[Metric]) -> None:
    """Let `Layer.add_metric` know the metric that it makes."""
    layer_module._MEAN[:] = [mean]
