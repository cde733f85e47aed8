"""The loop language itself: simplification, verifier, printer, and the wrong programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.compile import interpret
from headrace.compile.loops import ir
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Const,
    Expr,
    Index,
    Load,
    Read,
    bounds,
    const,
)
from headrace.compile.loops.interp import OutOfBounds, compute
from headrace.compile.loops.print import text
from headrace.compile.loops.verify import InvalidLoops, verify
from headrace.compile.loops.views import ravel, unravel
from tests.compile.support import compiled, elementwise, shaped

f32, i64 = dtypes.float32, dtypes.int64


# Simplification: what the constructors fold has the value that it had.


def index_trees():
    leaves = st.one_of(st.integers(-3, 6), st.sampled_from(["i", "j"]))
    names = st.sampled_from(["add", "sub", "mul", "floordiv", "floormod", "min", "max"])
    return st.recursive(leaves, lambda t: st.tuples(names, t, t), max_leaves=8)


def built(tree, i, j):
    """(expression or int, function of positions), built side by side."""
    if not isinstance(tree, tuple):
        chosen = {"i": i, "j": j}.get(tree, tree)
        return chosen, lambda at: at.get(tree, tree)
    name, a, b = tree
    (x, f), (y, g) = built(a, i, j), built(b, i, j)
    rules = {
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "floordiv": lambda x, y: x // y,
        "floormod": lambda x, y: x % y,
    }
    if name in ("min", "max"):
        plain = min if name == "min" else max
        if isinstance(x, Expr) or isinstance(y, Expr):
            x, y = (v if isinstance(v, Expr) else const(v, i64) for v in (x, y))
            from_apply = Apply(i64, name, (x, y), None)
            return from_apply, lambda at: plain(f(at), g(at))
        return plain(x, y), lambda at: plain(f(at), g(at))
    if name in ("floordiv", "floormod") and not (isinstance(y, int) and y > 0):
        return x, f
    return rules[name](x, y), lambda at: rules[name](f(at), g(at))


def evaluated(x, at):
    match x:
        case int():
            return x
        case Const():
            return int(x.value)
        case Index():
            return at[x.name]
        case Apply():
            return int(compute(x.name, i64, *(np.int64(evaluated(y, at)) for y in x.args)))
    raise TypeError(x)


@settings(max_examples=200, deadline=None)
@given(index_trees(), st.integers(1, 4), st.integers(1, 5))
def test_index_arithmetic_keeps_its_value(tree, n, m):
    i, j = Index(i64, "i", n), Index(i64, "j", m)
    x, function = built(tree, i, j)
    known = bounds(x) if isinstance(x, Expr) else (x, x)
    for at in ({"i": a, "j": b} for a in range(n) for b in range(m)):
        value = evaluated(x, at)
        assert value == function(at)
        assert known is None or known[0] <= value <= known[1]
        if isinstance(x, Expr):
            for limit in (0, 3):
                for rule in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
                    folded = getattr(x, rule)(limit)
                    if isinstance(folded, Const):
                        assert folded.value == getattr(value, rule)(limit)


@given(st.lists(st.integers(1, 4), max_size=4), st.data())
def test_ravel_and_unravel(shape, data):
    index = [data.draw(st.integers(0, n - 1)) for n in shape]
    n = int(np.ravel_multi_index(index, shape)) if shape else 0
    assert evaluated(ravel(index, shape), {}) == n
    assert [evaluated(x, {}) for x in unravel(n, shape)] == index


def test_what_folds():
    i = Index(i64, "i", 4)
    assert (i + 0) is i and (1 * i) is i and (i % 4) is i and (i // 1) is i
    assert bounds(i * 3 + 2) == (2, 11)
    assert isinstance(i // 4, Const) and isinstance(i < 4, Const) and isinstance(i >= 0, Const)
    assert isinstance(i == 5, Const) and not isinstance(i == 3, Const)
    shifted = (i + 2) + 3
    assert isinstance(shifted, Apply) and shifted.args[0] is i
    empty = Index(i64, "e", 0)
    assert bounds(empty) is None and isinstance(empty % 2, Apply)


def test_floats_do_not_fold():
    x = Load(f32, ir.Buffer("x", (1,), f32), const(0, i64))
    assert isinstance(x + 0, Apply) and isinstance(x * 0, Apply) and isinstance(x * 1, Apply)


def test_half_casts_vanish_only_when_exact():
    x = Load(dtypes.float16, ir.Buffer("x", (1,), dtypes.float16), const(0, i64))
    from_half = x + 0
    assert from_half.dtype is f32
    wide = from_half.args[0]
    assert isinstance(wide, Cast)


# The verifier.


def program(body, inputs=(), temporaries=(), failures=()):
    out = ir.Buffer("y", (3,), f32)
    stages = (ir.Stage("map", tuple(body(out))),)
    return ir.Loops("Test", tuple(inputs), (out,), tuple(temporaries), stages, tuple(failures))


def at(k):
    return const(k, i64)


ONE = const(1.0, f32)
INPUT = ir.Buffer("x", (3,), f32)
TEMPORARY = ir.Buffer("t", (3,), f32)
SUM = ir.Accumulator("a", f32)
LOOP = Index(i64, "i", 3)
YES = const(True, dtypes.bool)

WRONG = {
    "nothing is stored in y": lambda y: [],
    "y has 3 elements, used at \\(3, 3\\)": lambda y: [ir.Store(y, at(3), ONE)],
    "store into x": lambda y: [ir.Store(INPUT, at(0), ONE)],
    "index i outside its loop": lambda y: [ir.Store(y, LOOP, ONE)],
    "expected float32, got float64": lambda y: [ir.Store(y, at(0), const(1, dtypes.float64))],
    "offset into y is float32": lambda y: [ir.Store(y, ONE, ONE)],
    "y has no part 1": lambda y: [ir.Store(y, at(0), ONE, 1)],
    "load from t before its stage": lambda y: [ir.Store(y, at(0), Load(f32, TEMPORARY, at(0)))],
    "read of a, which has not begun": lambda y: [ir.Store(y, at(0), Read(f32, SUM))],
    "update of a, which has not begun": lambda y: [ir.Update("add", (SUM,), (ONE,))],
    "check with unknown failure 1": lambda y: [ir.Check(YES, 1)],
    "a condition is not bool": lambda y: [ir.If(at(1), ())],
    "loop i inside itself": lambda y: [ir.For(LOOP, (ir.For(LOOP, ()),))],
    "add of mixed dtypes": lambda y: [
        ir.Store(y, at(0), Apply(f32, "add", (ONE, const(1, dtypes.float64))))
    ],
    "and of float32": lambda y: [ir.Store(y, at(0), Apply(f32, "and", (ONE, ONE)))],
    "cast from float16 to float64 in one step": lambda y: [
        ir.Begin(
            ir.Accumulator("d", dtypes.float64),
            Cast(dtypes.float64, const(1, dtypes.float16)),
        )
    ],
    "where: two dtypes": lambda y: [
        ir.Store(y, at(0), Choose(f32, YES, ONE, const(1, dtypes.float64)))
    ],
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_programs_are_refused(message):
    with pytest.raises(InvalidLoops, match=message):
        verify(program(WRONG[message], [INPUT], [TEMPORARY]))


def test_accumulators_live_in_their_block():
    def body(y):
        inner = (ir.Begin(SUM, ONE), ir.Update("add", (SUM,), (ONE,)))
        return [ir.For(LOOP, inner), ir.Store(y, at(0), Read(f32, SUM))]

    with pytest.raises(InvalidLoops, match="which has not begun"):
        verify(program(body))


def test_the_referee_checks_every_access():
    far = Load(i64, ir.Buffer("k", (1,), i64), at(0))
    loops = program(lambda y: [ir.Store(y, far, ONE)], [far.buffer])
    verify(loops)
    with pytest.raises(OutOfBounds, match="y has 3 elements, used at 7"):
        interpret(loops, (np.array([7]),))


# The printer.


def test_text_of_a_reduction():
    op = shaped((2,), lambda c, x: c.reduce("add", (2,), x.dtype, (3,), lambda i, r: x[i + r]))
    assert text(compiled(op, np.zeros((2, 3), np.float32))) == (
        "loops Test\n"
        "input x0: float32[2, 3]\n"
        "output t4: float32[2]\n"
        "reduce:\n"
        "  for i1 < 2:\n"
        "    a3: float32 = 0.0:float32\n"
        "    for r2 < 3:\n"
        "      a3 add= x0[((i1 * 3) + r2)]\n"
        "    t4[i1] = a3\n"
    )


def test_text_names_what_is_shared():
    def rule(b, x):
        y = b.math.exp(x)
        return b.where(y > 1, lambda: y * y, 1 / y)

    found = text(compiled(elementwise(rule), np.zeros((), np.float32)))
    assert found.endswith(
        "map:\n"
        "  v0 = exp(x0[0])\n"
        "  t1[0] = branch((v0 > 1.0:float32), (v0 * v0), (1.0:float32 / v0))\n"
    )


def test_text_of_checks():
    op = elementwise(lambda b, x, y: x // y)
    x = np.ones(2, np.int8)
    found = text(compiled(op, x, x))
    assert "failure 1: invalid_argument 'Integer division by zero'\ncheck:\n" in found
    assert "    check (x1[i1] != 0:int8) else 1\nmap:\n" in found


def test_text_is_a_key():
    """Programs that differ have texts that differ."""
    x = np.zeros((2, 3), np.float32)
    rules = [
        lambda b, x: x + 1,
        lambda b, x: x + 2,
        lambda b, x: b.cast(x, dtypes.float64) * 0 == 0,
        lambda b, x: x > 1,
    ]
    out = [None, None, dtypes.bool, dtypes.bool]
    texts = [text(compiled(elementwise(r, o), x)) for r, o in zip(rules, out, strict=True)]
    texts += [text(compiled(elementwise(rules[0]), v)) for v in (x[0], x.astype(np.float64))]
    assert len(set(texts)) == len(texts)
    assert texts[0] == text(compiled(elementwise(rules[0]), x))
