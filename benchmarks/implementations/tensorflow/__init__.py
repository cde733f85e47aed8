"""The programs in TensorFlow's API: for itself, with and without XLA, and for Headrace."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.implementations.tensorflow import eager, kernels, training

# Variant -> the module, and how its functions are compiled.
VARIANTS = {
    "headrace": ("headrace", True),
    "tensorflow": ("tensorflow", False),
    "xla": ("tensorflow", True),
}
to_numpy: Callable[[Any], np.ndarray] = np.asarray


def programs(variant: str) -> dict[str, Callable[[dict[str, Any]], Callable[[], Any]]]:
    """The table of a variant."""
    module, compiled = VARIANTS[variant]
    tf = importlib.import_module(module)

    def function(body: Callable[..., Any]) -> Any:
        return tf.function(body, jit_compile=compiled)

    def with_function(make: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
        return lambda inputs: make(tf, function, inputs)

    def with_library(make: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
        return lambda inputs: make(tf, inputs)

    table = {**kernels.PROGRAMS, **training.PROGRAMS}
    found = {name: with_function(make) for name, make in table.items()}
    if variant != "xla":
        found |= {name: with_library(make) for name, make in eager.PROGRAMS.items()}
    return found
