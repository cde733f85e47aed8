"""What the schedule makes of programs: how many loops, which form, how exact, how fast made;
and steps that are wrong on purpose, which the comparison finds."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from headrace.base import dtypes
from headrace.compile import executable, interpret
from headrace.compile.loops import ir
from headrace.compile.loops.builder import Builder
from headrace.compile.loops.print import text
from headrace.compile.loops.verify import InvalidLoops
from headrace.compile.loops.views import Stored
from headrace.compile.schedule import schedule

f32, f64 = dtypes.float32, dtypes.float64


def program(rule, *shapes, dtype=f32):
    """The program of a rule `(c, *views) -> results`."""
    c = Builder()
    inputs = [ir.Buffer(f"x{k}", shape, dtype) for k, shape in enumerate(shapes)]
    return c.finish("Test", inputs, rule(c, *(Stored(b) for b in inputs)))


def kept(c, shape, fn, dtype=f32):
    return c.store(c.map(shape, dtype, fn))


def over_rows(c, combine, x):
    return c.reduce(combine, x.shape[:1], x.dtype, x.shape[1:], lambda i, r: x[i + r])


def over_columns(c, combine, x):
    return c.reduce(combine, x.shape[1:], x.dtype, x.shape[:1], lambda i, r: x[r + i])


def total(c, x, dtype=f32):
    return c.reduce("add", (), dtype, x.shape, lambda i, r: x[r])


def loops_of(loops):
    stages = ir.stages(loops.stages)
    return [s for stage in stages for s in ir.statements(stage.body) if isinstance(s, ir.For)]


# Fusion


def softmax(c, x):
    top = over_rows(c, "max", x)
    e = kept(c, x.shape, lambda i, j: c.math.exp(x[i, j] - top[i]))
    sums = over_rows(c, "add", e)
    return [kept(c, x.shape, lambda i, j: e[i, j] / sums[i])]


def test_softmax_is_one_loop_over_rows():
    loops = schedule(program(softmax, (300, 50)))
    (stage,) = loops.stages
    (rows,) = stage.body
    inner = [s for s in rows.body if isinstance(s, ir.For)]
    assert rows.index.extent == 300 and [s.index.extent for s in inner] == [50, 50, 50]
    assert [(b.shape, b.local) for b in loops.temporaries] == [((50,), True)]


def adam(c, w, m, v, g):
    m1 = kept(c, w.shape, lambda i: m[i] + (g[i] - m[i]) * 0.1)
    v1 = kept(c, w.shape, lambda i: v[i] + (g[i] * g[i] - v[i]) * 0.001)
    step = kept(c, w.shape, lambda i: m1[i] / (c.math.sqrt(v1[i]) + 1e-7))
    return [kept(c, w.shape, lambda i: w[i] - step[i] * 0.01), m1, v1]


def test_an_update_is_one_loop():
    loops = schedule(program(adam, *[(1000,)] * 4))
    assert len(loops_of(loops)) == 1 and not loops.temporaries
    stored = [s for s in ir.statements(loops.stages[0].body) if isinstance(s, ir.Store)]
    assert len(stored) == 3


def huber(c, y, p):
    e = kept(c, y.shape, lambda i: y[i] - p[i])
    a = kept(c, y.shape, lambda i: abs(e[i]))
    loss = kept(c, y.shape, lambda i: c.where(a[i] < 1, e[i] * e[i] * 0.5, a[i] - 0.5))
    return [total(c, loss)]


def test_a_mean_of_a_chain_is_one_pass():
    loops = schedule(program(huber, (1000,), (1000,)))
    assert len(loops_of(loops)) == 1 and not loops.temporaries


def test_a_map_turns_to_join_sums_of_columns():
    def rule(c, x):
        y = kept(c, x.shape, lambda i, j: x[i, j] * 2)
        return [over_columns(c, "add", y), y]

    loops = schedule(program(rule, (40, 70)))
    assert len(loops.stages) == 1
    x = np.arange(2800, dtype=np.float32).reshape(40, 70) % 17
    sums, doubled = interpret(loops, (x,))
    np.testing.assert_array_equal(doubled, x * 2)
    np.testing.assert_array_equal(sums, (x * 2).sum(0))


def test_maps_that_turned_share_no_loops_with_others():
    """Loops of one depth have one index; those of a map that was turned have their own."""

    def rule(c, x):
        sums = c.reduce("add", (9, 9), f32, (9,), lambda i, r: x[r + i])
        maps = [kept(c, x.shape, lambda *i, k=k: x[i] + k) for k in range(2)]
        return [sums, *maps]

    x = np.arange(729, dtype=np.float32).reshape(9, 9, 9)
    found = interpret(schedule(program(rule, (9, 9, 9))), (x,))
    for got, expected in zip(found, (x.sum(0), x, x + 1), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_what_depends_on_other_steps_stays_apart():
    def rule(c, x):
        y = kept(c, x.shape, lambda i: x[i] * 2)
        return [kept(c, x.shape, lambda i: y[x.size - 1 - i] + y[i])]

    loops = schedule(program(rule, (100,)))
    assert len(loops.stages) == 2 and len(loops.temporaries) == 1


def test_checks_part_no_stages():
    def rule(c, x):
        y = kept(c, x.shape, lambda i: x[i] + 1, x.dtype)
        z = kept(c, x.shape, lambda i: y[i] // x[i], x.dtype)
        return [kept(c, x.shape, lambda i: z[i] + y[i], x.dtype)]

    loops = schedule(program(rule, (50,), dtype=dtypes.int32))
    assert [s.kind for s in loops.stages] == ["check", "map"]


def test_states_are_read_before_they_change():
    def rule(c, x, v):
        new = kept(c, x.shape, lambda i: v[i] + x[i])
        return [new, kept(c, x.shape, lambda i: new[i] * 2)]

    loops = program(rule, (8,), (8,))
    x, state = loops.inputs
    first, last = loops.stages
    index = first.body[0].index
    write = ir.Store(state, index, Stored(loops.outputs[0])[index])
    second = ir.Stage("map", (ir.For(index, (write,)),))
    loops = replace(loops, stages=(first, second, last), inputs=(x,), states=(state,))
    v, x = np.arange(8, dtype=np.float32), np.ones(8, np.float32)
    a, b = interpret(schedule(loops), (x,), (v,))
    np.testing.assert_array_equal(a, np.arange(8) + 1)
    np.testing.assert_array_equal(b, a * 2)
    np.testing.assert_array_equal(v, a)


# Form


def test_decisions_are_text():
    found = text(schedule(program(softmax, (4096, 100))))
    assert "threads:" in found and "lanes" in found and "local temporary" in found


def test_small_programs_get_one_masked_vector():
    (loop,) = loops_of(
        schedule(program(lambda c, x: [kept(c, (5,), lambda i: x[i] + 1)], (5,)))
    )
    assert loop.lanes == 8 and not loop.threads


def test_what_stays_the_same_does_not_make_lanes_few():
    def rule(c, x):
        return [c.reduce("add", (), f32, (9000,), lambda i, r: c.cast(x[0], f32))]

    loops = schedule(program(rule, (3,), dtype=f64))
    assert [loop.lanes for loop in loops_of(loops) if loop.index.extent > 100] == [64]


def test_large_sums_have_chunks_for_threads():
    loops = schedule(program(lambda c, x: [total(c, x)], (10**7,)))
    first, second = loops.stages
    chunks = first.body[0]
    assert chunks.threads and chunks.index.extent == 1250
    assert [b.shape for b in loops.temporaries] == [(1250,)]
    assert "threads" not in text(replace(loops, stages=(second,)))


def test_transposed_loads_that_are_guarded_run_in_strips():
    def rule(c, x):
        return [kept(c, (200, 300), lambda i, j: c.where(i < j, lambda: x[j, i], lambda: 0))]

    loops = schedule(program(rule, (300, 200)))
    assert [loop.index.extent for loop in loops_of(loops)][:3] == [4, 200, 64]
    x = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    np.testing.assert_array_equal(
        executable(program(rule, (300, 200)))((x,))[0], np.triu(x.T, 1)
    )


def rows_added(c, x, places):
    """The sums of the rows of x that are to go to the same place; below 0 is none."""
    start = c.fill((7, *x.shape[places.rank :]), x.dtype, 0)

    def row(*i):
        return (c.cast(places[i[: places.rank]], ir.INDEX), *i[places.rank :]), x[i]

    found = c.scatter("add", start, x.shape, row, when=lambda *i: places[i[: places.rank]] >= 0)
    return [found]


@pytest.mark.parametrize("shape", [(0, 40), (9, 1), (1, 64), (9, 3, 7), (99, 64), (99, 2, 9)])
@pytest.mark.parametrize("dtype", [f32, f64, dtypes.int32], ids=lambda d: d.name)
def test_rows_are_added_in_lanes(shape, dtype):
    c = Builder()
    inputs = ir.Buffer("x", shape, dtype), ir.Buffer("places", shape[:1], dtypes.int32)
    loops = c.finish("Test", inputs, rows_added(c, *(Stored(b) for b in inputs)))
    columns = [loop for loop in loops_of(schedule(loops)) if loop.index.extent == shape[-1]]
    assert len(shape) > 2 or shape[0] == 0 or shape[1] == 1 or columns[-1].lanes > 1
    rng = np.random.default_rng(0)
    x = (rng.normal(size=shape) * 9).astype(dtype.np)
    places = rng.integers(-1, 7, shape[:1]).astype(np.int32)
    expected = np.zeros((7, *shape[1:]), x.dtype)
    np.add.at(expected, places[places >= 0], x[places >= 0])
    np.testing.assert_array_equal(executable(loops)((x, places))[0], expected)


# Sums


@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
@pytest.mark.parametrize("size", [10**3, 10**4, 123_457, 10**6, 10**7])
def test_sums_are_as_exact_as_numpys(dtype, size):
    """By root mean square over some draws: one may be lucky."""
    draws = 8 if size <= 10**6 else 2
    run = executable(program(lambda c, x: [total(c, x, dtype)], (size,), dtype=dtype))
    ours, numpys = [], []
    for seed in range(draws):
        x = (np.random.default_rng(seed).normal(size=size) + 1).astype(dtype.np)
        truth = math.fsum(x)
        unit = np.finfo(dtype.np).eps * abs(truth)
        ours.append((float(run((x,))[0]) - truth) / unit)
        numpys.append((float(x.sum()) - truth) / unit)
    rms = [math.sqrt(sum(e * e for e in errors) / draws) for errors in (ours, numpys)]
    assert rms[0] <= max(0.5, 1.3 * rms[1]), rms


@pytest.mark.parametrize("shape", [(100_000, 10), (3000, 300), (9000, 1)])
def test_sums_of_columns_are_exact(shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    (got,) = executable(program(lambda c, x: [over_columns(c, "add", x)], shape))((x,))
    truth = x.astype(np.float64).sum(0)
    assert np.max(np.abs(got - truth) / truth) < 3 * np.finfo(np.float32).eps


def test_sums_of_long_rows_are_exact():
    x = np.random.default_rng(0).random((3, 100_003), np.float32)
    (got,) = executable(program(lambda c, x: [over_rows(c, "add", x)], x.shape))((x,))
    truth = x.astype(np.float64).sum(1)
    assert np.max(np.abs(got - truth) / truth) < 2 * np.finfo(np.float32).eps


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_000])
def test_extremes_and_their_places(size):
    x = np.random.default_rng(size).integers(-50, 50, size).astype(np.float32)
    x[size // 3 :: 5] = np.nan if size > 7 else 3

    def rule(c, x):
        return [
            c.arg_reduce(way, (), dtypes.int64, x.size, lambda i, r: x[r])
            for way in ("max", "min")
        ]

    loops = program(rule, (size,))
    expected = [np.nanargmax(x), np.nanargmin(x)]
    assert list(executable(loops)((x,))) == expected
    if size <= 1000:
        assert list(interpret(loops, (x,))) == expected


# Wrong steps


def module(name):
    return sys.modules[f"headrace.compile.schedule.{name}"]


def reversed_rows(c, x):
    y = kept(c, x.shape, lambda i, j: x[i, j] * 2)
    return [kept(c, x.shape, lambda i, j: y[x.shape[0] - 1 - i, j])]


def running(c, x):
    return [c.scan("add", x.shape, f32, 0, lambda i: x[i])]


def summed(c, x):
    return [total(c, x)]


def always(*_, **__):
    return True


@pytest.mark.parametrize(
    "wrong",
    [
        ("fuse", "in_step", always, reversed_rows, (4, 3)),
        ("vectorize", "_qualifies", always, running, (40,)),
        ("split", "divmod", lambda a, b: (a // b, 0), summed, (33_001,)),
    ],
    ids=["fused out of step", "a running sum in lanes", "chunks without what is left over"],
)
def test_wrong_steps_are_found(monkeypatch, wrong):
    name, function, broken, rule, shape = wrong
    monkeypatch.setattr(module(name), function, broken, raising=False)
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape) % 5
    loops = program(rule, shape)
    expected = interpret(loops, (x,))
    try:
        found = interpret(schedule(loops), (x,))
    except InvalidLoops:
        return
    assert any(not np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


# Time


def chain(count):
    def rule(c, x):
        views = [x]
        for k in range(count):
            a, b = views[-1], views[-1 - k % 5 if k >= 5 else 0]
            views.append(kept(c, x.shape, lambda i, a=a, b=b: a[i] * 0.5 + b[i]))
        return [views[-1]]

    return program(rule, (32,))


def test_time_goes_with_the_number_of_stages():
    times = {}
    for count in (250, 1000):
        loops = chain(count)
        best = math.inf
        for _ in range(3):
            begin = time.process_time()
            schedule(loops)
            best = min(best, time.process_time() - begin)
        times[count] = best
    assert times[1000] < 4 * 2.0 * times[250]
