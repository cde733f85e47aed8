"""What the compiler's tests share: stand-in records, random arrays, and the comparison of the
two ways in which a program runs."""

from __future__ import annotations

import ctypes
import mmap
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np

from headrace.base import dtypes
from headrace.base.dtypes import from_numpy
from headrace.compile import compile_op, executable, interpret
from headrace.compile.loops import ir
from headrace.core.op import Spec

FLOATS = (dtypes.float32, dtypes.float64)
HALVES = (dtypes.float16, dtypes.bfloat16)
COMPLEX = (dtypes.complex64, dtypes.complex128)
SIGNED = (dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
UNSIGNED = (dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64)
INTEGERS = SIGNED + UNSIGNED
REALS = INTEGERS + HALVES + FLOATS
EVERY = (dtypes.bool, *REALS, *COMPLEX)


def record(
    infer: Any, *, scalar: Any = None, lower: Any = None, name: str = "Test", **attrs: Any
):
    """A stand-in for an op record: the rules that the compiler reads."""
    return SimpleNamespace(
        name=name,
        infer=infer,
        scalar=scalar,
        lower=lower,
        attrs=attrs,
        no_lower=None,
        draws=None,
    )


def same(out: Any = None):
    """infer of an elementwise op: shapes broadcast; the dtype is `out` or that of the first."""

    def infer(*specs: Spec, **_: Any) -> Spec:
        shape = np.broadcast_shapes(*(s.shape for s in specs))
        return Spec(shape, out or specs[0].dtype)

    return infer


def elementwise(rule: Any, out: Any = None):
    """A stand-in elementwise record."""
    return record(same(out), scalar=rule)


def shaped(shape: Any, lower: Any, out: Any = None):
    """A stand-in record with a `lower` rule and a known result shape."""
    return record(lambda *s, **_: Spec(tuple(shape), out or s[0].dtype), lower=lower)


def spec(array: np.ndarray) -> Spec:
    return Spec(array.shape, from_numpy[array.dtype])


def compiled(op: Any, *arrays: np.ndarray, **attrs: Any) -> ir.Loops:
    return compile_op(op, [spec(a) for a in arrays], attrs)


def both(op: Any, *arrays: np.ndarray, ulps: float = 0, **attrs: Any) -> np.ndarray:
    """Run as written by the interpreter, and as scheduled by interpreter and LLVM, which agree
    within `ulps`; the first result of the program as written, or of the scheduled one where the
    order of a sum has changed."""
    loops = compiled(op, *arrays, **attrs)
    program = executable(loops)
    plain, slow = interpret(loops, arrays), interpret(program.loops, arrays)
    for a, b in zip(slow, program(arrays), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        close(b, a, ulps)
    if not _sums(loops):
        for a, b in zip(slow, plain, strict=True):
            close(a, b)
    return slow[0]


def _sums(loops: ir.Loops) -> bool:
    """Whether floats are added or multiplied up, so that their order shows."""
    return any(
        isinstance(s, ir.Update)
        and s.combine in ("add", "mul", "complex_product")
        and s.accumulators[0].dtype.is_floating
        for stage in ir.stages(loops.stages)
        for s in ir.statements(stage.body)
    )


def close(got: np.ndarray, expected: np.ndarray, ulps: float = 0) -> None:
    """Equal within `ulps` units in the last place; NaN is NaN, infinities are exact."""
    got, expected = np.asarray(got), np.asarray(expected)
    if got.dtype.kind == "c":
        size = np.abs(expected)
        if not ulps:
            np.testing.assert_array_equal(got, expected)
            return
        finite = np.isfinite(size)
        unit = np.spacing(size[finite]) * ulps
        assert np.all(np.abs(got[finite] - expected[finite]) <= unit), (got, expected)
        return
    if from_numpy[got.dtype].is_floating:
        if got.dtype.itemsize == 2:
            unit = np.asarray(ml_dtypes.finfo(got.dtype).eps, np.float64)
            wide = expected.astype(np.float64)
            unit = np.abs(wide) * unit + float(ml_dtypes.finfo(got.dtype).smallest_subnormal)
            got, expected = got.astype(np.float64), wide
        else:
            with np.errstate(invalid="ignore"):
                unit = np.abs(np.spacing(expected)).astype(np.float64)
            got, expected = got.astype(np.float64), expected.astype(np.float64)
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(got), nan)
        exact = got == expected
        with np.errstate(invalid="ignore"):
            near = np.abs(got - expected) <= ulps * np.where(np.isfinite(unit), unit, 0)
        bad = ~(exact | near | nan)
        assert not bad.any(), (got[bad], expected[bad])
        return
    np.testing.assert_array_equal(got, expected)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-40, 3e38, -65504.0, 1e-7]


def values(
    dtype: Any, shape: Any, rng: np.random.Generator, special: bool = True
) -> np.ndarray:
    """Random values of a dtype, with limits and special ones among them."""
    shape = tuple(shape)
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_integer:
        info = np.iinfo(dtype.np)
        found = rng.integers(info.min, info.max, shape, dtype.np, endpoint=True)
        small = rng.integers(0 if info.min == 0 else -4, 5, shape).astype(dtype.np)
        ends = rng.choice(np.array([info.min, info.max, 0, 1], dtype.np), shape)
        pick = rng.integers(0, 4, shape)
        return np.where(pick == 0, ends, np.where(pick == 1, found, small)).astype(dtype.np)
    if dtype.is_complex:
        half = dtypes.float32 if dtype is dtypes.complex64 else dtypes.float64
        found = np.empty(shape, dtype.np)
        found.real = values(half, shape, rng, special)
        found.imag = values(half, shape, rng, special)
        return found
    found = rng.normal(size=shape) * 3
    if special:
        found = np.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), found)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(found).astype(dtype.np)


class Guarded:
    """An array that ends at, or begins after, a page without access."""

    def __init__(self, like: np.ndarray, at_end: bool) -> None:
        page = mmap.PAGESIZE
        room = -(-max(like.nbytes, 1) // page) * page
        self.memory = mmap.mmap(-1, room + 2 * page)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        protect = ctypes.CDLL(None).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert not protect(base, page, 0) and not protect(base + page + room, page, 0)
        start = page + (room - like.nbytes if at_end else 0)
        self.array = np.frombuffer(self.memory, like.dtype, like.size, start)
        self.array = self.array.reshape(like.shape)
        self.array[...] = like
