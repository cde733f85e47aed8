"""The programs in JAX: small operations eagerly, all else in one jitted call.

Each result is waited for, since JAX hands back arrays before they are computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.implementations.jax import eager, kernels, training

PROGRAMS = {**eager.PROGRAMS, **kernels.PROGRAMS, **training.PROGRAMS}


def programs(variant: str) -> dict[str, Any]:
    """The table; there is one variant."""
    return PROGRAMS


def to_numpy(value: Any) -> np.ndarray:
    """An array of a result."""
    return np.asarray(value)
