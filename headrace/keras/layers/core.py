"""Layers that most models use: Dense, Activation, Dropout, Flatten, Lambda."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras import activations, backend, constraints, initializers, regularizers
from headrace.keras.engine.input_spec import InputSpec
from headrace.keras.engine.layer import Layer
from headrace.keras.utils.serialization import get_registered_name


@export("keras.layers.Dense")
class Dense(Layer):
    """`activation(inputs @ kernel + bias)`.

    Args:
        units: int, the size of the output's last dimension.
        activation: what `keras.activations.get` takes (default: none).
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: what `keras.initializers.get` takes.
        kernel_regularizer, bias_regularizer, activity_regularizer: what
            `keras.regularizers.get` takes.
        kernel_constraint, bias_constraint: what `keras.constraints.get` takes.
    Raises:
        ValueError: units that are no positive int; an input of another last dimension.

    Input: tensor `[batch, ..., d]`. Output: tensor `[batch, ..., units]`.

    >>> keras.layers.Dense(2, kernel_initializer="ones")(np.ones((1, 3))).numpy()
    array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = int(units) if not isinstance(units, int) else units
        if self.units < 0:
            raise ValueError(
                "Received an invalid value for `units`, expected a positive integer. "
                f"Received: units={units}"
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True
        self.kernel = self.bias = None

    def build(self, input_shape: Any) -> None:
        if not self._dtype.is_floating and not self._dtype.is_complex:
            raise TypeError(
                "A Dense layer can only be built with a floating-point dtype. Received: "
                f"dtype={self._dtype}"
            )
        shape = tf.TensorShape(input_shape)
        last = shape[-1] if shape.rank else None
        if last is None:
            raise ValueError(
                "The last dimension of the inputs to a Dense layer should be defined. Found "
                f"None. Full input shape received: {input_shape}"
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: last})
        self.kernel = self.add_weight(
            "kernel",
            shape=[last, self.units],
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            trainable=True,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                shape=[self.units],
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                trainable=True,
            )
        super().build(shape)

    def call(self, inputs: Any) -> Any:
        if inputs.dtype is not self._dtype:
            inputs = tf.cast(inputs, self._dtype)
        if inputs.ndim == 2:
            outputs = tf.matmul(inputs, self.kernel)
        else:
            outputs = tf.tensordot(inputs, self.kernel, [[inputs.ndim - 1], [0]])
        if self.use_bias:
            outputs = outputs + self.bias
        activation = self.activation
        return outputs if activation is activations.linear else activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = tf.TensorShape(input_shape).with_rank_at_least(2)
        if shape[-1] is None:
            raise ValueError(
                "The last dimension of the input shape of a Dense layer should be defined. "
                f"Found None. Received: input_shape={input_shape}"
            )
        return shape[:-1].concatenate(self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self._activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


@export("keras.layers.Activation")
class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: what `keras.activations.get` takes.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


@export("keras.layers.Dropout")
class Dropout(Layer):
    """In training, sets some inputs to 0 and scales up the rest (Srivastava et al. 2014).

    Args:
        rate: the share that is dropped, in [0, 1); 1 is refused when it is called.
        noise_shape: shape of the mask; axes of size 1 share it, None stands for all.
        seed: int: the seed of the first call, which each further call adds 1 to.
    Raises:
        ValueError: another rate.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(rate, (int, float)) and not 0 <= rate <= 1:
            raise ValueError(
                f"Invalid value {rate} received for `rate`, expected a value between 0 and 1."
            )
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed
        self.supports_masking = True
        self._next_seed = seed

    def call(self, inputs: Any, training: Any = None) -> Any:
        if isinstance(training, (tf.Tensor, tf.Variable)):
            training = tf.cast(training, "bool")
            return tf.cond(training, lambda: self._drop(inputs), lambda: tf.identity(inputs))
        return self._drop(inputs) if training else inputs

    def _drop(self, inputs: Any) -> Any:
        if self.rate == 0:
            return inputs
        seed = self._next_seed
        if seed is not None:
            self._next_seed = seed + 1
        shape = self._mask_shape(inputs)
        return tf.nn.dropout(inputs, self.rate, noise_shape=shape, seed=seed)

    def _mask_shape(self, inputs: Any) -> Any:
        wanted = self.noise_shape
        if wanted is None or inputs.shape.is_fully_defined():
            return wanted
        dims = tf.shape(inputs)
        return tf.stack([dims[i] if size is None else size for i, size in enumerate(wanted)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tf.TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "noise_shape": self.noise_shape,
            "seed": self.seed,
        }


@export("keras.layers.Flatten")
class Flatten(Layer):
    """Makes a vector of each example.

    Args:
        data_format: "channels_last" or "channels_first" (then channels go last first).
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or backend.image_data_format()
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                "The `data_format` argument must be one of 'channels_first', 'channels_last'. "
                f"Received: {data_format}"
            )
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        rank = inputs.ndim
        if self.data_format == "channels_first" and rank > 2:
            inputs = tf.transpose(inputs, (0, *range(2, rank), 1))
        batch, *rest = inputs.shape if rank else (1,)
        if None not in rest:
            return tf.reshape(inputs, [-1 if batch is None else batch, int(np.prod(rest))])
        shape = tf.shape(inputs)
        return tf.reshape(inputs, [shape[0], tf.reduce_prod(shape[1:])])

    def compute_output_shape(self, input_shape: Any) -> Any:
        dims = tuple(tf.TensorShape(input_shape))
        size = None if None in dims[1:] else int(np.prod(dims[1:]))
        return tf.TensorShape([dims[0], size])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@export("keras.layers.Lambda")
class Lambda(Layer):
    """A layer around a function.

    Args:
        function: function of the inputs (and of `mask`, `training`, if it has arguments of
            these names that are not keyword-only).
        output_shape: the output's shape without the batch, or a function of the input's shape.
        mask: mask of the output, or function of inputs and mask.
        arguments: dictionary of further arguments of the function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function, self.arguments = function, arguments or {}
        self.mask, self._output_shape = mask, output_shape
        self.supports_masking = True
        self._passed = {"mask", "training"}.intersection(_arguments(function))

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        given = {"mask": mask, "training": training}
        extra = {name: given[name] for name in self._passed}
        return self.function(inputs, **{**self.arguments, **extra})

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return tf.TensorShape(self._output_shape(input_shape))
        return tf.TensorShape((tf.TensorShape(input_shape)[0], *self._output_shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        if self.function.__name__ == "<lambda>":
            raise NotImplementedError(
                "A Lambda layer around a lambda cannot be written down: give it a "
                "function with a "
                "name and register it with keras.utils.register_keras_serializable."
            )
        return {
            **super().get_config(),
            "function": get_registered_name(self.function),
            "arguments": self.arguments,
        }


def _arguments(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments that a function takes by place or by name."""
    try:
        parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    except ValueError:  # some functions written in C do not say
        return []
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
