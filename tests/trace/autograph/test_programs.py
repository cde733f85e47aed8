"""Programs give the same as plain Python, converted, and as graphs."""

import numpy as np
import pytest

import headrace as tf
from headrace.base import nest
from headrace.trace.autograph import convert
from tests.trace.autograph import (  # noqa: F401
    programs_branches,
    programs_calls,
    programs_jumps,
    programs_loops,
    programs_python,
)
from tests.trace.autograph.table import PROGRAMS

STAGED = [p for p in PROGRAMS if p.staged]


def tensor(value):
    """A sample as a tensor; what no tensor can vary in stays."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    return tf.constant(np.asarray(value, np.float32) if _is_float(value) else value)


def _is_float(value):
    return np.asarray(value).dtype.kind == "f"


def same(one, other):
    """Whether two results agree, within float32."""
    flat, others = nest.flatten(one), nest.flatten(other)
    assert len(flat) == len(others)
    for a, b in zip(flat, others, strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("program", PROGRAMS, ids=repr)
def test_converted_is_python(program):
    converted = convert(program.function)
    for sample in program.samples:
        expected, found = program.function(*sample), converted(*sample)
        if program.staged:
            same(expected, found)
        else:
            assert found == expected


@pytest.mark.parametrize("program", STAGED, ids=repr)
def test_eager_tensors(program):
    converted = convert(program.function)
    for sample in program.samples:
        same(program.function(*sample), converted(*map(tensor, sample)))


@pytest.mark.parametrize("program", STAGED, ids=repr)
def test_graph(program):
    graph = tf.function(program.function)
    for sample in program.samples:
        same(program.function(*sample), graph(*map(tensor, sample)))


def gradients(function, sample):
    """The gradients of the sum of the results by the float arguments."""
    given = [tensor(value) for value in sample]
    sources = [t for t in given if isinstance(t, tf.Tensor) and t.dtype == tf.float32]
    with tf.GradientTape() as tape:
        for source in sources:
            tape.watch(source)
        results = nest.flatten(function(*given))
        floats = [r for r in results if isinstance(r, tf.Tensor) and r.dtype == tf.float32]
        total = tf.add_n([tf.reduce_sum(r) for r in floats]) if floats else None
    return tape.gradient(total, sources) if floats and sources else []


@pytest.mark.parametrize("program", STAGED, ids=repr)
def test_gradients(program):
    graph = tf.function(program.function)
    for sample in program.samples:
        eager, staged = gradients(program.function, sample), gradients(graph, sample)
        for one, other in zip(eager, staged if eager else [], strict=True):
            if one is not None:
                same(tf.convert_to_tensor(one), tf.convert_to_tensor(other))
