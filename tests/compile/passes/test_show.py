"""Programs as text: the exact lines."""

from __future__ import annotations

import re

import headrace as tf
from headrace.base import flags
from headrace.compile import pipeline
from headrace.compile.passes.program import Program
from headrace.compile.passes.show import dot, text
from headrace.core.op import Spec
from tests.compile.passes.support import f32, program, spec


def example() -> Program:
    def f(x, y):
        z = tf.matmul(x, y, transpose_b=True) * 2.0
        parts = tf.split(tf.reshape(z, [-1]), 2)
        return tf.cast(parts[0], tf.int32), tf.reduce_sum(parts[1], 0)

    return program(f, spec(2, None), spec(4, None), name="f")


GOLDEN = """\
function f(%x: float32[2,?], %y: float32[4,?])
  %MatMul = MatMul(%x, %y){transpose_b=True} : float32[2,4]
  %mul/y = Const(){value=2.0} : float32[]
  %mul = Mul(%MatMul, %mul/y) : float32[2,4]
  %Reshape = Reshape(%mul){shape=(-1,)} : float32[8]
  %split, %split:1 = SplitV(%Reshape){size_splits=(4, 4), axis=0} : float32[4], float32[4]
  %Cast = Cast(%split) : int32[4]
  %Sum = Sum(%split:1){axis=(0,)} : float32[]
  return %Cast, %Sum"""


def test_text():
    assert text(example()) == GOLDEN


def test_lines_of_the_user():
    lines = text(example(), lines=True).splitlines()
    assert re.search(r"  # test_show\.py:\d+$", lines[1])


def test_unknown_rank_and_long_constants():
    def f(x):
        return x + tf.constant([1.0] * 9)

    made = text(program(f, Spec(None, f32)))
    assert "%x: float32[...]" in made and "value=[9 elements]" in made


def test_functions_are_named():
    @tf.function
    def inner(x):
        return x

    found = tf.function(lambda x: inner(x)).get_concrete_function(tf.constant(1.0)).graph
    made = pipeline.program_of(found, found.parameters, found.outputs)
    assert re.search(r"PartitionedCall\(%x\)\{f=@\w*inner\w*\}", text(made))


def test_dot():
    made = program(lambda x: tf.exp(x), spec(2), name="g")
    assert dot(made) == (
        'digraph "g" {\n'
        "  node [shape=box];\n"
        '  "x" [label="x\\nfloat32[2]", shape=ellipse];\n'
        '  "Exp" [label="Exp\\nExp\\nfloat32[2]"];\n'
        '  "x" -> "Exp";\n'
        '  "return 0" [shape=ellipse];\n'
        '  "Exp" -> "return 0";\n'
        "}"
    )


def test_printing_while_optimizing(capsys):
    with flags.DUMP.override("graph"):
        tf.function(lambda x: x * 1.0)(tf.constant([1.0]))
    printed = capsys.readouterr().err
    titles = re.findall(r"^# (.*)$", printed, re.MULTILINE)
    assert titles == ["as traced", "after bypass", "after simplify", "after dead"]
