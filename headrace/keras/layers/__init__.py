"""The layers, by family."""

from headrace.base.export import EXPORTS
from headrace.keras.engine import sequential
from headrace.keras.layers import core, input_layer, normalization

sequential.LAYERS.update(
    (name.rpartition(".")[2], value)
    for name, value in EXPORTS.items()
    if name.startswith(("keras.layers.", "keras.Sequential", "keras.Model"))
)

__all__ = ["core", "input_layer", "normalization"]
