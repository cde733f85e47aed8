"""Deliberately wrong ops: every check of the harness can fail, and fails where it must."""

import math

import numpy as np
import pytest

from headrace.autodiff import tape as tape_module
from headrace.base import errors
from headrace.base.dtypes import complex128, float32, float64
from headrace.core.op import OPS, Kind, Op, Spec
from headrace.ops.samples import Bad, S
from tests.ops import harness

RIGHT = {
    "kind": Kind.ELEMENTWISE,
    "inputs": ("x",),
    "dtypes": frozenset({float32, float64}),
    "infer": lambda x: Spec(x.shape, x.dtype),
    "kernel": lambda x: x * x * x,
    "grad": lambda dy, y, x: dy * 3.0 * x * x,
    "scalar": lambda b, x: x * x * x,
    "oracle": lambda x: x * x * x,
    "samples": (S(3, 4), S()),
    "ulp": {float32: 2, float64: 2},
}


@pytest.fixture
def op():
    """Make an op like the right one but for some rules; it is gone after the test."""
    made = []

    def make(**rules):
        made.append(type("Wrong", (Op,), {**RIGHT, **rules}))
        return made[0]

    yield make
    for record in made:
        OPS.pop(record.name)


def run(check, op, good=True):
    for case in harness.cases(op, good):
        check(case)


CHECKS = [
    harness.check_oracle,
    harness.check_infer,
    harness.check_graph,
    harness.check_loops,
    harness.check_gradient,
    lambda case: harness.check_gradient(case, order=2),
]


@pytest.mark.parametrize("check", CHECKS)
def test_the_right_op_passes(check, op):
    run(check, op())


@pytest.mark.parametrize(
    ("check", "rules"),
    [
        (harness.check_oracle, {"kernel": lambda x: x * x}),
        (harness.check_oracle, {"kernel": lambda x: (x * x * x) * (1 + 1e-5)}),
        (harness.check_oracle, {"kernel": lambda x: x.astype(np.float16).astype(x.dtype) ** 3}),
        (harness.check_infer, {"infer": lambda x: Spec(x.shape, float64)}),
        (harness.check_infer, {"infer": lambda x: Spec((1, *(x.shape or ())), x.dtype)}),
        (
            harness.check_infer,
            {"infer": lambda x: Spec(tuple(d or 7 for d in x.shape or ()), x.dtype)},
        ),
        (harness.check_loops, {"scalar": lambda b, x: x * x}),
        (harness.check_loops, {"scalar": lambda b, x: x * x * x * 1.00001}),
        (harness.check_gradient, {"grad": lambda dy, y, x: dy * 3.0 * x}),
        (harness.check_gradient, {"grad": lambda dy, y, x: dy * 3.001 * x * x}),
        (harness.check_gradient, {"grad": lambda dy, y, x: None}),
    ],
)
def test_a_wrong_rule_fails(check, rules, op):
    with pytest.raises((AssertionError, ValueError, TypeError)):
        run(check, op(**rules))


def test_an_oracle_that_is_never_defined_fails(op):
    wrong = op(oracle=math.log, samples=(S(3, 4, low=-2.0, high=-1.0),))
    with pytest.raises(AssertionError, match="says nothing"):
        run(harness.check_oracle, wrong)


def test_an_oracle_that_does_not_take_the_dtype_fails(op):
    wrong = op(oracle=lambda x: x**3 if x > 0 else -(abs(x) ** 3), dtypes={complex128})
    with pytest.raises(TypeError, match="not supported between instances of 'complex'"):
        run(harness.check_oracle, wrong)


def test_an_oracle_may_be_undefined_at_some_elements(op):
    def oracle(x):
        return math.sqrt(x) ** 6  # no negative numbers

    run(harness.check_oracle, op(oracle=oracle, samples=(S(3, 4), S(0)), ulp={float64: 8}))


def test_a_wrong_second_derivative_fails(op):
    def grad(dy, y, x):
        return dy * 3.0 * x * x.numpy()  # right, but not made of ops all through

    wrong = op(grad=grad)
    run(harness.check_gradient, wrong)
    with pytest.raises(AssertionError):
        run(lambda case: harness.check_gradient(case, order=2), wrong)


def test_a_gradient_that_reads_what_is_not_kept_fails(op, monkeypatch):
    monkeypatch.setattr(tape_module, "LARGE", 0)
    with pytest.raises(AssertionError):
        run(harness.check_gradient, op(keep=()))


def test_input_that_is_not_refused_fails(op):
    wrong = op(samples=(Bad(3, match="never"),))
    with pytest.raises(AssertionError, match="not refused"):
        run(harness.check_refused, wrong, good=False)


def refuse(x):
    raise errors.invalid_argument("for another reason")


def test_another_reason_fails(op):
    wrong = op(samples=(Bad(3, match="the reason"),), kernel=refuse)
    with pytest.raises(AssertionError):
        run(harness.check_refused, wrong, good=False)


def test_an_op_that_changes_its_input_fails(op):
    def kernel(x):
        x += 1
        raise errors.invalid_argument("refused")

    wrong = op(samples=(Bad(3, match="refused"),), kernel=kernel)
    with pytest.raises(AssertionError):
        run(harness.check_refused, wrong, good=False)
