"""How Python calls a compiled program: by a method of CPython's own, else through ctypes.

`method(program)` gives a callable that takes arrays: the inputs, the states and, if the caller
has them, the outputs (None: make this one). It returns a tuple of the outputs; the number of an
argument that compiled code can't read as it is (-1: a wrong count); or the status words, as
bytes, where a check failed. A variable may stand for an input or state; it counts as one that
can't be read where others may hold its buffer, and always in the slow form. The quick form is
`llvm/entry.py`; the slow one serves where arrays are not as that expects (`layout.known()`),
and tests that bring their own memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import numpy as np

from headrace.base.lazy import once
from headrace.compile.llvm.entry import NUMPY, WORDS
from headrace.compile.llvm.runtime import runtime
from headrace.compile.loops.status import STATUS_WORDS
from headrace.compile.run import layout
from headrace.compile.run.memory import LARGE, memory
from headrace.compile.run.program import Form, Program
from headrace.compile.run.threads import threads
from headrace.core.variable import Variable

Method: TypeAlias = Callable[..., Any]
FASTCALL = 0x80


def method(program: Program) -> Method:
    """A callable for a program, the quickest that there is."""
    threads()
    return _native(program) if layout.known() else Portable(program)


# The quick form


class _Words(np.ndarray):
    """The description of a program, with what it points to."""

    kept: Any


class _Definition(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Native:
    """What all methods share; it is never freed."""

    def __init__(self) -> None:
        address = runtime().address["hr.entry"]
        self.definition = _Definition(b"compiled", address, FASTCALL, b"Run a program.")
        self.make = ctypes.pythonapi.PyCFunction_NewEx
        self.make.restype = ctypes.py_object
        self.make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
        words = {
            "array": id(np.ndarray),
            "new": layout.function(layout.NEW),
            "set_handler": layout.function(layout.SET_HANDLER),
            "handler": id(memory().handler),
            "large": LARGE,
            "none": id(None),
            "variable": 0 if layout.buffer() is None else id(Variable),
            "buffer": layout.buffer() or 0,
        }
        self.numpy = np.array([words[name] for name in NUMPY], np.int64)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))


@once
def _shared() -> _Native:
    return _Native()


def _native(program: Program) -> Method:
    shared = _shared()
    words = {
        "kernel": program.address,
        "inputs": len(program.inputs),
        "outputs": len(program.outputs),
        "states": len(program.states),
        "temporaries": len(program.places),
        "arena": program.arena,
        "unlock": program.unlock,
        "poison": program.poison,
        "slots": ctypes.addressof(runtime().slots),
        "numpy": shared.numpy.__array_interface__["data"][0],
    }
    listed = [int(words[name]) for name in WORDS]
    kept: list[Any] = [program]
    for shape, dtype, _ in (*program.inputs, *program.states, *program.outputs):
        extents = np.array([*shape, 0], np.int64)
        kept.append(extents)
        place = extents.__array_interface__["data"][0]
        listed += [id(dtype), len(shape), place, prod(shape) * dtype.itemsize]
    description = np.array([*listed, *program.places], np.int64).view(_Words)
    description.kept = kept
    found: Method = shared.make(ctypes.addressof(shared.definition), description, program.name)
    return found


# The slow form


class Portable:
    """The same by ctypes; `allocate(shape, dtype)` makes outputs and temporaries."""

    def __init__(
        self, program: Program, allocate: Callable[..., np.ndarray] = np.empty
    ) -> None:
        self._program = program
        self._allocate = allocate
        kind = ctypes.CFUNCTYPE if program.unlock else ctypes.PYFUNCTYPE
        self._call = kind(None, ctypes.c_void_p)(program.address)

    def __call__(self, *arrays: Any) -> Any:
        program = self._program
        own, count = len(program.inputs) + len(program.states), len(program.outputs)
        if len(arrays) not in (own, own + count):
            return -1
        for k, (array, form) in enumerate(
            zip(arrays, (*program.inputs, *program.states, *program.outputs), strict=False)
        ):
            if not _suits(array, form, k >= len(program.inputs), k >= own):
                return k
        inputs, states = arrays[: len(program.inputs)], arrays[len(program.inputs) : own]
        given = arrays[own:] or (None,) * count
        outputs = tuple(
            self._new(form) if array is None else array
            for array, form in zip(given, program.outputs, strict=True)
        )
        temporaries = [self._new(form) for form in program.temporaries]
        status = np.zeros(STATUS_WORDS, np.int64)
        buffers = (*inputs, *outputs, *states, *temporaries, status)
        places = [a.__array_interface__["data"][0] for a in buffers]
        context = np.array([*places, *[p or 0 for p in runtime().slots]], np.uintp)
        self._call(context.__array_interface__["data"][0])
        return status.tobytes() if status[0] else outputs

    def _new(self, form: Form) -> np.ndarray:
        array = self._allocate(form.shape, form.dtype)
        if self._program.poison:
            array.reshape(-1).view(np.uint8).fill(255)
        return array


def _suits(array: Any, form: Form, written: bool, optional: bool) -> bool:
    """Whether compiled code can use an array as it is."""
    if array is None and optional:
        return True
    if type(array) is not np.ndarray or (array.shape, array.dtype) != form[:2]:
        return False
    flags = array.flags
    return flags.c_contiguous and flags.aligned and (flags.writeable or not written)
