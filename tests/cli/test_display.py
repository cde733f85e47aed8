"""Values are laid out as notebooks lay them out."""

from collections import namedtuple

import numpy as np
import pytest

from headrace.cli.display import pretty

Point = namedtuple("Point", "x y")


class Plain:
    pass


def function(a, *, b=3):
    pass


recursive: list = [1]
recursive.append(recursive)
long = "x" * 40

CASES = [
    (1, "1"),
    ("a\nb", r"'a\nb'"),
    ([], "[]"),
    ((1,), "(1,)"),
    (set(), "set()"),
    (frozenset({1}), "frozenset({1})"),
    ({3, 1, 2}, "{1, 2, 3}"),
    ({"b": 1, "a": 2}, "{'b': 1, 'a': 2}"),
    (recursive, "[1, [...]]"),
    (Point(1, 2), "Point(x=1, y=2)"),
    (int, "int"),
    (Plain, f"{__name__}.Plain"),
    (function, f"<function {__name__}.function(a, *, b=3)>"),
    (len, "<function len(obj, /)>"),
    ([long, long], f"['{long}',\n '{long}']"),
    # 79 columns fit, 80 do not.
    (["x" * 37, "x" * 34], f"['{'x' * 37}', '{'x' * 34}']"),
    (["x" * 37, "x" * 35], f"['{'x' * 37}',\n '{'x' * 35}']"),
    # The outer container is broken first, the inner one only if it must be.
    ({"a": [long], "b": (long, 1)}, f"{{'a': ['{long}'],\n 'b': ('{long}', 1)}}"),
    ([1, [long, long]], f"[1,\n ['{long}',\n  '{long}']]"),
    # A text of several lines breaks what it stands in, and is indented.
    ([1, np.eye(2), 2], "[1,\n array([[1., 0.],\n        [0., 1.]]),\n 2]"),
    ([np.eye(2)], "[array([[1., 0.],\n        [0., 1.]])]"),
    (list(range(1001)), "[" + ",\n ".join(map(str, range(1000))) + ",\n ...]"),
]


@pytest.mark.parametrize("value, text", CASES, ids=range(len(CASES)))
def test_pretty(value, text):
    assert pretty(value) == text


def test_an_object_without_a_text_of_its_own():
    value = Plain()
    assert pretty(value) == f"<{__name__}.Plain at {id(value):#x}>"
