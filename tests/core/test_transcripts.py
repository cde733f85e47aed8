"""Tensors, conversion, indexing, arithmetic and variables answer as TensorFlow does.

The transcripts beside this file hold what TensorFlow answered; where Headrace means to differ
a remark gives TensorFlow's answer.
"""

from pathlib import Path

import pytest

import headrace as tf
from tests.core import transcript

FILES = sorted(Path(__file__).parent.glob("*.txt"))
CASES = [
    pytest.param(block, id=f"{path.stem}-{block.splitlines()[0].strip('# ')}")
    for path in FILES
    for block in transcript.load(path)
]


@pytest.mark.parametrize("block", CASES)
def test_answers(block):
    expected = transcript.statements(block)
    with transcript.quiet():
        given = transcript.statements(transcript.run(block, tf))
    assert given == expected


def test_a_wrong_answer_is_found():
    block = ">>> tf.constant(1)\n<tf.Tensor: shape=(), dtype=int32, numpy=2>"
    assert transcript.run(block, tf) != block
    assert transcript.statements(">>> 1\n1\n>>> f(\n... 2)\n3") == [
        (">>> 1", "1"),
        (">>> f(\n... 2)", "3"),
    ]
