"""The place where data enters a model."""

from __future__ import annotations

from typing import Any

from headrace.base.export import export
from headrace.keras.engine.layer import Layer


@export("keras.layers.InputLayer")
class InputLayer(Layer):
    """Declares the shape of a Sequential model's input.

    Args:
        input_shape: shape without the batch.
        batch_size: the batch's size, if it is fixed.
        dtype: dtype of the data.
        name: its name.
        batch_input_shape: shape with the batch, instead of the other two.
    """

    def __init__(
        self,
        input_shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        shape = kwargs.pop("batch_input_shape", None)
        if shape is None:
            dims = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape or ())
            shape = (batch_size, *dims)
        super().__init__(name=name, dtype=dtype, batch_input_shape=shape, **kwargs)
        self._autocast = False
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_input_shape": self._batch_input_shape,
            "dtype": self.dtype,
            "name": self.name,
        }
