"""Memory of large results is used again; arenas give temporaries their places."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from headrace.base import dtypes
from headrace.compile import executable
from headrace.compile.llvm.blocks import COLOURS
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, Load, const
from headrace.compile.run.arena import ALIGNED, arena
from headrace.compile.run.memory import LARGE, empty, memory, release
from tests.compile.support import compiled, elementwise

f32, i32, i64, flag = dtypes.float32, dtypes.int32, dtypes.int64, dtypes.bool
SIZE = LARGE // 4 * 3


def address(array):
    return array.__array_interface__["data"][0]


def test_a_block_is_used_again():
    release()
    first = empty((SIZE,), np.float32)
    first.fill(1)
    place = address(first)
    del first
    before = memory().statistics
    second = empty((SIZE,), np.float32)
    after = memory().statistics
    assert abs(address(second) - place) < 64 * COLOURS
    assert after.reused == before.reused + 1 and after.mapped == before.mapped
    assert after.kept < before.kept and after.lent == before.lent + 1
    assert second.flags.owndata and second.base is None and second.flags.writeable


def test_small_arrays_are_numpys():
    before = memory().statistics.taken
    empty((10, 10), np.float64)
    empty((LARGE - 1,), np.uint8)
    assert memory().statistics.taken == before
    assert address(empty((LARGE,), np.uint8)) % 64 == 0
    assert memory().statistics.taken == before + 1


def test_outputs_of_programs_are_such():
    x = empty((SIZE,), np.float32)
    x.fill(3)
    run = executable(compiled(elementwise(lambda b, x: x * 2), x))
    (y,) = run((x,))
    place, mapped = address(y), memory().statistics.mapped
    del y
    for _ in range(50):
        (y,) = run((x,))
        assert abs(address(y) - place) < 64 * COLOURS and y[0] == y[-1] == 6
        del y
    assert memory().statistics.mapped == mapped


def test_many_calls_leave_memory_flat():
    x = np.ones(100, np.float32)
    run = executable(compiled(elementwise(lambda b, x: x * 2 + 1), x))
    for _ in range(1000):
        run((x,))
    before = resident()
    for _ in range(100_000):
        run((x,))
    assert resident() - before < 1 << 20


def resident():
    """Bytes of memory that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_what_waits_is_bounded():
    release()
    words, limit = memory()._words, memory().statistics.limit
    try:
        words[0] = 8 << 20
        for count in (1, 2, 3, 5):
            kept = [empty((1 << 20,), np.float32) for _ in range(count)]
            kept.append(empty((4 << 20,), np.float32))  # larger than the limit
            del kept
            assert memory().statistics.kept <= 8 << 20
    finally:
        words[0] = limit
    release()
    assert memory().statistics.kept == 0
    assert 0 < limit <= 1 << 30


def test_more_blocks_than_the_table_holds():
    release()
    kept = [empty((LARGE + 4096 * k,), np.uint8) for k in range(150)]
    assert len({address(a) for a in kept}) == 150
    before = memory().statistics
    del kept
    after = memory().statistics
    assert after.lent == before.lent - 150
    assert 0 < after.kept <= 128 * (LARGE + 4096 * 152)
    release()


def test_arrays_of_blocks_grow_and_shrink():
    array = empty((SIZE,), np.float32)
    array[:] = np.arange(SIZE, dtype=np.float32)
    for size in (2 * SIZE, 10, SIZE):
        array.resize((size,), refcheck=False)
        assert array[:10].tolist() == list(range(10))
    assert array[10:].max() == 0


