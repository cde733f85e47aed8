"""The programs in NumPy, where it has such a thing: the floor under an eager call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import cases as c


def cases() -> dict[str, Callable[[], Any]]:
    """The programs that NumPy has."""
    t, u = np.array(c.T, np.float32), np.array(c.U, np.float32)
    v = t.copy()
    return {
        c.ADD: lambda: np.add(t, u),
        c.ADD_NUMBER: lambda: t + 10,
        c.SQUARE: lambda: np.square(t),
        c.MATMUL: lambda: t @ t.T,
        c.MEAN: lambda: np.mean(t),
        c.SLICE: lambda: t[:, 1:],
        c.ASSIGN_ADD: lambda: np.add(v, u, out=v),
    }
