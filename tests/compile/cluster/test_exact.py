"""Random programs of all dtypes, compiled: bit for bit what runs node by node."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import headrace as tf
from headrace.base import flags
from tests.compile.cluster.exact import Maker, Program, assert_same
from tests.compile.cluster.exact_steps import EVERYTHING
from tests.compile.cluster.failing_steps import ASSERTING, FAILING


def check(number: int, makers: Sequence[Maker] = EVERYTHING, fails: bool = False) -> None:
    program = Program(number, makers, share=1.0 if fails else 0.15)
    runs = []
    for how in ("always", "never"):
        with flags.COMPILE.override(how):
            runs.append(program.run(lambda f: tf.function(f, autograph=False), fails))
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


def check_failing(number: int) -> None:
    check(number, ASSERTING if number % 3 == 0 else FAILING, fails=True)


@pytest.mark.parametrize("block", range(5))
def test_failing_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check_failing(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(20))
def test_many_failing_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_failing(number)
