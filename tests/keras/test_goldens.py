"""Keras' numbers: optimizers' paths, initial weights, losses and metrics of TensorFlow."""

import json
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from tests.keras.cases import all_cases

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "keras.json").read_text())
CASES = all_cases()


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    found = CASES[name](tf, tf.keras)
    # A unit in the last place of a power near 1 counts much in `1 - beta**step`.
    tolerance = 5e-6 if name.startswith("optimizer") else 2e-6
    np.testing.assert_allclose(found, GOLDENS[name], rtol=tolerance, atol=tolerance)


def test_every_golden_has_a_case():
    assert set(GOLDENS) == set(CASES)
