"""How what is stored lies in memory, and how loops that repeat elements run."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base.dtypes import float32
from headrace.compile import compile_op, executable, interpret
from headrace.compile.cluster.made import lowered
from headrace.compile.loops.print import text
from headrace.core.op import OPS, Spec


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_stored_lies_as_what_it_is_made_of(axis):
    x = np.random.default_rng(axis).normal(size=(6, 34, 5)).astype(np.float32)
    function = tf.function(lambda x: tf.nn.softmax(x, axis), jit_compile=True)
    loops, _ = lowered(function.get_concrete_function(tf.constant(x))._body.runner.program)
    shapes = {t.shape for t in (*loops.temporaries, *loops.outputs) if len(t.shape) == 3}
    assert shapes == {x.shape}
    powers = np.exp(x - x.max(axis, keepdims=True))
    expected = powers / powers.sum(axis, keepdims=True)
    np.testing.assert_allclose(function(tf.constant(x)), expected, rtol=4e-6)


@pytest.mark.parametrize(
    "shape,multiples", [((3, 20), (2, 5)), ((32, 3), (3, 2)), ((40,), (4,))]
)
def test_repeated_elements_need_no_division(shape, multiples):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    loops = compile_op(OPS["Tile"], [Spec(shape, float32)], {"multiples": multiples})
    short = [n for n in shape if n < 16]
    assert text(loops).count("%") == len(short)
    for run in (interpret(loops, [x]), executable(loops)([x])):
        np.testing.assert_array_equal(run[0], np.tile(x, multiples))


def test_parts_of_a_flat_view_are_found_in_its_indices():
    x = np.random.default_rng(0).normal(size=(2, 6, 8, 16)).astype(np.float32)

    def pooled(x):
        y = tf.reduce_max(tf.reshape(x, [2, 3, 2, 4, 2, 16]), [2, 4], keepdims=True)
        return tf.reshape(tf.reshape(x, [2, 3, 2, 4, 2, 16]) - y, [2, 6, 8, 16])

    function = tf.function(pooled, jit_compile=True)
    loops, _ = lowered(function.get_concrete_function(tf.constant(x))._body.runner.program)
    assert max(text(loops).count(sign) for sign in ("%", "//")) <= 4
    highest = x.reshape(2, 3, 2, 4, 2, 16).max((2, 4), keepdims=True)
    expected = (x.reshape(2, 3, 2, 4, 2, 16) - highest).reshape(x.shape)
    np.testing.assert_array_equal(function(tf.constant(x)), expected)


def test_sums_before_they_are_flat_need_no_division():
    x, y = np.arange(7.0, dtype=np.float32), np.arange(33.0, dtype=np.float32)
    function = tf.function(lambda x, y: tf.reshape(x[:, None] * y, [-1]), jit_compile=True)
    given = tf.constant(x), tf.constant(y)
    loops, _ = lowered(function.get_concrete_function(*given)._body.runner.program)
    assert "%" not in text(loops) and "//" not in text(loops)
    np.testing.assert_array_equal(function(*given), (x[:, None] * y).reshape(-1))