def test_arrays_of_both_allocators_mix():
    before = memory().statistics
    with memory().recycled():
        small, large = np.arange(10), np.ones(SIZE, np.float32)
        taken = memory().statistics.taken
        assert np.zeros(SIZE, np.float32).any() == np.False_
        assert memory().statistics.taken == taken  # zeros are the system's
        listed = np.fromiter(range(LARGE // 4), np.int64)  # grows by reallocation
        filtered = large[large > 0]
        small.resize((SIZE,), refcheck=False)
    ordinary = np.ones(SIZE, np.float32)
    assert memory().statistics.taken == before.taken + 3
    for array in (small, large, listed, filtered, ordinary):
        array.resize((array.size * 2,), refcheck=False)
    assert small[:10].tolist() == list(range(10)) and not small[10:].any()
    assert listed[: LARGE // 4].tolist() == list(range(LARGE // 4))
    assert large[:SIZE].all() and filtered[:SIZE].all() and ordinary[:SIZE].all()
    lent = memory().statistics.lent
    del large, filtered, listed, small, ordinary, array
    assert memory().statistics.lent < lent
    assert memory().statistics.lent == before.lent


def test_chains_of_large_operations_are_warm():
    def chain(x):
        y = np.add(x, x)
        return np.multiply(y, x) - y

    with memory().recycled():
        x = np.full(SIZE, 3, np.float32)
        for _ in range(3):
            chain(x)
        before = memory().statistics
        for _ in range(20):
            assert chain(x)[-1] == 12
        after = memory().statistics
    assert after.mapped == before.mapped
    assert after.taken - before.taken == after.reused - before.reused >= 40


def test_threads_take_and_give():
    lent = memory().statistics.lent

    def work(n):
        arrays = []
        for k in range(60):
            array = empty((LARGE + (n * 37 + k * 91) % 13 * 4096,), np.uint8)
            array[::4096] = n
            arrays.append(array)
            assert all((a[::4096] == n).all() for a in arrays)
            del arrays[: k % 3]
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert memory().statistics.lent == lent


def test_nonsense_is_refused():
    with pytest.raises(MemoryError):
        empty((1 << 50,), np.uint8)


def test_a_forked_process_and_the_end_of_one():
    script = (
        "import os, numpy as np\n"
        "from headrace.compile.run.memory import empty, memory\n"
        "kept = empty((1 << 20,), np.float32)\n"
        "kept.fill(7)\n"
        "del kept\n"
        "child = os.fork()\n"
        "array = empty((1 << 20,), np.float32)\n"
        "array.fill(child)\n"
        "assert memory().statistics.reused == 1\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "lasting = [array]\n"  # dies while the interpreter ends
        "lasting.append(lasting)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


# Arenas


def buffer(name, size=64, dtype=f32):
    return ir.Buffer(name, (size,), dtype)


def copy(to, *sources):
    """A stage that writes all of `to`."""
    i = Index(i64, "i", to.size)
    value = const(1.0, f32)
    for source in sources:
        value = value + Load(f32, source, i)
    return ir.Stage("map", (ir.For(i, (ir.Store(to, i, value),)),))


def planned(steps, *temporaries):
    x, y = buffer("x"), buffer("y")
    loops = ir.Loops("test", (x,), (y,), temporaries, tuple(steps), ())
    found = arena(loops)
    assert all(place % ALIGNED == 0 for place in found.places)
    assert all(
        place + b.size * b.dtype.size <= max(found.size, place)
        for place, b in zip(found.places, temporaries, strict=True)
        if found.size
    )
    return found


def test_a_chain_needs_two_places():
    a, b, c, d = (buffer(name) for name in "abcd")
    found = planned([copy(a), copy(b, a), copy(c, b), copy(d, c)], a, b, c, d)
    assert found.size == 2 * 256
    assert found.places[0] == found.places[2] != found.places[1] == found.places[3]


def test_a_small_one_fits_into_the_place_of_a_dead_large_one():
    a, b, c = buffer("a", 1000), buffer("b", 10), buffer("c", 600)
    found = planned([copy(a), copy(b, a), copy(c, b)], a, b, c)
    assert found.size == 4032 + 64


def test_nothing_to_place():
    assert planned([]).size == 0
    assert planned([], buffer("unused")).size == 0


def repeat(*body):
    go = buffer("go", 1, flag)
    return ir.Repeat((), go, tuple(body)), go


def test_what_a_round_makes_and_uses_may_share():
    a, b, c = (buffer(name) for name in "abc")
    loop, go = repeat(copy(a), copy(b, a), copy(c, b))
    assert planned([loop], a, b, c, go).size == 64 + 2 * 256


def test_what_goes_from_round_to_round_lives_through_all():
    a, b, c = (buffer(name) for name in "abc")
    loop, go = repeat(copy(b, a), copy(c, b), copy(a, c))
    found = planned([copy(a), loop], a, b, c, go)
    assert found.size == 64 + 3 * 256  # a lives while b and c do, which overlap


def test_what_is_read_after_a_repeat_lives_through_all():
    a, b = buffer("a"), buffer("b")
    i = Index(i64, "i", 1)
    part = ir.Stage("map", (ir.For(i, (ir.Store(a, i, const(1.0, f32)),)),))
    for first in (part, copy(a)):
        loop, go = repeat(copy(b), first)
        late = copy(buffer("late"), a)
        found = planned([loop, late], a, b, go)
        assert found.places[0] != found.places[1]


def test_what_only_one_side_makes_is_no_new_value():
    a, b, n = buffer("a"), buffer("b"), buffer("n", 1, i32)
    choice = ir.Branch(n, ((copy(a),), ()))
    loop, go = repeat(copy(b), choice, copy(buffer("late"), a))
    found = planned([loop], a, b, n, go)
    assert found.places[0] != found.places[1]


@pytest.mark.parametrize("seed", range(20))
def test_those_that_live_together_never_overlap(seed):
    rng = np.random.default_rng(seed)
    buffers = [buffer(f"t{k}", int(rng.integers(1, 400))) for k in range(30)]
    steps, spans = [], {}
    for k in range(60):
        chosen = [buffers[j] for j in rng.choice(30, 3, replace=False)]
        stores = tuple(ir.Store(b, const(0, i64), const(1.0, f32)) for b in chosen)
        steps.append(ir.Stage("map", stores))
        for b in chosen:
            spans.setdefault(id(b), []).append(k)
    found = planned(steps, *buffers)
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers[:i]):
            if id(a) not in spans or id(b) not in spans:
                continue
            apart = spans[id(a)][-1] < spans[id(b)][0] or spans[id(b)][-1] < spans[id(a)][0]
            p, q = found.places[i], found.places[j]
            assert apart or p + a.size * 4 <= q or q + b.size * 4 <= p
