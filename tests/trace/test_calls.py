"""Functions answer as TensorFlow's do: results, structures, errors, counts."""

import json

import pytest

import headrace as tf
from tests.trace import calls

EXPECTED = json.loads(calls.FILE.read_text())


@pytest.fixture(scope="module")
def found():
    return calls.answers(tf)


@pytest.mark.parametrize("name", EXPECTED)
def test_answer(name, found):
    assert found[name] == EXPECTED[name]
