"""Random programs of all dtypes, compiled: bit for bit what runs node by node."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags
from headrace.compile.run.threads import threads
from tests.compile.cluster.exact import Program, assert_same
from tests.compile.cluster.exact_steps import EVERYTHING, ROWS
from tests.compile.cluster.failing_steps import ASSERTING, FAILING
from tests.compile.cluster.special import SPECIAL
from tests.compile.cluster.unknown import Sizes
from tests.compile.passes.support import nasty

function = partial(tf.function, autograph=False)


def check(number: int) -> None:
    compare(Program(number, EVERYTHING))


def compare(program: Program | Sizes, **how_to: Any) -> None:
    runs = []
    for how in ("always", "never"):
        with flags.COMPILE.override(how):
            runs.append(program.run(function, **how_to))
    for place, (found, expected) in enumerate(zip(*runs, strict=True)):
        assert_same(found, expected, f"array {place} of {program}")


@pytest.mark.parametrize("block", range(5))
def test_exact_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(50))
def test_many_exact_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check(number)


def check_failing(number: int) -> None:
    makers = ASSERTING if number % 3 == 0 else FAILING
    compare(Program(number, makers, share=1.0), fails=True)


@pytest.mark.parametrize("block", range(3))
def test_failing_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check_failing(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(20))
def test_many_failing_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_failing(number)


def any_bits(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    return tf.constant(nasty(shape, dtype, rng))


def check_special(number: int) -> None:
    compare(Program(number, SPECIAL, 0.3, any_bits))


@pytest.mark.parametrize("block", range(4))
def test_programs_on_numbers_of_any_bits(block):
    for number in range(block * 10, block * 10 + 10):
        check_special(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(20))
def test_many_programs_on_numbers_of_any_bits(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_special(number)


def check_large(number: int) -> None:
    """On one thread, and on two."""
    with threads().limited(1 + number % 2):
        compare(Program(number, ROWS, large=True))


@pytest.mark.parametrize("block", range(2))
def test_large_programs(block):
    for number in range(block * 10, block * 10 + 10):
        check_large(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(20))
def test_many_large_programs(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_large(number)


def check_sizes(number: int) -> None:
    compare(Sizes(number))


@pytest.mark.parametrize("block", range(2))
def test_programs_on_any_number_of_rows(block):
    for number in range(block * 10, block * 10 + 10):
        check_sizes(number)


@pytest.mark.full
@pytest.mark.parametrize("block", range(10))
def test_many_programs_on_any_number_of_rows(block):
    for number in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_sizes(number)
