"""What the tests of passes share: programs from functions, runs of them, nasty arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

import headrace as tf
from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.passes.program import Program, program_of
from headrace.compile.passes.verify import verify
from headrace.compile.run.plan import Plan
from headrace.core.graph import Graph
from headrace.core.op import Spec

f32 = dtypes.float32
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, np.inf, -np.inf, np.nan, -2.5, 3.0, 1e30, -1e-30]


def spec(*shape: Any, dtype: DType = f32) -> Spec:
    return Spec(shape, dtype)


def program(function: Callable[..., Any], *specs: Spec, name: str = "test") -> Program:
    """The program of a function of tensors, whose parameters name the inputs."""
    code = function.__code__
    with Graph() as graph:
        inputs = [
            graph.placeholder(given.dtype, given.shape, label)
            for label, given in zip(code.co_varnames, specs, strict=False)
        ]
        found = function(*inputs)
        results = list(found) if isinstance(found, (list, tuple)) else [found]
    made = program_of(graph, inputs, results, name)
    verify(made)
    return made


def ops(made: Program) -> list[str]:
    """The ops of a program's nodes, without constants."""
    return [node.op.name for node in made.nodes if node.op.name != "Const"]


def run(made: Program, *arrays: Any) -> list[np.ndarray]:
    """The results for arrays, or variables."""
    return Plan(made)([a if isinstance(a, tf.Variable) else np.asarray(a) for a in arrays])


def passed(a_pass: Callable[[Program], Program], before: Program, *arrays: Any) -> Program:
    """The program after a pass: verified, and with the same results on `arrays`."""
    after = a_pass(before)
    verify(after, before)
    if arrays:
        assert_same(run(after, *arrays), run(before, *arrays))
    return after


def assert_same(found: Sequence[Any], wanted: Sequence[Any]) -> None:
    """The same dtypes, shapes and bits; every NaN counts as the same."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, a.shape, b.dtype, b.shape)
        if a.dtype.kind == "O":
            assert a.tolist() == b.tolist()
            continue
        for x, y in zip(_parts(a), _parts(b), strict=True):
            wrong = ~_alike(x, y)
            assert not wrong.any(), f"{x[wrong][:4]} is not {y[wrong][:4]}"


def _parts(array: np.ndarray) -> list[np.ndarray]:
    return [array.real, array.imag] if array.dtype.kind == "c" else [array]


def _alike(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bits = np.dtype(f"u{x.dtype.itemsize}")
    x, y = np.array(x, order="C"), np.array(y, order="C")
    same = x.view(bits) == y.view(bits) if x.ndim else x[None].view(bits) == y[None].view(bits)
    same = same.reshape(x.shape)
    if x.dtype.kind in "fV":
        same |= np.isnan(x) & np.isnan(y)
    return same


@np.errstate(all="ignore")
def nasty(shape: tuple[int, ...], dtype: DType, random: np.random.Generator) -> np.ndarray:
    """An array of random bits, ordinary numbers and special values."""
    count = int(np.prod(shape))
    if dtype.is_bool:
        return random.integers(0, 2, shape).astype(np.bool_)
    if dtype.is_complex:
        part = dtype.real_dtype
        halves = [nasty(shape, part, random) for _ in range(2)]
        return (halves[0] + 1j * halves[1]).astype(dtype.np)
    bits = random.integers(0, 256, count * dtype.size, dtype=np.uint8).view(dtype.np)
    if dtype.is_integer:
        info = ml_dtypes.iinfo(dtype.np)
        special = np.array([0, 1, 2, 3, info.min, info.max], dtype.np)
    else:
        special = np.array(SPECIAL, dtype.np)
    usual = (random.standard_normal(count) * 4).astype(np.float32)
    if dtype.is_unsigned:
        usual = np.abs(usual)
    which = random.integers(0, 3, count)
    chosen = special[random.integers(0, len(special), count)]
    found = np.where(which == 0, bits, np.where(which == 1, chosen, usual.astype(dtype.np)))
    return found.astype(dtype.np).reshape(shape)
