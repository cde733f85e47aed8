"""`headrace graph FILE:FUNCTION` prints what a function of a script becomes."""

import subprocess
import sys

import pytest

SCRIPT = """\
import tensorflow as tf

print("the script runs")

@tf.function
def scaled(x, factor=2.0):
    return x * factor * 1

class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def call(self, x):
        return tf.reduce_sum(x, 1) if tf.shape(x)[0] > 1 else x[:, 0]

def plain(x):
    return tf.exp(x)

model = Model()
scaled(tf.constant([1.0, 2.0]))
scaled(tf.constant(1), factor=3)
"""


@pytest.fixture
def show(tmp_path):
    """Print a graph of the script by the command; the finished process."""
    (tmp_path / "program.py").write_text(SCRIPT, encoding="utf-8")

    def show(*words):
        command = [sys.executable, "-m", "headrace", "graph", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return show


def test_the_graphs_that_the_script_made(show):
    done = show("program.py:scaled")
    assert done.returncode == 0, done.stderr
    assert "the script runs" in done.stderr and "the script runs" not in done.stdout
    titles = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert titles.count("# as traced") == 2 and "# after simplify" in titles
    assert "%x: float32[2]" in done.stdout and "%x: int32[]" in done.stdout
    assert "# program.py:7" in done.stdout


def test_a_graph_for_given_arguments(show):
    done = show("program.py:plain", "float64[?,3]")
    assert "%Exp = Exp(%x) : float64[?,3]" in done.stdout, done.stderr
    done = show("program.py:scaled", "float32[4]", "0.5")
    assert "value=0.5" in done.stdout and "%x: float32[4]" in done.stdout


def test_a_method_with_its_branches(show):
    done = show("program.py:model.call")
    assert done.returncode == 0, done.stderr
    assert "StatelessIf" in done.stdout and "function cond_true_" in done.stdout


def test_a_picture(show):
    done = show("--dot", "program.py:plain", "float32[]")
    assert done.stdout.startswith("digraph") and '"x" -> "Exp";' in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["program.py"], "write FILE:FUNCTION"),
        (["missing.py:f"], "can't open 'missing.py'"),
        (["program.py:nothing"], "has no attribute 'nothing'"),
        (["program.py:plain", "float33[2]"], "there is no dtype 'float33'"),
        (["program.py:plain", "[2"], "neither a spec"),
        (["program.py:plain"], "Give a spec for each argument"),
    ],
)
def test_what_is_refused(show, words, text):
    done = show(*words)
    assert done.returncode == 2 and text in done.stderr and not done.stdout
