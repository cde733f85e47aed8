"""Engine and executables: laziness, the cache, threads, texts of LLVM."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headrace.base import dtypes, flags
from headrace.compile import executable
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import ENGINE, Engine
from headrace.compile.schedule import schedule
from tests.compile.support import compiled, elementwise, shaped


def test_llvm_loads_when_something_is_compiled():
    script = (
        "import sys, headrace.compile as c\n"
        "assert 'llvmlite' not in sys.modules and 'llvmlite.binding' not in sys.modules\n"
        "from tests.compile.support import *\n"
        "x = np.ones(3, np.float32)\n"
        "loops = compiled(elementwise(lambda b, x: x + 1), x)\n"
        "c.interpret(loops, (x,))\n"
        "assert 'llvmlite' not in sys.modules\n"
        "c.executable(loops)((x,))\n"
        "assert 'llvmlite' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_same_program_is_compiled_once():
    x = np.ones((3, 17), np.float32)
    executable(compiled(elementwise(lambda b, x: x * 3 - 1), x))
    before = ENGINE.compiled
    again = executable(compiled(elementwise(lambda b, x: x * 3 - 1), x))
    assert ENGINE.compiled == before
    np.testing.assert_array_equal(again((x,))[0], x * 3 - 1)


def test_kept_code_is_bounded(monkeypatch):
    monkeypatch.setattr("headrace.compile.llvm.engine.KEPT", 2)
    engine, kept = Engine(), []
    for n in range(4):
        loops = compiled(elementwise(lambda b, x: x), np.ones(n + 1, np.int8))
        with flags.CACHE.override(""):
            kept.append(engine.code(emit(loops)))
    assert len(engine._kept) == 2 and engine.compiled == 4
    assert len({code.address for code in kept}) == 4  # those in use stay alive


def test_no_address_is_in_the_text():
    x = np.ones(3, np.float32)
    loops = compiled(elementwise(lambda b, x: b.math.exp(x) + 1), x)
    assert emit(loops) == emit(compiled(elementwise(lambda b, x: b.math.exp(x) + 1), x))
    assert "inttoptr" not in emit(loops)


def test_assembly_is_vectorised():
    x = np.ones(4096, np.float32)
    text = ENGINE.assembly(emit(schedule(compiled(elementwise(lambda b, x, y: x * y), x, x))))
    assert "mulps\t" in text


def test_many_threads_inside_one_program():
    def lower(c, x):
        twice = c.store(c.map(x.shape, x.dtype, lambda i: x[i] * 2))
        return c.map(x.shape, x.dtype, lambda i: twice[x.size - 1 - i] + x[i])

    arrays = [np.arange(5000, dtype=np.float64) * k for k in range(16)]
    run = executable(compiled(shaped((5000,), lower), arrays[0]))

    def work(array):
        expected = array[::-1] * 2 + array
        return all(np.array_equal(run((array,))[0], expected) for _ in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, arrays))


def test_compiling_in_many_threads():
    def work(n):
        x = np.arange(n, dtype=np.int32)
        (found,) = executable(compiled(elementwise(lambda b, x: x * n), x))((x,))
        return np.array_equal(found, x * n)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(1, 25)))


def test_results_do_not_share_memory():
    x = np.arange(3, dtype=np.int64)
    run = executable(compiled(elementwise(lambda b, x: x), x))
    first, second = run((x,))[0], run((x,))[0]
    assert first is not second and not np.shares_memory(first, second)
    assert not np.shares_memory(first, x)
    assert dtypes.from_numpy[first.dtype] is dtypes.int64
