"""The verifier catches what no pass may do."""

from __future__ import annotations

import re

import pytest

import headrace as tf
from headrace.compile.passes.program import Program, Value
from headrace.compile.passes.verify import BrokenProgram, verify
from headrace.core.op import OPS, Spec
from tests.compile.passes.support import f32, program, spec


@pytest.fixture
def made():
    return program(lambda x: tf.exp(tf.tanh(x)), spec(2, 3))


def broken(program: Program, text: str, before: Program | None = None) -> None:
    with pytest.raises(BrokenProgram, match=re.escape(text)):
        verify(program, before)


def with_nodes(made: Program, *nodes) -> Program:
    return Program(nodes, made.inputs, made.fetches)


def test_order(made):
    broken(with_nodes(made, *made.nodes[::-1]), "%Tanh is read before it is there")


def test_missing_result(made):
    broken(with_nodes(made, made.nodes[0]), "%Exp is returned, but nothing gives it")


def test_made_twice(made):
    again = made.nodes[0].like(name="again")
    broken(with_nodes(made, *made.nodes, again), "%Tanh is made twice")


def test_name_twice(made):
    again = made.nodes[0].like(outputs=(Value("new", made.nodes[0].outputs[0].spec),))
    broken(with_nodes(made, *made.nodes, again), "two nodes are called 'Tanh'")


def test_input_twice(made):
    broken(Program(made.nodes, made.inputs * 2, made.fetches), "%x is an input twice")


def test_wrong_shape(made):
    tanh, exp = made.nodes
    wrong = Value("wrong", Spec((3, 2), f32))
    program = with_nodes(made, tanh.like(outputs=(wrong,)), exp.like(inputs=(wrong,)))
    broken(program, "%wrong has shape (3, 2), must have (2, 3)")


def test_wrong_dtype(made):
    tanh, exp = made.nodes
    wrong = Value("wrong", Spec((2, 3), tf.int32))
    program = with_nodes(made, tanh.like(outputs=(wrong,)), exp.like(inputs=(wrong,)))
    broken(program, "%wrong must be float32")


def test_wrong_number_of_inputs(made):
    tanh, exp = made.nodes
    broken(with_nodes(made, tanh.like(op=OPS["AddV2"]), exp), "it has 1 inputs, its op 2")


def test_waits_for_nobody(made):
    tanh, exp = made.nodes
    broken(with_nodes(made, tanh.like(control=("Exp",)), exp), "it waits for 'Exp'")


def test_tensor_of_a_graph(made):
    tanh, exp = made.nodes
    with tf.Graph().as_default():
        symbol = tf.constant([1, 2]) + 1
    reshape = tanh.like(op=OPS["Reshape"], attrs={"shape": symbol})
    broken(with_nodes(made, reshape, exp), "an attribute is a graph's tensor")


def test_results_and_inputs_stay(made):
    broken(Program(made.nodes, (), ()), "%x is read before it is there")
    broken(Program(made.nodes, made.inputs, ()), "a result is gone, or new", made)
    broken(Program(made.nodes[:0], (), ()), "an input is gone, or new", made)
    shape = program(lambda x: tf.shape(x), spec(None))
    broken(
        Program(shape.nodes, shape.inputs, shape.fetches),
        "has another dtype",
        Program(made.nodes, made.inputs, made.fetches),
    )


@pytest.fixture
def printing():
    def f(x):
        tf.print("one")
        tf.print("two")
        return x

    return program(f, spec(2))


def test_effects_stay_in_order(printing):
    one, two = printing.nodes
    verify(printing, printing)
    broken(with_nodes(printing, two, one), "an effect is", printing)
    broken(with_nodes(printing, one), "an effect is", printing)
    broken(with_nodes(printing, one, two, two.like(name="x")), "an effect is new", printing)
