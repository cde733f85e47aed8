"""Where CPython and NumPy keep an array's parts, and NumPy's functions in C.

Both are fixed by the binary interfaces of the two. `known()` looks at one array whether this
interpreter and this NumPy are such; nothing here may be used where it says no.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

from headrace.compile.llvm.entry import COUNT, DATA, DTYPE, FLAGS, RANK, SHAPE, SIMPLE, TYPE
from headrace.core.tensor import wrap
from headrace.core.variable import Variable

VERSION, ARRAY, NEW, SET_HANDLER, DEFAULT_HANDLER = 0, 2, 94, 304, 306
"""Places in NumPy's table of functions; they are the same in all of its versions from 2 on."""
NUMPY_ABI = 0x02000000


def _at(address: int, kind: Any = ctypes.c_void_p) -> Any:
    return kind.from_address(address).value or 0


@cache
def functions() -> int:
    """Address of NumPy's table of functions."""
    return held(_multiarray_umath._ARRAY_API, None)


def held(capsule: Any, name: bytes | None) -> int:
    """The address in a capsule."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found: int = pointer(capsule, name)
    return found


def function(place: int) -> int:
    """Address of one of NumPy's functions."""
    found: int = _at(functions() + 8 * place)
    return found


@cache
def known() -> bool:
    """Whether arrays lie in memory as compiled code expects."""
    if sys.implementation.name != "cpython" or "t" in sys.abiflags:  # "t": free threading
        return False
    if os.name != "posix" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    version = ctypes.CFUNCTYPE(ctypes.c_uint)(function(VERSION))()
    if version != NUMPY_ABI or np.ndarray.__basicsize__ < FLAGS + 8:
        return False
    array = np.zeros((2, 3), np.float32)
    place = id(array)
    shape = _at(place + SHAPE)
    seen = (
        _at(place + TYPE),
        _at(place + DATA),
        _at(place + RANK, ctypes.c_int),
        [_at(shape + 8 * k, ctypes.c_ssize_t) for k in range(2)],
        _at(place + DTYPE),
        _at(place + FLAGS, ctypes.c_int) & SIMPLE,
        function(ARRAY),
    )
    data = array.__array_interface__["data"][0]
    kind = id(np.ndarray)
    return seen == (kind, data, 2, [2, 3], id(array.dtype), SIMPLE, kind)


@cache
def buffer() -> int | None:
    """Where in a variable the address of its buffer lies; None: its holders can't be told."""
    variable = Variable(wrap(np.zeros(3, np.float32)))
    size, wanted = type(variable).__basicsize__, id(variable._buffer)
    words = range(TYPE + 8, size, 8)
    found = [place for place in words if _at(id(variable) + place) == wanted]
    counted = _at(wanted + COUNT, ctypes.c_uint32)
    return found[0] if len(found) == 1 and counted == 1 else None
