"""Wrong programs raise TensorFlow's errors, from the user's own line."""

import inspect
import traceback

import pytest

import headrace as tf
from tests.trace.autograph import programs_wrong
from tests.trace.autograph.programs_wrong import WRONG


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[0].__name__)
def test_error(case):
    function, sample, kind, match = case
    with pytest.raises(kind, match=match) as caught:
        tf.function(function)(*map(tf.constant, sample))
    assert caught.type is kind
    frames = traceback.extract_tb(caught.value.__traceback__)
    last = [f for f in frames if f.filename == programs_wrong.__file__][-1]
    lines, first = inspect.getsourcelines(function)
    wanted = next(i for i, line in enumerate(lines) if line.rstrip().endswith("# here"))
    assert last.lineno == first + wanted
    assert last.name in (function.__name__, "inner")
