"""`Sequential`: layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.engine.layer import Layer
from headrace.keras.engine.model import Model
from headrace.keras.layers.input_layer import InputLayer
from headrace.keras.utils.serialization import deserialize, serialize_keras_object


@export("keras.Sequential", "keras.models.Sequential")
class Sequential(Model):
    """A stack of layers; each takes what the one before gives.

    Args:
        layers: list of layers; the first may be an input (`keras.Input`) or have an
            `input_shape`, then the weights are made at once.
        name: its name.
    Raises:
        TypeError: something that is no layer. ValueError: two layers of one name.

    >>> first = keras.layers.Dense(3, input_shape=(2,))
    >>> model = keras.Sequential([first, keras.layers.Dense(1)])
    >>> model(np.ones((4, 2))).shape
    TensorShape([4, 1])
    """

    scoped = False
    keras_module = "keras"

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stack: tuple[Layer, ...] = ()
        self._input_dims: tuple[int | None, ...] | None = None
        if layers is not None:
            for layer in layers if isinstance(layers, (list, tuple)) else [layers]:
                self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def add(self, layer: Any) -> None:
        """Put a layer on top.

        Raises:
            TypeError: no layer. ValueError: its name is taken.
        """
        if callable(layer) and not isinstance(layer, (Layer, type)):
            layer = getattr(layer, "_keras_layer", layer)
        if not isinstance(layer, Layer):
            raise TypeError(
                "The added layer must be an instance of class Layer. Received: "
                f"layer={layer} of type {type(layer)}."
            )
        if any(layer.name == other.name and layer is not other for other in self._stack):
            raise ValueError(
                "All layers added to a Sequential model should have unique names. Name "
                f'"{layer.name}" is already the name of a layer in this model. Update '
                "the `name` "
                "argument to pass a unique name."
            )
        first = not self._stack
        self._stack = (*self._stack, layer)
        if first and layer._batch_input_shape is not None:
            self._input_dims = tuple(layer._batch_input_shape)
        self.built = False
        if self._input_dims is not None:
            self.build(self._input_dims)

    def pop(self) -> None:
        """Take the last layer away.

        Raises:
            TypeError: there is none.
        """
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        self._stack = self._stack[:-1]
        if not self.layers:
            self.built = False

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers for an input of this shape (with the batch)."""
        if self.built:
            return
        if input_shape is None:
            raise ValueError("You must provide an `input_shape` argument.")
        dims = tuple(tf.TensorShape(input_shape))
        self.built = True
        if not self._building:
            trial = tf.zeros([1 if d is None else d for d in dims], self._dtype)
            self._try(trial, dims)
        Layer.build(self, tf.TensorShape(dims))

    def _try(self, trial: Any, dims: tuple[int | None, ...]) -> None:
        """Call the layers on zeros, so that they are built and know their shapes."""
        for layer in self._stack:
            layer._shapes = None
        self(trial)
        if dims and dims[0] is None:
            for layer in (*self._stack, self):
                layer._shapes = tuple((None, *shape[1:]) for shape in layer._shapes)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the last layer gives."""
        outputs = inputs
        for layer in self._stack:
            if training is not None and layer._takes_training:
                outputs = layer(outputs, training=training)
            else:
                outputs = layer(outputs)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for an input of this shape."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Name and layers."""
        layers = [serialize_keras_object(layer) for layer in self._stack]
        config: dict[str, Any] = {"name": self.name, "layers": layers}
        if self.built:
            config["build_input_shape"] = tuple(self._build_input_shape)
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """A model from what `get_config` gave, with new weights."""
        if isinstance(config, Sequence):
            config = {"name": None, "layers": config}
        model = cls(name=config["name"])
        for part in config["layers"]:
            model.add(deserialize(part, LAYERS, custom_objects, "layer"))
        if not model.built and config.get("build_input_shape"):
            model.build(config["build_input_shape"])
        return model


LAYERS: dict[str, Any] = {}
"""Keras' own layers by class name; `keras/layers/__init__.py` fills it."""
