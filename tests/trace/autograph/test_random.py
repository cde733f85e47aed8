"""Random programs give the same as plain Python, converted and as graphs."""

import linecache

import pytest

import headrace as tf
from headrace.trace.autograph import convert
from tests.trace.autograph.random_programs import Writer

ARGUMENTS = ((0, 0), (3, 1), (-2, 5))


def written(seed, tensors):
    """A random function, whose text `linecache` knows."""
    text, filename = Writer(seed, tensors).text(), f"<random {tensors} {seed}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    names = {"tf": tf}
    exec(compile(text, filename, "exec"), names)
    return names["f"]


def outcome(function, *arguments):
    """What a function returns, or the error that it ends in."""
    try:
        return function(*arguments)
    except NameError:
        return NameError
    except ValueError:
        return ValueError


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_converted_is_python(first):
    for seed in range(first, first + 20):
        function = written(seed, tensors=False)
        converted = convert(function)
        for arguments in ARGUMENTS:
            assert outcome(converted, *arguments) == outcome(function, *arguments), seed


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_graph_is_python(first):
    for seed in range(first, first + 10):
        function = written(seed, tensors=True)
        graph = tf.function(function)
        for arguments in ARGUMENTS:
            expected = [int(x) for x in function(*arguments)]
            found = [int(x) for x in graph(*map(tf.constant, arguments))]
            assert found == expected, seed
