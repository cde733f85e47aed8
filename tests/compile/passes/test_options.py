"""`tf.config.optimizer`, and the flag that chooses passes."""

from __future__ import annotations

import pytest

import headrace as tf
from headrace.base import flags
from headrace.compile import pipeline
from headrace.compile.passes import options
from tests.compile.passes.support import ops, program, spec

optimizer = tf.config.optimizer


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(options, "settings", options._Settings())


def test_what_is_told():
    assert optimizer.get_experimental_options() == {
        "disable_model_pruning": False,
        "disable_meta_optimizer": False,
    }
    optimizer.set_experimental_options({"constant_folding": False, "min_graph_nodes": 3})
    optimizer.set_experimental_options({"debug_stripper": True, "no_such_option": 1})
    assert optimizer.get_experimental_options() == {
        "constant_folding": False,
        "debug_stripper": True,
        "disable_model_pruning": False,
        "disable_meta_optimizer": False,
        "min_graph_nodes": 3,
    }


@pytest.mark.parametrize("wrong", [{"remapping": 1}, {"min_graph_nodes": True}])
def test_wrong_values(wrong):
    with pytest.raises(TypeError, match="The optimizer option"):
        optimizer.set_experimental_options({"constant_folding": False} | wrong)
    assert "constant_folding" not in optimizer.get_experimental_options()


def test_jit():
    assert optimizer.get_jit() == ""
    for given in (True, "autoclustering"):
        optimizer.set_jit(given)
        assert optimizer.get_jit() == "autoclustering"
        optimizer.set_jit(False)
        assert optimizer.get_jit() == ""


def example():
    return program(
        lambda x: tf.exp(x) + tf.exp(x) * 1.0 + (tf.constant(1.0) + 2.0), spec(2), name="f"
    )


@pytest.mark.parametrize(
    "option, left",
    [
        ("constant_folding", ["Exp", "AddV2", "AddV2", "AddV2"]),
        ("arithmetic_optimization", ["Exp", "Exp", "Mul", "AddV2", "AddV2"]),
        ("remapping", ["Exp", "AddV2", "AddV2"]),
    ],
)
def test_single_options(option, left):
    optimizer.set_experimental_options({option: False})
    assert ops(pipeline.optimized(example())) == left


def test_all_off():
    made = example()
    optimizer.set_experimental_options({"disable_meta_optimizer": True})
    assert pipeline.optimized(made) is made
    optimizer.set_experimental_options({"disable_meta_optimizer": False})
    optimizer.set_experimental_options({"min_graph_nodes": 100})
    assert pipeline.optimized(made) is made


def test_pruning():
    made = example()
    optimizer.set_experimental_options({"disable_model_pruning": True})
    assert len(pipeline.optimized(made).nodes) > 4


def test_the_flag():
    made = example()
    with flags.PASSES.override("0"):
        assert pipeline.optimized(made) is made
    with flags.PASSES.override("cse,dead"):
        assert ops(pipeline.optimized(made)).count("Exp") == 1
        assert "Mul" in ops(pipeline.optimized(made))
    with flags.PASSES.override("1"):
        assert ops(pipeline.optimized(made)) == ["Exp", "AddV2", "AddV2"]


def test_every_pass_belongs_to_an_option():
    for each in pipeline.PIPELINE:
        assert each.option in options.OPTIONS and each.why
