"""The plan: results over dead operands, values let go, threads, errors with their lines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes
from headrace.compile.passes.program import NOTHING, Program, program_of
from headrace.compile.run import plan as module
from headrace.compile.run.plan import IN_PLACE, Plan
from headrace.core.graph import Graph
from tests.compile.passes.support import assert_same, f32, program, run, spec

SIDE = 128
LARGE = (SIDE, SIDE)
X = np.random.default_rng(3).standard_normal(LARGE).astype(np.float32)


def overwritten(made: Program) -> list[str]:
    """The nodes that write over an operand."""
    return [node.name for node in module._reused(made, module._ends(made))]


def checked(function, *specs, arrays=None) -> list[str]:
    """What is overwritten; the results are those without that, and inputs stay as they are."""
    made = program(function, *specs)
    arrays = [X + i for i in range(len(specs))] if arrays is None else arrays
    copies = [a.copy() for a in arrays]
    found = run(made, *arrays)
    assert_same(arrays, copies)
    names = overwritten(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_reused", lambda *_: {})
        assert_same(found, run(made, *arrays))
    return names


def test_a_chain_is_computed_in_place():
    assert X.nbytes >= IN_PLACE
    names = checked(lambda x: tf.sqrt(tf.abs(x * 2.0 + 1.0)) - 3.0, spec(*LARGE))
    assert names == ["add", "Abs", "Sqrt", "sub"]


def test_inputs_constants_and_results_are_left_alone():
    assert checked(lambda x: tf.exp(x), spec(*LARGE)) == []
    constant = np.ones(LARGE, np.float32)
    assert checked(lambda x: tf.constant(constant) + x, spec(*LARGE)) == []

    def f(x):
        y = tf.sin(x)
        return y, tf.exp(y)

    assert checked(f, spec(*LARGE)) == []


def test_what_is_read_later_is_left_alone():
    def f(x):
        y = tf.sin(x)
        z = tf.exp(y)
        return z + y

    assert checked(f, spec(*LARGE)) == ["add"]


def test_what_views_share_is_left_alone():
    def f(x):
        y = tf.sin(x)
        view = tf.reshape(y, [-1])
        z = tf.exp(y)
        return view, z

    assert checked(f, spec(*LARGE)) == []
    same = checked(lambda x: (lambda y: tf.transpose(y) + y)(tf.sin(x)), spec(*LARGE))
    assert same == []


def test_what_products_and_sums_read_may_be_overwritten():
    def f(x):
        y = tf.sin(x)
        a, b = tf.matmul(y, y), tf.reduce_sum(y, 0)
        return tf.exp(y), a, b

    assert checked(f, spec(*LARGE)) == ["Exp"]


def test_other_forms_are_left_alone():
    narrow = np.ones((1, SIDE), np.float32)

    def stretched(x, y):
        return tf.sin(x) + tf.sin(y)

    assert checked(stretched, spec(*LARGE), spec(1, SIDE), arrays=[X, narrow]) == [
        "add"
    ]  # over the one of the result's shape
    assert checked(lambda x: tf.sin(x) > 0.5, spec(*LARGE)) == []
    assert checked(lambda x: tf.exp(tf.sin(x)), spec(None, SIDE)) == []
    assert checked(lambda x: tf.exp(tf.sin(x)), spec(4, 4), arrays=[X[:4, :4]]) == []
    assert checked(lambda x: (lambda y: y + y)(tf.sin(x)), spec(*LARGE)) == ["add"]


def test_what_a_variable_keeps_is_left_alone():
    v = tf.Variable(tf.zeros(LARGE))

    @tf.function
    def f(x):
        y = tf.sin(x)
        v.assign(y)
        return tf.exp(y)

    found = f(tf.constant(X))
    np.testing.assert_array_equal(v, np.sin(X))
    np.testing.assert_array_equal(found, np.exp(np.sin(X)))


def test_large_values_are_let_go():
    seen: list[int] = []
    made = program(lambda x: tf.reduce_sum(tf.reshape(x, [-1]) * 2.0, 0), spec(*LARGE))
    plan = Plan(made)

    def watched(step):
        def run_step(values):
            step(values)
            alive = [v for v in values[1:] if isinstance(v, np.ndarray) and v.nbytes > 1 << 12]
            seen.append(len(alive))

        return run_step

    plan.steps = [watched(step) for step in plan.steps]
    plan([X])
    assert max(seen) <= 2 and seen[-1] == 0


def test_threads():
    made = program(lambda x: tf.sqrt(tf.abs(x * 2.0 + 1.0)) - 3.0, spec(*LARGE))
    plan = Plan(made)
    arrays = [X * i for i in range(32)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda a: plan([a])[0], arrays))
    for array, result in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(result, plan([array])[0])


def test_numbers_of_operands():
    def f(a, b, c):
        return (
            tf.where(a > b, b, c),
            tf.stack([a, b, c, a]),
            tf.add_n([a, b]),
            tf.split(a, 2)[1],
        )

    def flat(a, b, c):
        *rest, last = f(a, b, c)
        return [*rest, last]

    arrays = [np.arange(4, dtype=np.float32) + i for i in range(3)]
    found = run(program(flat, *[spec(4)] * 3), *arrays)
    a, b, c = arrays
    assert_same(found, [np.where(a > b, b, c), np.stack([a, b, c, a]), a + b, a[2:]])


def test_static_inputs_that_the_program_computes():
    def f(x, n):
        return tf.reshape(x, tf.stack([n, -1])), tf.tile(x, [n])

    made = program(f, spec(4), spec(dtype=dtypes.int32))
    x = np.arange(4, dtype=np.float32)
    assert_same(run(made, x, np.int32(2)), [x.reshape(2, 2), np.tile(x, 2)])
    assert_same(run(made, x, np.int32(1)), [x.reshape(1, 4), x])


def test_an_input_may_be_a_result_of_a_node():
    with Graph() as graph:
        x = graph.placeholder(f32, (2,), "x")
        y = tf.exp(x)
        z = y + 1.0
    made = program_of(graph, [y], [z, y])
    assert [v.tolist() for v in run(made, np.float32([1, 2]))] == [[2, 3], [1, 2]]


def test_a_placeholder_without_a_value():
    with Graph() as graph:
        x = graph.placeholder(f32, (2,), "x")
        y = tf.exp(x)
    with pytest.raises(tf.errors.InvalidArgumentError, match="placeholder tensor 'x'"):
        program_of(graph, [], [y])


def test_nothing_is_none():
    assert Plan(Program((), (), (NOTHING,)))([]) == [None]


def test_errors_name_the_node_and_the_line():
    def f(x, y):
        z = tf.sin(x)
        return tf.cast(z, tf.int32) // y

    made = program(f, spec(2), spec(2, dtype=dtypes.int32), name="wrong")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        run(made, np.ones(2, np.float32), np.array([1, 0], np.int32))
    text = caught.value.message
    assert "Graph execution error" in text and "Detected at node floordiv" in text
    assert "test_plan.py" in text and "Integer division by zero" in text
    assert text.endswith("[[{{node floordiv}}]] [Op:wrong]")
