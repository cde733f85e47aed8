"""Optimizers and schedules; `get`, `serialize`, `deserialize`."""

from __future__ import annotations

from typing import Any

from headrace.base.export import EXPORTS, export
from headrace.keras.optimizers import gradient_descent, optimizer, schedules
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import serialize_keras_object

TABLE: dict[str, Any] = {
    key: value
    for name, value in EXPORTS.items()
    if name.startswith("keras.optimizers.") and name.count(".") == 2
    for key in (name.rpartition(".")[2], name.rpartition(".")[2].lower())
}


@export("keras.optimizers.serialize")
def serialize(optimizer: Any, use_legacy_format: bool = False) -> Any:
    """An optimizer as a dictionary."""
    return serialize_keras_object(optimizer)


@export("keras.optimizers.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """An optimizer from its dictionary; class names may be written in lower case."""
    name = config["class_name"]
    known = name if name in TABLE else name.lower()
    return deserialize_object(
        {**config, "class_name": known, "registered_name": None},
        TABLE,
        custom_objects,
        "optimizer",
    )


@export("keras.optimizers.get")
def get(identifier: Any, **kwargs: Any) -> Any:
    """An optimizer from a name, a dictionary or an optimizer.

    Raises:
        ValueError: an unknown name, or none of these.

    >>> keras.optimizers.get("nadam").name
    'Nadam'
    """
    if isinstance(identifier, optimizer.Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}")


__all__ = ["gradient_descent", "optimizer", "schedules"]
