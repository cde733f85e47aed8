"""Metrics, by family; `get`, `serialize`, `deserialize`."""

from __future__ import annotations

from typing import Any

from headrace.base.export import EXPORTS, export
from headrace.keras import losses
from headrace.keras.metrics import classification, mean, metric, regression
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import serialize_keras_object

TABLE: dict[str, Any] = {
    **losses.TABLE,
    **{
        name.rpartition(".")[2]: value
        for name, value in EXPORTS.items()
        if name.startswith("keras.metrics.") and isinstance(value, type)
    },
}


@export("keras.metrics.serialize")
def serialize(metric: Any, use_legacy_format: bool = False) -> Any:
    """A metric function's name, or a metric as a dictionary."""
    return serialize_keras_object(metric)


@export("keras.metrics.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """A metric from its name or dictionary."""
    return deserialize_object(config, TABLE, custom_objects, "metric function")


@export("keras.metrics.get")
def get(identifier: Any) -> Any:
    """A metric from a name, a dictionary, an object, or a function.

    Raises:
        ValueError: an unknown name, or none of these.
    """
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret metric identifier: {identifier}")


__all__ = ["classification", "mean", "metric", "regression"]
