"""Learning rates that change with the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import serialize_keras_object

SPACE = "keras.optimizers.schedules"
TABLE: dict[str, Any] = {}


@export(f"{SPACE}.LearningRateSchedule")
class LearningRateSchedule:
    """Base of schedules: `schedule(step)` gives the learning rate."""

    keras_module = SPACE

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError("Learning rate schedule must override __call__")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError("Learning rate schedule must override get_config")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A schedule from what `get_config` gave."""
        return cls(**config)


def _schedule(cls: type) -> type:
    TABLE[cls.__name__] = cls
    return export(f"{SPACE}.{cls.__name__}")(cls)


class _Decay(LearningRateSchedule):
    """A schedule with an initial rate, a number of steps and a decay rate."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps, self.decay_rate = decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def _part(self, step: Any, dtype: Any) -> Any:
        part = tf.cast(step, dtype) / tf.cast(self.decay_steps, dtype)
        return tf.floor(part) if self.staircase else part

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@_schedule
class ExponentialDecay(_Decay):
    """`initial * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate, decay_steps, decay_rate: see the formula.
        staircase: whether to round the exponent down.
        name: its name.
    """

    def __call__(self, step: Any) -> Any:
        rate = tf.convert_to_tensor(self.initial_learning_rate)
        factor = tf.cast(self.decay_rate, rate.dtype)
        return rate * tf.pow(factor, self._part(step, rate.dtype))


@_schedule
class InverseTimeDecay(_Decay):
    """`initial / (1 + decay_rate * step / decay_steps)`; arguments as ExponentialDecay."""

    def __call__(self, step: Any) -> Any:
        rate = tf.convert_to_tensor(self.initial_learning_rate)
        factor = tf.cast(self.decay_rate, rate.dtype)
        return rate / (1.0 + factor * self._part(step, rate.dtype))


@_schedule
class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate up to each boundary.

    Args:
        boundaries: steps, increasing.
        values: rates, one more than boundaries.
        name: its name.
    Raises:
        ValueError: not one more value than boundaries.
    """

    def __init__(
        self, boundaries: Sequence[Any], values: Sequence[Any], name: str | None = None
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. "
                "Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                f"length {len(values)}."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Any:
        step = tf.convert_to_tensor(step)
        boundaries = [tf.cast(boundary, step.dtype) for boundary in self.boundaries]
        passed = tf.reduce_sum(tf.cast(step > tf.stack(boundaries), "int32"))
        return tf.gather(tf.convert_to_tensor(self.values), passed)

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


@_schedule
class PolynomialDecay(LearningRateSchedule):
    """From one rate to another, along a polynomial.

    Args:
        initial_learning_rate, end_learning_rate: the rates.
        decay_steps: how many steps it takes.
        power: the polynomial's.
        cycle: whether to begin again with more steps.
        name: its name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power = end_learning_rate, power
        self.cycle, self.name = cycle, name

    def __call__(self, step: Any) -> Any:
        rate = tf.convert_to_tensor(self.initial_learning_rate)
        at, steps = tf.cast(step, rate.dtype), tf.cast(self.decay_steps, rate.dtype)
        if self.cycle:
            steps *= tf.maximum(tf.math.ceil(at / steps), 1.0)
        else:
            at = tf.minimum(at, steps)
        end = tf.cast(self.end_learning_rate, rate.dtype)
        return (rate - end) * tf.pow(1.0 - at / steps, self.power) + end

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


@export(f"{SPACE}.serialize")
def serialize(learning_rate_schedule: Any, use_legacy_format: bool = False) -> Any:
    """A schedule as a dictionary."""
    return serialize_keras_object(learning_rate_schedule)


@export(f"{SPACE}.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """A schedule from its dictionary."""
    return deserialize_object(config, TABLE, custom_objects, "learning rate schedule")
