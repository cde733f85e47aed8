"""Every op record inside functions: results and gradients are those of eager runs and tapes,
whatever the trace knows of the shapes."""

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes as dt
from headrace.core.dispatch import apply
from headrace.core.tensor import wrap
from tests.ops import harness

SAMPLED = harness.sampled()
KNOWLEDGE = {
    "shapes": lambda shape: list(shape),
    "ranks": lambda shape: [None] * len(shape),
    "nothing": lambda shape: None,
}


def by(ops):
    return pytest.mark.parametrize("op", ops.values(), ids=ops)


def all_knowledge():
    return pytest.mark.parametrize("known", KNOWLEDGE.values(), ids=KNOWLEDGE)


def traced(program, arrays, known):
    """The program as a function that knows so much of its arguments."""
    specs = [tf.TensorSpec(known(a.shape), dt.from_numpy[a.dtype]) for a in arrays]
    return tf.function(program, input_signature=specs, autograph=False)


def assert_same(case, found, expected):
    for f, e in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        assert (f is None) == (e is None), case
        if f is None:
            continue
        f, e = (np.asarray(tf.convert_to_tensor(x)._array) for x in (f, e))
        assert f.shape == e.shape and f.dtype == e.dtype, f"{case}: {f} is not {e}"
        if e.dtype == object:
            assert f.tolist() == e.tolist(), case
        else:
            limit = {8: 1e-13, 2: 1e-2}.get(e.real.dtype.itemsize, 1e-5)
            np.testing.assert_allclose(
                f.astype(e.dtype), e, rtol=limit, atol=limit, err_msg=f"{case}"
            )


@by(SAMPLED)
@all_knowledge()
def test_results(op, known):
    for case in harness.cases(op):
        if case.dtype not in (dt.float64, dt.int32, dt.string, dt.bool, dt.complex64):
            continue

        def program(*operands, case=case):
            return apply(case.op, list(operands), case.attrs)

        operands = [wrap(a) for a in case.arrays]
        function = traced(program, case.arrays, known)
        assert_same(case, function(*operands), program(*operands))


@by({name: op for name, op in SAMPLED.items() if op.grad is not None})
@all_knowledge()
@pytest.mark.parametrize("order", [1, 2])
def test_gradients(op, known, order):
    for case in harness.cases(op):
        if case.dtype not in (dt.float64, dt.complex128):
            continue

        def program(*operands, case=case):
            return slopes(case, operands, order)

        operands = [wrap(a) for a in case.arrays]
        function = traced(program, case.arrays, known)
        assert_same(case, function(*operands), program(*operands))


def slopes(case, operands, order):
    """The gradient of the op's results, or that gradient's own, by what may have one."""
    watched = [x for x in operands if x.dtype.is_floating or x.dtype.is_complex]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        if order == 1:
            results = apply(case.op, list(operands), case.attrs)
        else:
            results = [g for g in slopes(case, operands, order - 1) if g is not None]
        results = [
            r * tf.cast(r, r.dtype)
            for r in tf.nest.flatten(results)
            if r.dtype.is_floating or r.dtype.is_complex
        ]
    if not results:
        return []
    return [
        None if g is None else tf.convert_to_tensor(g) for g in tape.gradient(results, watched)
    ]
