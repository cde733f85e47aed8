"""Reports, dumps, linkers that take turns, and compilation in the background."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

from headrace.base import flags
from headrace.base.dtypes import float32
from headrace.compile import executable
from headrace.compile.llvm import engine as engines
from headrace.compile.llvm import link
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import Engine
from headrace.compile.loops import ir
from headrace.compile.loops.builder import Builder
from headrace.compile.loops.views import Stored
from headrace.compile.run.later import Later, compile_later
from headrace.compile.schedule import schedule
from tests.compile.support import compiled, elementwise

KERNEL = "define void @kernel(ptr %p) nounwind {{\n  store i32 {}, ptr %p\n  ret void\n}}\n"


def test_compilations_are_reported(tmp_path, caplog):
    with flags.CACHE.override(str(tmp_path)):
        Engine().code(KERNEL.format(1), "silent")
        assert caplog.text == ""
        with flags.LOG.override("compile"):
            Engine().code(KERNEL.format(2), "first", 1.25)
            Engine().code(KERNEL.format(2), "second")
    cold, hot = [r.getMessage() for r in caplog.records]
    assert cold.startswith("compiled first: 2 instructions, 1.2 ms emitted, ")
    assert "ms optimised" in cold and "ms generated" in cold and "ms linked" in cold
    assert hot.startswith("compiled second: 2 instructions, ") and "from the cache" in hot


def test_texts_are_printed(capsys):
    x = np.ones(6, np.float32)
    loops = compiled(elementwise(lambda b, x: x * 2.5), x)
    executable(loops)
    with flags.DUMP.override("llvm,asm"):
        executable(loops)  # though it is compiled already
    printed = capsys.readouterr().err
    assert "# Test: llvm" in printed and "define void @kernel(ptr %ctx)" in printed
    assert "# Test: asm" in printed and "\tret" in printed


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@pytest.fixture(params=["own", "llvm"])
def linker(request, monkeypatch):
    """Each of the two that make code of object files."""

    def refuse(image, names):
        raise link.Unlinkable

    if request.param == "llvm":
        monkeypatch.setattr(link, "linked", refuse)


def test_code_that_dies_leaves_nothing(linker, monkeypatch):
    monkeypatch.setattr(engines, "LINKED", 32)
    engine = Engine()
    image = engine.code(KERNEL.format(3)).image
    for _ in range(100):
        engine.load(image)
    before = resident()
    for _ in range(600):
        engine.load(image)
    assert resident() - before < 600 * 3000  # one linker for all would keep 9,000 for each


def test_code_outlives_its_linker(linker, monkeypatch):
    monkeypatch.setattr(engines, "LINKED", 2)
    engine = Engine()
    image = engine.code(KERNEL.format(4)).image
    kept = [engine.load(image) for _ in range(9)]
    assert len({code.address for code in kept}) == 9
    del kept


# In the background


def test_work_is_done_later_in_order():
    done, here = [], threading.current_thread()

    def work(k):
        assert threading.current_thread() is not here
        done.append(k)
        return k * k

    found = [compile_later(lambda k=k: work(k)) for k in range(20)]
    assert [f.result(30) for f in found] == [k * k for k in range(20)]
    assert done == list(range(20))


def test_an_error_belongs_to_who_asks():
    failing = compile_later(lambda: 1 // 0)
    assert compile_later(lambda: 5).result(30) == 5
    with pytest.raises(ZeroDivisionError):
        failing.result(30)


def test_the_end_cancels_what_has_not_begun():
    later, begun = Later(), threading.Event()

    def slow():
        begun.set()
        time.sleep(0.1)
        return "done"

    first, second = later.submit(slow), later.submit(slow)
    begun.wait(30)
    later.end()
    assert first.result(0) == "done"
    with pytest.raises(CancelledError):
        second.result(0)
    assert later.submit(slow).cancelled()


def test_programs_compile_while_others_run_and_a_process_ends():
    script = (
        "from headrace.compile.run.later import compile_later\n"
        "from tests.compile.support import *\n"
        "x = np.arange(50, dtype=np.float32)\n"
        "def make(k):\n"
        "    return executable(compiled(elementwise(lambda b, x: b.math.tanh(x) * k), x))\n"
        "running = make(0.5)\n"
        "later = [compile_later(lambda k=k: make(float(k))) for k in range(60)]\n"
        "while not later[3].done():\n"
        "    running((x,))\n"
        "np.testing.assert_allclose(later[3].result()((x,))[0], np.tanh(x) * 3, rtol=1e-5)\n"
    )
    with flags.CACHE.override(""):
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_fork_while_something_compiles():
    script = (
        "import os\n"
        "from headrace.compile.run.later import compile_later\n"
        "from tests.compile.support import *\n"
        "x = np.arange(50, dtype=np.float32)\n"
        "def make(k):\n"
        "    return executable(compiled(elementwise(lambda b, x: b.math.tanh(x) * k), x))\n"
        "later = [compile_later(lambda k=k: make(float(k))) for k in range(10)]\n"
        "make(0.5)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    make(99.0)((x,))\n"
        "    assert compile_later(lambda: make(98.0)).result(30)((x,))\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert later[-1].result(30)((x,))\n"
    )
    with flags.CACHE.override(""):
        subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=100)


def test_stages_that_do_the_same_are_one_function():
    """Layers of one size take as much code as one of them."""

    def layers(count):
        c = Builder()
        x, w = ir.Buffer("x", (64, 96), float32), ir.Buffer("w", (96, 96), float32)
        view = Stored(x)
        for _ in range(count):
            product = c.contract(view, "ik", Stored(w), "kj", "ij")
            total = c.reduce("add", (64,), float32, (96,), lambda i, r, p=product: p[i + r])
            view = c.store(
                c.map((64, 96), float32, lambda i, j, p=product, t=total: p[i, j] - t[i])
            )
        return emit(schedule(c.finish("Layers", [x, w], [view])))

    assert layers(6).count("\ndefine") == layers(3).count("\ndefine")
