"""Math functions of compiled code against mpmath: dense inputs, edges, special values."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from headrace.base import dtypes
from headrace.compile import executable
from headrace.compile.llvm.recipes import RECIPES, SINGLE_ONLY
from headrace.compile.run import build
from headrace.compile.schedule import schedule
from tests.compile.support import compiled, elementwise

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

POINTS = 900
ULPS = 3
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, math.inf, -math.inf, math.nan]


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _softplus(x):
    return mp.log1p(mp.exp(x))


def _real(function):
    """A function that is NaN where mpmath leaves the real line."""

    def found(*args):
        y = function(*args)
        return y if isinstance(y, mpf) else mp.nan if abs(y.imag) > 0 else y.real

    return found


TRUTH = {
    "exp": mp.exp,
    "expm1": mp.expm1,
    "tanh": mp.tanh,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "log": _real(mp.log),
    "log1p": _real(mp.log1p),
    "asinh": mp.asinh,
    "acosh": _real(mp.acosh),
    "atanh": _real(mp.atanh),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": _real(mp.asin),
    "acos": _real(mp.acos),
    "atan": mp.atan,
    "erf": mp.erf,
    "erfc": mp.erfc,
}
# Where a result begins to overflow, vanish, or to come from another formula.
EDGES = {
    "exp": [88.72283, 88.72284, -87.33654, -103.2789, -103.9721, 709.7827, -708.396, -745.13],
    "expm1": [88.72283, 709.7827, -17.32868, -37.42995, 0.3466, -0.3466],
    "tanh": [9.01, 10, 19.06, 20],
    "sinh": [89.41598, 89.41599, 1, 710.4758, 710.4759],
    "cosh": [89.41598, 89.41599, 710.4758, 710.4759],
    "sigmoid": [-87.33654, -103.2789, -103.9721, 17, -708.396, -745.13],
    "softplus": [-87.33654, -103.2789, -103.9721, 17, -708.396, -745.13],
    "log": [1.1754944e-38, 1.4e-45, 3.4e38, 0.70710678, 1.4142135, 5e-324, 1.7e308],
    "log1p": [-0.99999994, 0.41421356, -0.29289322, 3.4e38, 1e-8, 1.7e308],
    "asinh": [2.0**30, 2.0**60, 1e38, 1e300],
    "acosh": [1.0000001, 2.0**30, 2.0**60, 1e38, 1e300],
    "atanh": [0.99999994, 1 - 2.0**-53, 1e-30],
    "sin": [k * math.pi / 2 for k in (1, 2, 3, 5, 1000, 20861, 83443)]
    + [1e5, 131072, 1e8, 3e38],
    "erf": [1, 3.92, 4],
    "erfc": [0.5, 9.19, 10.05, 10.06, 10.2],
    "asin": [0.99999994, 0.50000006],
    "acos": [0.99999994, 0.50000006],
    "atan": [1.0000001, 1e38],
}
EDGES["cos"] = EDGES["tan"] = EDGES["sin"]


def random(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def inputs(name: str, dtype, edges: list[float]) -> np.ndarray:
    """All sizes, common sizes, and the neighbours of edges."""
    rng = random(name, dtype)
    kind = np.dtype(dtype.np)
    patterns = np.frombuffer(rng.bytes(POINTS // 3 * kind.itemsize), kind)
    common = rng.normal(size=POINTS // 3) * 3
    unit = rng.uniform(-1.2, 1.2, POINTS // 3)
    ends = np.array(edges + [-e for e in edges]).astype(kind)
    tiny = np.array([np.finfo(kind).smallest_subnormal, np.finfo(kind).tiny, 1e-40]).astype(
        kind
    )
    near = [ends, np.nextafter(ends, kind.type(9e9)), np.nextafter(ends, kind.type(-9e9))]
    return np.concatenate([SPECIAL, tiny, -tiny, *near, patterns, common, unit]).astype(kind)


def truth(function, *arrays: np.ndarray) -> list[mpf]:
    with mpmath.workdps(60):
        return [_value(function, *map(float, xs)) for xs in zip(*arrays, strict=True)]


def _value(function, *xs: float) -> mpf:
    if any(math.isnan(x) for x in xs):
        return mp.nan
    try:
        return function(*map(mpf, xs))
    except ZeroDivisionError:
        return mp.nan
    except ValueError:
        return mp.nan


def judge(got: np.ndarray, true: list[mpf], ulps: float, *arrays: np.ndarray) -> None:
    """Each result is within `ulps` of the truth; where that is out of range, infinite."""
    limits = np.finfo(got.dtype)
    for y, t, *xs in zip(got.tolist(), true, *arrays, strict=True):
        if mp.isnan(t):
            assert math.isnan(y), (xs, y, t)
            continue
        if abs(t) > limits.max:
            near = float(got.dtype.type(limits.max))
            assert abs(y) >= near * (1 - ulps * limits.eps) and (y > 0) == (t > 0), (xs, y, t)
            continue
        rounded = got.dtype.type(float(t))
        unit = float(np.spacing(abs(rounded))) if np.isfinite(rounded) else math.inf
        unit = max(unit, float(limits.smallest_subnormal))
        assert math.isfinite(y) or abs(t) > limits.max * (1 - 4 * limits.eps), (xs, y, t)
        assert abs(mpf(y) - t) <= ulps * unit or math.isinf(y), (xs, y, t)


def run(name: str, *arrays: np.ndarray) -> np.ndarray:
    op = elementwise(lambda b, *xs: getattr(b.math, name)(*xs))
    return executable(compiled(op, *arrays))(arrays)[0]


DTYPES = (dtypes.float32, dtypes.float64)


def test_every_recipe_is_tested():
    assert set(TRUTH) | {"pow", "atan2", "hypot"} == set(RECIPES)


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
@pytest.mark.parametrize("name", TRUTH)
def test_within_ulps_of_the_truth(name, dtype):
    if name in SINGLE_ONLY and dtype is dtypes.float64:
        pytest.skip("the C library's")
    x = inputs(name, dtype, EDGES[name])
    special = x[: len(SPECIAL)]
    x = x[np.isfinite(x)]
    judge(run(name, x), truth(TRUTH[name], x), ULPS, x)
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name)
    numpy_name = {"asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}.get(
        name, numpy_name
    )
    if hasattr(np, numpy_name):
        got, wanted = run(name, special), getattr(np, numpy_name)(special)
        np.testing.assert_allclose(got, wanted, 8 * np.finfo(got.dtype).eps)
        signs = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(got)[signs], np.signbit(wanted)[signs])


ENDS = {  # at -infinity and infinity
    "sigmoid": (0.0, 1.0),
    "softplus": (0.0, math.inf),
    "erf": (-1.0, 1.0),
    "erfc": (2.0, 0.0),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
@pytest.mark.parametrize("name", ENDS)
def test_ends(name, dtype):
    x = np.array([-math.inf, math.inf, math.nan], dtype.np)
    got = run(name, x)
    assert tuple(got[:2]) == ENDS[name] and math.isnan(got[2])


@pytest.mark.parametrize("lanes", [1, 3, 5, 9, 17])
@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
@pytest.mark.parametrize("name", RECIPES)
def test_any_number_of_lanes_gives_the_same(name, dtype, lanes):
    """One element, part of a vector and many vectors are computed by the same steps."""
    rng = random(name, dtype)
    count = 2 if name in ("pow", "atan2", "hypot") else 1
    many = [(rng.normal(size=4096) * 3).astype(dtype.np) for _ in range(count)]
    some = run(name, *(np.ascontiguousarray(a[:lanes]) for a in many))
    np.testing.assert_array_equal(some, run(name, *many)[:lanes])


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
@pytest.mark.parametrize("name", RECIPES)
def test_several_vectors_side_by_side_give_the_same(name, dtype, monkeypatch):
    rng = random(name, dtype)
    count = 2 if name in ("pow", "atan2", "hypot") else 1
    arrays = [(rng.normal(size=300) * 3).astype(dtype.np) for _ in range(count)]
    expected = run(name, *arrays)

    def wider(loops):
        (stage,) = schedule(loops).stages
        (loop,) = stage.body
        return replace(
            loops, stages=(replace(stage, body=(replace(loop, lanes=4 * loop.lanes),)),)
        )

    monkeypatch.setattr(build, "schedule", wider)
    np.testing.assert_array_equal(run(name, *arrays), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_atan2(dtype):
    rng = random(dtype)
    y, x = (inputs(k, dtype, [1e-30, 3.0]) for k in ("y", "x"))
    finite = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    judge(
        run("atan2", y[finite], x[finite]), truth(mp.atan2, y[finite], x[finite]), 3, y[finite]
    )
    y, x = (
        v.ravel() for v in np.meshgrid(np.array(SPECIAL, dtype.np), rng.permutation(SPECIAL))
    )
    x = x.astype(dtype.np)
    got, wanted = run("atan2", y, x), np.arctan2(y, x)
    np.testing.assert_allclose(got, wanted, 8 * np.finfo(dtype.np).eps)
    signs = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[signs], np.signbit(wanted)[signs])


def test_pow_in_float32():
    rng = random("pow")
    x = np.abs(inputs("base", dtypes.float32, [1.0000001, 3e38]))
    x = x[np.isfinite(x) & (x > 0)]
    y = (rng.normal(size=len(x)) * rng.choice([0.1, 1, 10, 100], len(x))).astype(np.float32)
    judge(run("pow", x, y), truth(mp.power, x, y), 1, x, y)
    base = np.array([*SPECIAL, 3.5, -3.5, 1e30, -1e30, 1e-40], np.float32)
    power = np.array([*SPECIAL, 3, -3, 4, 1.5, 16777215, -16777215, 2**24, 1e9], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(base, power))
    got, wanted = run("pow", x, y), np.power(x.astype(np.float64), y).astype(np.float32)
    np.testing.assert_array_max_ulp(got[~np.isnan(wanted)], wanted[~np.isnan(wanted)], 1)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    signs = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[signs], np.signbit(wanted)[signs])


def test_hypot_in_float32():
    x, y = (inputs(k, dtypes.float32, [1e-30, 3e38]) for k in ("x", "y"))
    got = run("hypot", x, y)
    wanted = np.hypot(x.astype(np.float64), y).astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    number = ~np.isnan(wanted)
    np.testing.assert_array_max_ulp(got[number], wanted[number], 1)
