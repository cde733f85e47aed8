"""Conditions that weights are made to fulfil after every update."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import interpret, serialize_keras_object

TABLE: dict[str, Any] = {}


def _named(name: str) -> Any:
    def register(cls: type) -> type:
        TABLE[cls.__name__] = TABLE[name] = cls
        return export(f"keras.constraints.{cls.__name__}", f"keras.constraints.{name}")(cls)

    return register


@export("keras.constraints.Constraint")
class Constraint:
    """Base of constraints: `constraint(weight)` gives the weight that is allowed."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A constraint from what `get_config` gave."""
        return cls(**config)


def _norms(w: Any, axis: Any) -> Any:
    return tf.sqrt(tf.reduce_sum(tf.square(w), axis, keepdims=True))


@_named("max_norm")
class MaxNorm(Constraint):
    """Norms along an axis are at most `max_value`.

    Args:
        max_value: the largest norm.
        axis: int or ints.
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = tf.clip_by_value(norms, 0.0, float(self.max_value))
        return w * (wanted / (backend.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@_named("non_neg")
class NonNeg(Constraint):
    """Negative weights become 0."""

    def __call__(self, w: Any) -> Any:
        w = tf.convert_to_tensor(w)
        return w * tf.cast(w >= 0.0, w.dtype)


@_named("unit_norm")
class UnitNorm(Constraint):
    """Norms along an axis are 1.

    Args:
        axis: int or ints.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (backend.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@_named("min_max_norm")
class MinMaxNorm(Constraint):
    """Norms along an axis move into an interval.

    Args:
        min_value, max_value: the interval.
        rate: how far they move: 1 is all the way.
        axis: int or ints.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        inside = tf.clip_by_value(norms, float(self.min_value), float(self.max_value))
        wanted = self.rate * inside + (1 - self.rate) * norms
        return w * (wanted / (backend.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


TABLE["nonneg"] = NonNeg


@export("keras.constraints.serialize")
def serialize(constraint: Any, use_legacy_format: bool = False) -> Any:
    """A constraint as a dictionary."""
    return serialize_keras_object(constraint)


@export("keras.constraints.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """A constraint from its dictionary or name."""
    return deserialize_object(config, TABLE, custom_objects, "constraint")


@export("keras.constraints.get")
def get(identifier: Any) -> Any:
    """A constraint from a name, a dictionary, an object, a function, or None.

    Raises:
        ValueError: an unknown name, or none of these.
    """
    return interpret(identifier, deserialize, "constraint function")
