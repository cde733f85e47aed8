"""The examples in the documentation strings run and print what stands there."""

import doctest
import inspect
import re

import numpy as np
import pytest

import headrace
from headrace.cli import cells, display, shell
from headrace.core.op import OPS
from tools.exports import canonical_names, public_names

FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
PARSER = doctest.DocTestParser()


NUMBER = re.compile(r"[-+]?\b(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+)")
LAST_DIGITS = 3e-7  # four units in float32's last place: NumPy's own loops differ by CPU


class Checker(doctest.OutputChecker):
    """Compares texts; of floats, the last digit shown may differ."""

    def check_output(self, want, got, flags):
        if super().check_output(want, got, flags):
            return True
        texts = [re.sub(r"\s+", "", NUMBER.sub("#", text)) for text in (want, got)]
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (want, got)]
        if texts[0] != texts[1] or not numbers[0]:
            return False
        return np.allclose(*numbers, rtol=LAST_DIGITS, atol=LAST_DIGITS)


def documented():
    """`(name, text)` of every documentation string of a public object or its members."""
    first = canonical_names()
    for name, value in public_names().items():
        if first.get(id(value)) != name or isinstance(value, type(np)):
            continue
        yield f"tf.{name}", inspect.getdoc(value)
        if isinstance(value, type) and value.__module__.startswith("headrace"):
            for member, function in vars(value).items():
                if not member.startswith("_"):
                    yield f"tf.{name}.{member}", inspect.getdoc(function)
    for module in (cells, display, shell):
        for member, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                yield f"{module.__name__}.{member}", inspect.getdoc(function)


def with_examples():
    return [(name, text) for name, text in documented() if text and ">>>" in text]


def namespace():
    """The names that examples may use."""
    tools = {"to_python": cells.to_python, "pretty": display.pretty, "duration": shell.duration}
    return {"tf": headrace, "keras": headrace.keras, "np": np, **tools}


EXAMPLES = dict(with_examples())


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name):
    test = PARSER.get_doctest(EXAMPLES[name], namespace(), name, None, 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(Checker(), optionflags=FLAGS, verbose=False)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_every_op_is_documented_by_an_example():
    """A public function of an op record has an example."""
    first = canonical_names()
    missing = [
        name
        for name, value in public_names().items()
        if getattr(value, "op", None) in OPS.values()
        and first[id(value)] == name
        and f"tf.{name}" not in EXAMPLES
    ]
    assert missing == []


@pytest.mark.parametrize(
    "text, failed",
    [
        (">>> 1 + 1\n3\n", 1),
        (">>> 0.1 + 0.2\n0.30001\n", 1),
        (">>> [0.5, 1]\n[0.5, 2]\n", 1),
        (">>> 0.1 + 0.2\n0.3\n", 0),
        (">>> np.float32([1, 3]) / 3\narray([0.3333334, 1.       ], dtype=float32)\n", 0),
    ],
)
def test_a_wrong_example_is_found(text, failed):
    test = PARSER.get_doctest(text, {"np": np}, "example", None, 0)
    runner = doctest.DocTestRunner(Checker(), verbose=False)
    assert runner.run(test, out=lambda _: None).failed == failed
