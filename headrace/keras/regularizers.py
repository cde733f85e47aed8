"""Penalties on weights, added to the loss."""

from __future__ import annotations

import math
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import interpret, serialize_keras_object

TABLE: dict[str, Any] = {}


@export("keras.regularizers.Regularizer")
class Regularizer:
    """Base of regularizers: `regularizer(weight)` gives a scalar."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A regularizer from what `get_config` gave."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{self} does not implement get_config()")


def _factor(value: Any, name: str) -> float:
    value = 0.01 if value is None else value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or math.isinf(value) or math.isnan(value):
        raise ValueError(
            f"Invalid Regularization Factor: {name} is of unallowed type. Received: {value}"
        )
    return float(tf.constant(value, backend.floatx()))


@export("keras.regularizers.L1", "keras.regularizers.l1")
class L1(Regularizer):
    """`l1` times the sum of absolute values.

    Args:
        l1: the factor.

    >>> keras.regularizers.L1(0.5)(tf.constant([1., -2.]))
    <tf.Tensor: shape=(), dtype=float32, numpy=1.5>
    """

    def __init__(self, l1: float = 0.01, **kwargs: Any) -> None:
        l1 = kwargs.pop("l", l1)
        if kwargs:
            raise TypeError(f"Argument(s) not recognized: {kwargs}")
        self.l1 = _factor(l1, "l1")

    def __call__(self, x: Any) -> Any:
        return self.l1 * tf.reduce_sum(tf.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@export("keras.regularizers.L2", "keras.regularizers.l2")
class L2(Regularizer):
    """`l2` times the sum of squares.

    Args:
        l2: the factor.

    >>> keras.regularizers.L2(0.5)(tf.constant([1., -2.]))
    <tf.Tensor: shape=(), dtype=float32, numpy=2.5>
    """

    def __init__(self, l2: float = 0.01, **kwargs: Any) -> None:
        l2 = kwargs.pop("l", l2)
        if kwargs:
            raise TypeError(f"Argument(s) not recognized: {kwargs}")
        self.l2 = _factor(l2, "l2")

    def __call__(self, x: Any) -> Any:
        return 2.0 * self.l2 * tf.nn.l2_loss(x)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@export("keras.regularizers.L1L2")
class L1L2(Regularizer):
    """Both penalties: `l1 sum |x| + l2 sum x^2`.

    Args:
        l1, l2: the factors; 0 leaves one out.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor(0.0 if l1 is None else l1, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        total = tf.constant(0.0, dtype=x.dtype)
        if self.l1:
            total = total + self.l1 * tf.reduce_sum(tf.abs(x))
        if self.l2:
            total = total + 2.0 * self.l2 * tf.nn.l2_loss(x)
        return total

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@export("keras.regularizers.l1_l2")
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """A regularizer with both penalties.

    Args:
        l1, l2: the factors.
    """
    return L1L2(l1=l1, l2=l2)


@export("keras.regularizers.OrthogonalRegularizer", "keras.regularizers.orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """Lets the rows (or columns) of a matrix become orthogonal.

    Args:
        factor: of the penalty.
        mode: "rows" or "columns".
    Raises:
        ValueError: another mode, or a weight that is no matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in {"rows", "columns"}:
            raise ValueError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode}"
            )
        self.factor, self.mode = float(factor), mode

    def __call__(self, inputs: Any) -> Any:
        if inputs.shape.rank != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: "
                f"inputs.shape={inputs.shape}"
            )
        rows = self.mode == "rows"
        unit = tf.math.l2_normalize(inputs, axis=1 if rows else 0)
        products = tf.matmul(unit, unit, transpose_a=not rows, transpose_b=rows)
        size = inputs.shape[0 if rows else 1]
        others = products * (1.0 - tf.eye(size, dtype=inputs.dtype))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * tf.reduce_sum(tf.abs(others)) / pairs

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


TABLE.update(
    L1=L1,
    L2=L2,
    L1L2=L1L2,
    l1=L1,
    l2=L2,
    l1_l2=L1L2,
    OrthogonalRegularizer=OrthogonalRegularizer,
)


@export("keras.regularizers.serialize")
def serialize(regularizer: Any, use_legacy_format: bool = False) -> Any:
    """A regularizer as a dictionary."""
    return serialize_keras_object(regularizer)


@export("keras.regularizers.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """A regularizer from its dictionary or name."""
    if config == "l1_l2":
        return L1L2(l1=0.01, l2=0.01)
    return deserialize_object(config, TABLE, custom_objects, "regularizer")


@export("keras.regularizers.get")
def get(identifier: Any) -> Any:
    """A regularizer from a name, a dictionary, an object, a function, or None.

    Raises:
        ValueError: an unknown name, or none of these.
    """
    return interpret(identifier, deserialize, "regularizer")
