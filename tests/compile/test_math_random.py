"""Random expressions with math functions: both ways of running them, under an error bound.

Beside each value in float64 stands how far float32 may be from it: what the operands' bounds
become, and what the operation's own rounding adds. A fixed number of ulps would not do, since
differences of close numbers lose any number of digits.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.compile import executable, interpret
from tests.compile.support import compiled, elementwise

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UNIT = 2.0**-24  # half the distance of float32 numbers near 1
TINY = 2.0**-149
ULPS = 4

FUNCTIONS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.logaddexp(x, 0),
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "sinh": np.sinh,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "sqrt": np.sqrt,
}
OPERATIONS = ("add", "sub", "mul", "div", "max")


class Bounded(NamedTuple):
    """Float64 values and how far those of float32 may be from them."""

    value: np.ndarray
    error: np.ndarray

    @classmethod
    def rounded(cls, value, error, ulps=0.5) -> Bounded:
        return cls(value, error * (1 + 1e-6) + 2 * ulps * UNIT * np.abs(value) + ulps * TINY)


def _two(name: str, a: Bounded, b: Bounded) -> Bounded:
    if name == "max":
        return Bounded(np.maximum(a.value, b.value), np.maximum(a.error, b.error))
    if name in ("add", "sub"):
        value = a.value + b.value if name == "add" else a.value - b.value
        return Bounded.rounded(value, a.error + b.error)
    if name == "mul":
        error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
        return Bounded.rounded(a.value * b.value, error)
    value, least = a.value / b.value, np.abs(b.value) - b.error
    error = (a.error + np.abs(value) * b.error) / np.where(least > 0, least, 0)
    return Bounded.rounded(value, error)


def _one(name: str, a: Bounded) -> Bounded:
    """All these functions but sin and cos rise or fall all the time."""
    function = FUNCTIONS[name]
    value = function(a.value)
    if name in ("sin", "cos"):
        return Bounded.rounded(value, a.error, ULPS)
    moved = [np.abs(function(a.value + sign * a.error) - value) for sign in (-1, 1)]
    return Bounded.rounded(value, np.maximum(*moved), ULPS)


LEAVES = st.sampled_from(["x", "y", 0.5, 3.0])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner),
        st.tuples(st.sampled_from(OPERATIONS), inner, inner),
    ),
    max_leaves=8,
)


def build(tree, b, x, y):
    """The expression of compiled code."""
    if not isinstance(tree, tuple):
        return {"x": x, "y": y}[tree] if isinstance(tree, str) else b.const(tree, x.dtype)
    args = [build(t, b, x, y) for t in tree[1:]]
    match tree[0]:
        case "add":
            return args[0] + args[1]
        case "sub":
            return args[0] - args[1]
        case "mul":
            return args[0] * args[1]
        case "div":
            return args[0] / args[1]
        case "max":
            return b.maximum(*args)
    return getattr(b.math, tree[0])(args[0])


def bound(tree, x: Bounded, y: Bounded) -> Bounded:
    """Its value and error."""
    if not isinstance(tree, tuple):
        zero = np.zeros_like(x.value)
        return {"x": x, "y": y}.get(tree) or Bounded(zero + tree, zero)
    args = [bound(t, x, y) for t in tree[1:]]
    return _one(tree[0], *args) if len(args) == 1 else _two(tree[0], *args)


@settings(max_examples=100, deadline=None)
@given(TREES, st.integers(1, 4), st.integers(1, 70), st.booleans())
def test_random_expressions(tree, rows, columns, row_only):
    rng = np.random.default_rng(zlib.crc32(repr((tree, rows, columns)).encode()))
    x = (rng.normal(size=(rows, columns)) * 2).astype(np.float32)
    y = rng.uniform(-4, 4, (columns,) if row_only else x.shape).astype(np.float32)
    op = elementwise(lambda b, x, y: build(tree, b, x, y) + y * 0)
    loops = compiled(op, x, y)
    wide = np.broadcast_to(y, x.shape).astype(np.float64)
    exact = np.zeros(x.shape)
    true = bound(tree, Bounded(x.astype(np.float64), exact), Bounded(wide, exact))
    sure = np.isfinite(true.value) & np.isfinite(true.error) & (np.abs(true.value) < 1e38)
    for way in (interpret(loops, (x, y))[0], executable(loops)((x, y))[0]):
        off = np.abs(way.astype(np.float64) - true.value)
        bad = sure & ~(off <= true.error) & ~_overflows(tree, x, wide)
        assert not bad.any(), (tree, x[bad], wide[bad], way[bad], true.value[bad])


def _overflows(tree, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where something inside is out of float32's range."""
    if not isinstance(tree, tuple):
        return np.zeros(x.shape, np.bool_)
    exact = np.zeros(x.shape)
    value = bound(tree, Bounded(x.astype(np.float64), exact), Bounded(y, exact)).value
    found = ~(np.abs(value) < 3e38)
    for part in tree[1:]:
        found = found | _overflows(part, x, y)
    return found
