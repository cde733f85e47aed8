"""`Model`: a layer that is used as a whole: with named parts and a summary."""

from __future__ import annotations

from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.engine.layer import Layer
from headrace.keras.engine.summary import print_summary
from headrace.keras.engine.weights import trained_first


@export("keras.Model", "keras.models.Model")
class Model(Layer):
    """A model written as a class: make the layers in `__init__`, use them in `call`.

    Args:
        name: its name.
        kwargs: as for `keras.layers.Layer`.

    >>> class Line(keras.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = keras.layers.Dense(1, kernel_initializer="ones")
    ...     def call(self, inputs):
    ...         return self.dense(inputs)
    >>> Line()(np.ones((1, 3))).numpy()
    array([[3.]], dtype=float32)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or {"inputs", "outputs"} & set(kwargs):
            raise NotImplementedError(
                "keras.Model(inputs, outputs) is not built yet: subclass keras.Model, or use "
                "keras.Sequential."
            )
        super().__init__(**kwargs)
        self._building = False

    _own_first = False

    @property
    def layers(self) -> list[Layer]:
        """The layers that it holds directly, in the order in which they were set."""
        return [layer for layer in self._sublayers() if not hasattr(layer, "update_state")]

    @property
    def weights(self) -> list[Any]:
        """All variables, layer by layer, then its own.

        Raises:
            ValueError: they have not been made yet.
        """
        if not self.built and type(self).build is not Model.build:
            raise ValueError(
                f"Weights for model '{self.name}' have not yet been created. Weights are "
                "created "
                "when the model is first called on inputs or `build()` is called with an "
                "`input_shape`."
            )
        return self._gather("variables", trained_first)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the model computes; subclasses write it."""
        raise NotImplementedError(
            "Unimplemented `tf.keras.Model.call()`: if you intend to create a `Model` with the "
            "Functional API, please provide `inputs` and `outputs` arguments. Otherwise, "
            "subclass `Model` with an overridden `call()` method."
        )

    def build(self, input_shape: Any) -> None:
        """Make the weights for an input of this shape, by trying the model on zeros.

        Args:
            input_shape: shape with the batch dimension (None counts as 1), or list of shapes.
        Raises:
            ValueError: no shape.
        """
        if input_shape is None:
            raise ValueError(
                "Input shape must be defined when calling `build()` on a `Model` subclass."
            )
        if not self.built and not self._building:
            self.built = True
            several = isinstance(input_shape, list) and all(
                isinstance(s, (list, tuple, tf.TensorShape)) for s in input_shape
            )
            shapes = input_shape if several else [input_shape]
            trial = [
                tf.zeros([1 if d is None else d for d in tf.TensorShape(s)], self._dtype)
                for s in shapes
            ]
            self(trial if several else trial[0])
        super().build(input_shape)

    def _maybe_build(self, inputs: Any) -> None:
        self._building = True
        try:
            super()._maybe_build(inputs)
        finally:
            self._building = False

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place.

        Raises:
            ValueError: both, none, or no such layer.
        """
        if index is not None and name is not None:
            raise ValueError(
                "Provide only a layer name or a layer index. Received: "
                f"index={index}, name={name}."
            )
        if index is not None:
            if index >= len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index at `get_layer`.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: "
            f"{[layer.name for layer in self.layers]}."
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of weights.

        Args:
            line_length: the table's width.
            positions: where the columns end, as parts of the width.
            print_fn: what to call instead of `print`.
            expand_nested: whether to list the layers inside layers.
            show_trainable: whether to show which layers are trained.
            layer_range: names (regular expressions) of the first and last layer to show.
        Raises:
            ValueError: the model has not been built.
        """
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling `build()` "
                "or by calling the model on a batch of data."
            )
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def get_config(self) -> dict[str, Any]:
        """What is needed to make it again: here only the name; subclasses add to it."""
        return {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
