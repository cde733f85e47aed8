"""Keras, built on Headrace's public functions only."""

from headrace.base.export import publish
from headrace.keras import (
    activations,
    backend,
    constraints,
    crossentropy,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    utils,
)
from headrace.keras.engine import model, sequential
from headrace.keras.utils import misc

publish("keras.")

__all__ = [
    "activations",
    "backend",
    "constraints",
    "crossentropy",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "misc",
    "model",
    "optimizers",
    "regularizers",
    "sequential",
    "utils",
]
