"""What a call needs to know of a compiled program; another process can read it (`saved.py`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from headrace.compile.loops.status import Failure


class Form(NamedTuple):
    """Shape and dtype of an array, and its name for people."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str


class Program(NamedTuple):
    """A compiled program.

    Attributes:
        name: for people.
        address: of `kernel`.
        code: what keeps the kernel alive.
        inputs, outputs, states, temporaries: their forms.
        places, arena: where in the arena the temporaries lie, and its bytes.
        unlock: whether it runs without the interpreter's lock.
        poison: whether fresh memory is filled with NaN first.
        failures: what its checks say.
    """

    name: str
    address: int
    code: Any
    inputs: tuple[Form, ...]
    outputs: tuple[Form, ...]
    states: tuple[Form, ...]
    temporaries: tuple[Form, ...]
    places: tuple[int, ...]
    arena: int
    unlock: bool
    poison: bool
    failures: tuple[Failure, ...]
