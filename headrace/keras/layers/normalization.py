"""Layers that bring their inputs to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras import constraints, initializers, regularizers
from headrace.keras.engine.layer import Layer


@export("keras.layers.LayerNormalization")
class LayerNormalization(Layer):
    """`gamma (x - mean) / sqrt(variance + epsilon) + beta`, for each example by itself.

    Mean and variance are those of the example along some axes (Ba et al. 2016).

    Args:
        axis: int or ints, the axes that are normalised together.
        epsilon: a small number that keeps the root from 0.
        center: whether to add `beta`.
        scale: whether to multiply with `gamma`.
        beta_initializer, gamma_initializer: what `keras.initializers.get` takes.
        beta_regularizer, gamma_regularizer: what `keras.regularizers.get` takes.
        beta_constraint, gamma_constraint: what `keras.constraints.get` takes.
    Raises:
        TypeError: an axis that is no int. ValueError: an axis that the input does not have.

    Input and output: tensor of one shape. Weights: of the shape of the axes.

    >>> keras.layers.LayerNormalization()(np.array([[0., 2.]], "float32")).numpy()
    array([[-0.99950033,  0.9995003 ]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, (int, list, tuple)):
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but "
                f"received: {axis!r}"
            )
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        dims = tuple(tf.TensorShape(input_shape))
        if not dims:
            raise ValueError(f"Input has undefined rank. Received: input_shape={input_shape}")
        self._axes = checked_axes(self.axis, len(dims))
        shape = [dims[axis] for axis in self._axes]
        self._spread = tuple(n if i in self._axes else 1 for i, n in enumerate(dims))
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                weight = self.add_weight(
                    name,
                    shape,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                )
                setattr(self, name, weight)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        dtype = inputs.dtype
        x = tf.cast(inputs, "float32") if dtype.size == 2 else inputs
        mean, variance = tf.nn.moments(x, self._axes, keepdims=True)
        x = (x - mean) * tf.math.rsqrt(variance + self.epsilon)
        if self.scale:
            x = x * self._fitted(self.gamma, x.dtype)
        if self.center:
            x = x + self._fitted(self.beta, x.dtype)
        return tf.cast(x, dtype)

    def _fitted(self, weight: Any, dtype: Any) -> Any:
        """A weight that broadcasts along the normalised axes."""
        last = len(self._spread) - 1
        if self._axes == (last,):
            return tf.cast(weight, dtype)
        return tf.cast(tf.reshape(weight, self._spread), dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def checked_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Axes of a tensor of a rank, none of them negative.

    Raises:
        ValueError: the tensor does not have one of them, or one is given twice.
    """
    axes = tuple(a + rank if a < 0 else a for a in ([axis] if isinstance(axis, int) else axis))
    if any(not 0 <= a < rank for a in axes):
        raise ValueError(
            "Invalid value for `axis` argument. Expected 0 <= axis < inputs.rank (with "
            f"inputs.rank={rank}). Received: axis={axes}"
        )
    if len(set(axes)) != len(axes):
        raise ValueError(f"Duplicate axis: {axes}")
    return axes
