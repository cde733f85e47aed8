"""Eager results are those that TensorFlow's own ops gave (`tools/goldens_ops.py`)."""

from pathlib import Path

import numpy as np
import pytest

from tests.ops import harness

GOLDENS = np.load(Path(__file__).parents[1] / "goldens" / "ops.npz")
NAMES = frozenset(GOLDENS.files)
SAMPLED = harness.sampled()
STORED = {op: SAMPLED[op] for op in sorted({name.split("-")[0] for name in NAMES})}
OWN = {"EinsumGrad", "GatherGrad", "KeptShape", "SumToShape"}
"""Ops that TensorFlow has under no name."""


@pytest.mark.parametrize("op", STORED.values(), ids=STORED)
def test_eager_is_tensorflow(op):
    for case in harness.cases(op):
        if f"{case.name}/0" not in NAMES:
            continue
        scales = harness.terms(case)
        for index, found in enumerate(case.eager()):
            golden = GOLDENS[f"{case.name}/{index}"]
            assert found.dtype == golden.dtype, case
            limit = 2 * harness.ulps_of(op, case.dtype) if case.dtype in harness.EPSILON else 1
            scale = None if scales is None else scales[index]
            harness.close(case, found, golden, limit, scale)


def test_ops_without_an_answer_are_known():
    asked = {name for name, op in SAMPLED.items() if harness.cases(op)}
    stored_kinds = {name for name in asked if name not in STORED}
    assert stored_kinds <= OWN | {"Placeholder", "Const"}
