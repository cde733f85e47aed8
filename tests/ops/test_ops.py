"""Every op record by every check of the harness."""

import numpy as np
import pytest

from headrace.autodiff import tape as tape_module
from headrace.core.op import OPS
from headrace.core.tensor import EagerTensor, wrap
from tests.ops import harness

SAMPLED = harness.sampled()


def by(ops):
    return pytest.mark.parametrize("op", ops.values(), ids=ops)


@by({name: op for name, op in SAMPLED.items() if op.oracle is not None})
def test_eager_is_the_oracle(op):
    for case in harness.cases(op):
        harness.check_oracle(case)


@by(SAMPLED)
def test_infer(op):
    for case in harness.cases(op):
        harness.check_infer(case)


@by(SAMPLED)
def test_graph_is_eager(op):
    for case in harness.cases(op):
        harness.check_graph(case)


@by({name: op for name, op in SAMPLED.items() if harness.lowered(op)})
def test_loops_are_eager(op):
    for case in harness.cases(op):
        harness.check_loops(case)


@pytest.fixture
def poisoned(monkeypatch):
    """A tape that keeps only what the records ask for, and NaN in place of the rest."""

    def hollow(tensor):
        if not isinstance(tensor, EagerTensor) or tensor._array.dtype.kind not in "fc":
            return tensor
        shell = wrap(np.full_like(tensor._array, np.nan))
        shell._uid = tensor._uid
        return shell

    monkeypatch.setattr(tape_module, "LARGE", 0)
    monkeypatch.setattr(tape_module, "hollow", hollow)


@by({name: op for name, op in SAMPLED.items() if op.grad is not None})
def test_gradient(op, poisoned):
    for case in harness.cases(op):
        harness.check_gradient(case)
        harness.check_gradient(case, order=2)


@by(SAMPLED)
def test_bad_input_is_refused(op):
    for case in harness.cases(op, good=False):
        harness.check_refused(case)


@by(OPS)
class TestRecord:
    def test_says_why_a_rule_is_missing(self, op):
        if op.grad is None:
            assert op.no_grad, f"{op.name} has no gradient and does not say why"
        if not harness.lowered(op) and op.name != "Placeholder":
            assert op.no_lower, f"{op.name} is not lowered and does not say why"

    def test_is_documented_and_sampled(self, op):
        assert op.__doc__
        if op.kind not in harness.UNSAMPLED and op.operands and op.dtypes:
            assert [s for s in op.samples if type(s).__name__ == "S"], f"{op.name}: no sample"
