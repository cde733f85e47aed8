"""Random programs: scheduled or not, interpreted or compiled, they give the same bits."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headrace.compile import executable, interpret
from headrace.compile.loops import ir
from headrace.compile.loops.verify import verify
from headrace.compile.schedule import STEPS
from tests.compile.random_loops import Program, arrays

KEENER = {
    "split": {"STEPS": 2, "PLAIN_STEPS": 3, "LARGE": 8, "FEW": 4, "LANES": 4},
    "turn": {"FEWEST": 1, "LARGE": 100, "GROUP": 1, "STRIP": 4},
    "tile": {"STRIP": 4, "LARGE": 8},
    "threads": {"WORTH": 10.0},
}


@pytest.fixture(scope="module", params=["as it is", "keener"])
def keenness(request):
    """The limits as they are, and so low that small programs meet them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "keener":
            for name, limits in KEENER.items():
                module = sys.modules[f"headrace.compile.schedule.{name}"]
                for limit, value in limits.items():
                    patch.setattr(module, limit, value)
        yield request.param


def equal(got, expected, what):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=what)


def after_each_step(loops: ir.Loops):
    """The program as each step of the schedule leaves it."""
    for step in STEPS:
        loops = verify(step(loops))
        yield step.__name__, loops


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes many minutes
)
@given(st.data(), st.integers(0, 2**32))
def test_schedules_keep_results(keenness, data, seed):
    loops = Program(data).draw()
    given_arrays = arrays(loops, seed)
    expected = interpret(loops, given_arrays)
    last = loops
    for name, last in after_each_step(loops):
        equal(interpret(last, given_arrays), expected, name)
    program = executable(loops)
    equal(program(given_arrays), expected, "LLVM")
