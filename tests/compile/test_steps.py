"""Steps that repeat and choose, and buffers that are states: interpreter and machine code."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.base import dtypes, errors
from headrace.compile import executable, interpret
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, Load, cast, const
from headrace.compile.loops.print import text
from headrace.compile.loops.verify import InvalidLoops, verify
from headrace.compile.schedule import schedule
from headrace.ops.matmul import MatMul
from tests.compile.support import compiled

f32, i32, i64, flag = dtypes.float32, dtypes.int32, dtypes.int64, dtypes.bool


def scalar(name, dtype=i32):
    return ir.Buffer(name, (), dtype)


def at(buffer, offset=0):
    return Load(buffer.dtype, buffer, const(offset, i64) if isinstance(offset, int) else offset)


def set_to(buffer, value, offset=0):
    place = const(offset, i64) if isinstance(offset, int) else offset
    return ir.Stage("map", (ir.Store(buffer, place, value),))


def counted(limit, body, more=(), kept=()):
    """A program that runs body(counter, v) `limit` times, on the state v [5]."""
    n, v = scalar("n"), ir.Buffer("v", (5,), f32)
    counter, go, rounds = scalar("counter"), scalar("go", flag), scalar("rounds")
    steps = (
        set_to(counter, const(0, i32)),
        ir.Repeat(
            (set_to(go, at(counter) < at(n)),),
            go,
            (*body(counter, v), set_to(counter, at(counter) + 1)),
        ),
        set_to(rounds, at(counter)),
    )
    return verify(ir.Loops("counted", (n,), (rounds,), (counter, go, *kept), steps, more, (v,)))


def doubled(counter, v):
    i = Index(i64, "i", 5)
    return (ir.Stage("map", (ir.For(i, (ir.Store(v, i, at(v, i) * 2),)),)),)


def both_ways(loops, arrays, state):
    slow, fast = state.copy(), state.copy()
    a, b = interpret(loops, arrays, [slow]), executable(loops)(arrays, [fast])
    np.testing.assert_array_equal(slow, fast)
    np.testing.assert_array_equal(a, b)
    return fast, b


@pytest.mark.parametrize("times", [0, 1, 7])
def test_a_loop_changes_a_state(times):
    start = np.arange(5, dtype=np.float32)
    after, (rounds,) = both_ways(counted(times, doubled), [np.array(times, np.int32)], start)
    assert rounds == times
    np.testing.assert_array_equal(after, start * 2**times)


def test_an_offset_that_a_loop_counts():
    def body(counter, v):
        place = cast(at(counter), i64)
        return (set_to(v, cast(at(counter), f32) + at(v, place), place),)

    start = np.zeros(5, np.float32)
    after, _ = both_ways(counted(4, body), [np.array(4, np.int32)], start)
    np.testing.assert_array_equal(after, [0, 1, 2, 3, 0])


@pytest.mark.parametrize("kind", [i32, i64, flag])
def test_a_branch_in_a_loop(kind):
    which = scalar("which", kind)

    def body(counter, v):
        count = 2 if kind is flag else 3
        sides = tuple((set_to(v, at(v, k) + 1, k),) for k in range(count))
        value = at(counter) < 2 if kind is flag else cast(at(counter) - 1, kind)
        return (set_to(which, value), ir.Branch(which, sides))

    loops = counted(6, body, kept=(which,))
    after, _ = both_ways(loops, [np.array(6, np.int32)], np.zeros(5, np.float32))
    expected = [2, 4, 0, 0, 0] if kind is flag else [1, 1, 4, 0, 0]
    np.testing.assert_array_equal(after, expected)
    assert "side 0 of which" in text(loops) and "while go after" in text(loops)


def test_a_check_ends_a_loop():
    def body(counter, v):
        condition = at(counter) < 3
        check = ir.Stage("check", (ir.Check(condition, 1, (cast(at(counter), i64),)),))
        return (check, *doubled(counter, v))

    loops = counted(9, body, (ir.Failure("out_of_range", "at {}"),))
    for run in (interpret, lambda *given: executable(loops)(*given[1:])):
        state = np.ones(5, np.float32)
        with pytest.raises(errors.OutOfRangeError, match="at 3"):
            run(loops, [np.array(9, np.int32)], [state])
        np.testing.assert_array_equal(state, np.full(5, 8, np.float32))


def test_what_decides_is_a_scalar_that_is_known():
    go, flags = scalar("go", flag), ir.Buffer("flags", (2,), flag)
    for buffer, problem in ((go, "before its stage"), (flags, "2 elements")):
        loops = ir.Loops("x", (), (), (buffer,), (ir.Repeat((), buffer, ()),), ())
        with pytest.raises(InvalidLoops, match=problem):
            verify(loops)


def test_a_state_must_be_contiguous():
    loops = counted(1, doubled)
    with pytest.raises(ValueError, match="v is a state"):
        executable(loops)([np.array(1, np.int32)], [np.ones(10, np.float32)[::2]])


def repeated(name, n, body):
    """`body` n times over, and the temporaries that this takes."""
    counter, go = scalar(f"{name}.counter"), scalar(f"{name}.go", flag)
    head = (set_to(go, at(counter) < n),)
    body = (*body, set_to(counter, at(counter) + 1))
    return (set_to(counter, const(0, i32)), ir.Repeat(head, go, body)), (counter, go)


@pytest.mark.parametrize(
    ("changed", "outside"), [("", 2), ("outer", 1), ("inner", 0), ("before", 2)]
)
def test_an_operand_is_packed_before_the_loops_that_leave_it(changed, outside):
    rng = np.random.default_rng(8)
    h, w = (rng.normal(size=s).astype(np.float32) / 8 for s in ((33, 70), (70, 70)))
    single = compiled(MatMul, h, w, transpose_b=True)
    (x, y), (z,) = single.inputs, single.outputs
    i = Index(i64, "i", x.size)
    back = ir.Stage("map", (ir.For(i, (ir.Store(x, i, at(z, i) + 1),)),))
    more = (set_to(y, at(y, 3) + 1, 3),)
    inner, own = repeated("inner", 3, (*single.stages, back, *(more * (changed == "inner"))))
    outer, others = repeated("outer", 2, (*inner, *(more * (changed == "outer"))))
    steps = (*(more * (changed == "before")), *outer)
    loops = ir.Loops("loops", (), (), (*own, *others, z), steps, (), (x, y))
    done = schedule(verify(loops))
    (how,) = [s.how for s in ir.stages(done.stages) if s.how]
    assert (how.form, how.outside) == ("packed", outside)
    assert (f"packed before {outside} loops" in text(done)) == bool(outside)
    found, expected = (h.copy(), w.copy()), (h.astype(np.float64), w.astype(np.float64))
    executable(loops)((), found)
    grow = {"inner": 6, "outer": 2, "before": 1}.get(changed, 0)
    for k in range(6):
        at_once = changed == "before" and k == 0
        expected[1][0, 3] += at_once
        expected[0][:] = expected[0] @ expected[1].T + 1
        expected[1][0, 3] += changed == "inner" or (changed == "outer" and k in (2, 5))
    assert expected[1][0, 3] == pytest.approx(w[0, 3] + grow)
    np.testing.assert_allclose(found[0], expected[0], 1e-3, 1e-3)
    np.testing.assert_allclose(found[1], expected[1], 1e-5, 1e-5)
