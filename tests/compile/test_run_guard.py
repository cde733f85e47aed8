"""No access outside of a buffer, in the ops and on shapes with every sort of end."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from headrace.compile import executable
from headrace.compile.llvm.engine import ENGINE
from headrace.compile.run.arena import Arena
from headrace.compile.run.build import described
from headrace.compile.run.executable import Executable
from tests.compile import guard
from tests.compile.support import compiled, elementwise
from tests.compile.test_run_entry import positive, scaled

KINDS = "float64,bfloat16,int32,uint8,bool,complex64"


def tried(*arguments: str) -> None:
    """Run the module as a process; what it tried last is what was at fault."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.compile.guard", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"{last} ended with {done.returncode}\n{done.stderr[-2000:]}"
    assert len(done.stdout.splitlines()) > 20


def test_ops_stay_inside():
    tried("float32", "0", "1")


def test_shapes_stay_inside():
    tried("shapes", "0")


@pytest.mark.full
@pytest.mark.parametrize("shard", range(4))
def test_all_dtypes_stay_inside(shard):
    tried(KINDS, str(shard), "4")


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 6))
def test_more_shapes_stay_inside(seed):
    tried("shapes", str(seed))


def test_programs_with_states_and_failures():
    x = np.array([1, 2, 3], np.float32)
    guard.check(scaled(), [x], [x * 5])
    guard.check(positive(), [np.array([1, 2, 0, 3], np.int32)])


WRONG = """
define void @kernel(ptr %ctx) nounwind {{
  %x.at = getelementptr ptr, ptr %ctx, i64 {buffer}
  %x = load ptr, ptr %x.at
  %p = getelementptr i8, ptr %x, i64 {offset}
  %v = load volatile i8, ptr %p
  store volatile i8 %v, ptr %p
  ret void
}}
"""


def wrong(buffer: int, offset: int) -> None:
    """Run a program that touches a byte of x (0) or y (1) between guarded pages."""
    x = np.ones(100, np.float32)
    right = executable(compiled(elementwise(lambda b, x: x + 1), x))
    code = ENGINE.code(WRONG.format(buffer=buffer, offset=offset))
    run = Executable(described(right.loops, Arena((), 0), False, code))
    for at_end in (True, False):
        memory = guard.Guarded(at_end)
        guard.guarded(run, memory)([memory.copy(x)])


def test_the_guard_itself():
    """Outputs may be touched from their first byte to their last; inputs are not written."""
    wrong(1, 0)
    wrong(1, 399)
    for buffer, offset in ((1, 400), (1, -1), (0, 0), (0, 400)):
        script = f"from tests.compile.test_run_guard import wrong; wrong({buffer}, {offset})"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=60)
        assert done.returncode == -signal.SIGSEGV, (buffer, offset)


def test_what_is_not_written_is_seen():
    x = np.ones(100, np.float32)
    right = executable(compiled(elementwise(lambda b, x: x + 1), x))
    code = ENGINE.code("define void @kernel(ptr %ctx) nounwind {\n  ret void\n}\n")
    run = Executable(described(right.loops, Arena((), 0), False, code))
    (found,) = guard.guarded(run, guard.Guarded(True))([x])
    assert np.isnan(found).all()
