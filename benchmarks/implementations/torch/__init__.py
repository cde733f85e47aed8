"""The programs in PyTorch: eager, and in one call that `torch.compile` compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.implementations.torch import eager, kernels, training

COMPILED = "torch.compile"


def programs(variant: str) -> dict[str, Any]:
    """The table of a variant."""
    compiled = variant == COMPILED

    def with_choice(make: Any) -> Any:
        return lambda inputs: make(inputs, compiled)

    table = {**kernels.PROGRAMS, **training.PROGRAMS}
    found = {name: with_choice(make) for name, make in table.items()}
    return found if compiled else found | eager.PROGRAMS


def to_numpy(value: Any) -> np.ndarray:
    """An array of a result."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
