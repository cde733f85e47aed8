"""Random programs of all dtypes, compiled: bit for bit what runs node by node."""

from __future__ import annotations

import pytest

import headrace as tf
from headrace.base import flags
from tests.compile.cluster.exact import Program, assert_same
from tests.compile.cluster.exact_steps import EVERYTHING


def check(number: int) -> None:
    program = Program(number, EVERYTHING)
    runs = []
    for how in ("always", "never"):
        with flags.COMPILE.override(how):
            runs.append(program.run(lambda f: tf.function(f, autograph=False)))
    for place, (found, expected) in enumerate(zip(*runs, strict=True)):
        assert_same(found, expected, f"array {place} of {program}")


@pytest.mark.parametrize("block", range(10))
def test_exact_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(50))
def test_many_exact_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check(number)
