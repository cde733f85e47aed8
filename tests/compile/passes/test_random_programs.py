"""Random programs give the same with and without each pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as tf
from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile import pipeline
from headrace.compile.passes.program import Program, program_of
from headrace.compile.passes.verify import verify
from headrace.core.graph import Graph
from tests.compile.passes.support import assert_same, nasty, run

UNARY = [
    tf.negative,
    tf.square,
    tf.identity,
    tf.stop_gradient,
    lambda x: tf.transpose(x),
    lambda x: tf.reverse(x, [0]),
    lambda x: tf.reshape(tf.reshape(x, [-1]), [4, 4]),
    lambda x: tf.squeeze(tf.expand_dims(x, 1), [1]),
    lambda x: tf.cast(tf.cast(x, tf.float64), x.dtype),
    lambda x: x + 0,
    lambda x: 0 - x,
    lambda x: x * 1,
    lambda x: x * 3 * 5,
    lambda x: x + 3 + 5,
    lambda x: x**1,
    lambda x: x**2,
    lambda x: tf.broadcast_to(tf.reduce_max(x, 0, keepdims=True), [4, 4]),
    lambda x: x * tf.cast(tf.shape(x)[0], x.dtype),
    lambda x: tf.where(tf.logical_not(x < 1), x, -x),
]
BINARY = [
    tf.add,
    tf.subtract,
    tf.multiply,
    tf.maximum,
    tf.minimum,
    lambda x, y: x + -y,
    lambda x, y: x - -y,
    lambda x, y: tf.where(tf.constant(True), x, y),
    lambda x, y: tf.where(tf.logical_not(tf.equal(x, y)), x, y),
]
FLOATING = [
    lambda x: x / 1,
    lambda x: x / 4,
    lambda x: x - 0.0,
    tf.floor,
    tf.nn.relu,
    tf.abs,
    lambda x: tf.matmul(tf.transpose(x), x),
    lambda x: x + tf.constant([1.0, 2.0, 3.0, 4.0], x.dtype) * 2,
]
DTYPES = (dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int8, dtypes.float16)


@st.composite
def programs(draw: Any) -> tuple[Program, DType]:
    """A program of random nodes; some results have fresh effects on nothing but themselves."""
    dtype = draw(st.sampled_from(DTYPES))
    unary = UNARY + (FLOATING if dtype.is_floating else [])
    with np.errstate(all="ignore"), Graph() as graph:
        inputs = [graph.placeholder(dtype, (4, 4), f"x{i}") for i in range(2)]
        known: list[Any] = list(inputs)
        array = nasty((4, 4), dtype, np.random.default_rng(draw(st.integers(0, 99))))
        known.append(graph.constant(array, "c"))
        for _ in range(draw(st.integers(1, 14))):
            x = known[draw(st.integers(0, len(known) - 1))]
            if draw(st.booleans()):
                y = known[draw(st.integers(0, len(known) - 1))]
                known.append(draw(st.sampled_from(BINARY))(x, y))
            else:
                known.append(draw(st.sampled_from(unary))(x))
        fetches = [known[-1], known[draw(st.integers(0, len(known) - 1))]]
    return program_of(graph, inputs, fetches, "random"), dtype


def compare(made: Program, after: Program, dtype: DType) -> None:
    verify(after, made)
    random = np.random.default_rng(len(made.nodes))
    arrays = [nasty((4, 4), dtype, random) for _ in range(2)]
    with np.errstate(all="ignore"):
        assert_same(run(after, *arrays), run(made, *arrays))


QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("each", pipeline.PIPELINE, ids=lambda each: each.name)
@given(case=programs())
@QUICK
def test_single_passes(each, case):
    made, dtype = case
    compare(made, each.run(made), dtype)


def verified(each: pipeline.Pass) -> pipeline.Pass:
    """A pass after which the program is checked."""

    def run_and_verify(before: Program) -> Program:
        after = each.run(before)
        verify(after, before)
        return after

    run_and_verify.__name__ = each.name
    return each._replace(run=run_and_verify)


@given(case=programs())
@settings(QUICK, max_examples=150)
def test_all_passes(case):
    made, dtype = case
    compare(made, pipeline.optimized(made, [verified(p) for p in pipeline.PIPELINE]), dtype)


@pytest.mark.full
@given(case=programs())
@settings(QUICK, max_examples=5000)
def test_all_passes_at_length(case):
    made, dtype = case
    compare(made, pipeline.optimized(made), dtype)
