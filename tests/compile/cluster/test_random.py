"""Random programs, compiled: as exact as float32 lets them be, and equal to node by node."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags
from tests.compile.cluster.programs import Program, bounds, run


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


def check(number: int) -> None:
    program = Program(number)
    exact, allowed = bounds(program)
    with flags.COMPILE.override("always"):
        found = run(program, tf.float32, compiled)
    with flags.COMPILE.override("never"):
        nodes = run(program, tf.float32, tf.function)
    for k, (x, truth, bound) in enumerate(zip(found, exact, allowed, strict=True)):
        if x.dtype.kind in "iub":
            np.testing.assert_array_equal(x, nodes[k], err_msg=f"program {number}\n{program}")
            continue
        wrong = ~(np.abs(x - truth) <= bound)
        assert not wrong.any(), (number, k, x[wrong][:3], truth[wrong][:3], bound, program)


@pytest.mark.parametrize("block", range(20))
def test_random_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(100))
def test_many_random_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check(number)
