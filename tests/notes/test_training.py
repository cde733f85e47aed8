"""The training loop follows TensorFlow's, step by step."""

import json
from pathlib import Path

import numpy as np

import headrace
from tests.notes import training

GOLDEN = Path(__file__).with_name("training_golden.json")


def test_an_epoch_follows_tensorflow():
    """The same weights and batches give the same losses: 362 steps, each within 1e-4, which
    leaves room for float32 sums in another order and no room for another formula."""
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = training.losses(headrace)
    assert len(found) == 362
    np.testing.assert_allclose(found, expected, rtol=1e-4)
