"""Programs of many nodes touch no memory outside of their buffers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def tried(first: int, last: int) -> None:
    """Run the module as a process; the number that it gave last is what was at fault."""
    module = ["-m", "tests.compile.cluster.guarded", str(first), str(last)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *module],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "HEADRACE_CACHE": ""},
    )
    seen = done.stdout.split()
    assert done.returncode == 0, f"program {seen[-1:]}: {done.stderr[-2000:]}"
    assert seen == [str(number) for number in range(first, last)]


def test_programs_stay_inside():
    tried(0, 30)


@pytest.mark.full
@pytest.mark.parametrize("block", range(10))
def test_many_programs_stay_inside(block):
    tried(1000 + block * 100, 1000 + block * 100 + 100)
