"""`pretty_graph`: graphs before and after each pass, and pictures."""

import io
import re

import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def all_passes(monkeypatch):
    monkeypatch.setenv("HEADRACE_PASSES", "1")


@tf.function
def steps(x, times):
    if tf.reduce_sum(x) > 0.0:
        x = x * 1.0
    for _ in tf.range(times):
        x = x + x
    return x


def titles(text):
    return re.findall(r"^# (.*)$", text, re.MULTILINE)


def test_a_graph_after_each_pass(capsys):
    @tf.function
    def scaled(x):
        return (x * 1.0) + (2.0 + 3.0 * tf.constant(1.0))

    scaled.pretty_graph(tf.TensorSpec([2]))
    text = capsys.readouterr().out
    assert titles(text)[0] == "as traced" and len(titles(text)) > 2
    first, last = text.split("# after")[0], text.split("# after")[-1]
    assert "Mul(" in first and "Mul(" not in last and "AddV2(" in last


def test_bodies_follow(capsys):
    steps.pretty_graph(tf.TensorSpec([2]), tf.TensorSpec([], tf.int32))
    text = capsys.readouterr().out
    names = set(re.findall(r"^function (\w+)\(", text, re.MULTILINE))
    assert {re.sub(r"_\d+$", "", name) for name in names} == {
        "__inference_steps",
        "cond_true",
        "cond_false",
        "while_cond",
        "while_body",
    }


def test_all_traces_without_arguments(capsys):
    @tf.function
    def same(x):
        return x

    same(tf.constant(1.0))
    same(tf.constant([1, 2]))
    same.pretty_graph()
    text = capsys.readouterr().out
    assert "%x: float32[]" in text and "%x: int32[2]" in text


def test_a_picture_goes_where_it_is_wanted():
    place = io.StringIO()
    steps.pretty_graph(tf.TensorSpec([2]), 3, dot=True, file=place)
    picture = place.getvalue()
    assert picture.startswith('digraph "__inference_steps_')
    assert picture.count("digraph") >= 3 and picture.count("{\n") == picture.count("\n}")


def test_a_concrete_function_shows_its_own_graph(capsys):
    concrete = steps.get_concrete_function(tf.TensorSpec([4]), 1)
    concrete.pretty_graph()
    assert "%x: float32[4]" in capsys.readouterr().out
