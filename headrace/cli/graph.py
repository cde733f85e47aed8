"""`headrace graph FILE:FUNCTION`: the graph of a function that a script defines.

The script runs first, as by `headrace run`. What it prints goes to the standard error, so that
the standard output holds the graph only.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import sys
from collections.abc import Sequence
from typing import Any

import headrace as tf
from headrace.base import flags
from headrace.cli.script import run_script

_SPEC = re.compile(r"([a-z]\w*)(?:\[(.*)\])?")
STAGES = "clusters,loops,llvm,asm"
_UNKNOWN = ("?", "None")


def show_graph(target: str, arguments: Sequence[str], dot: bool, stages: bool = False) -> int:
    """Print the graphs of a function.

    Args:
        target: `FILE:FUNCTION`; the function's name may have dots.
        arguments: specs such as `float32[?,3]`, or Python's literals; without any, the graphs
            are shown that the script made by calling the function.
        dot: whether to print pictures in Graphviz' language.
        stages: whether to print what the compiler makes of the graph, down to machine code.
    Returns: the exit status.
    Raises: OSError: the file can't be read.
    """
    file, separator, name = target.rpartition(":")
    if not separator:
        return _refused(f"{target!r} names no function: write FILE:FUNCTION")
    with contextlib.redirect_stdout(sys.stderr):
        status = run_script(file, [])
    if status:
        return status
    try:
        found = functools.reduce(getattr, name.split("."), sys.modules["__main__"])
        given = [parsed(text) for text in arguments]
    except (AttributeError, ValueError) as error:
        return _refused(str(error))
    function = found if hasattr(found, "pretty_graph") else tf.function(found)
    try:
        function.pretty_graph(*given, dot=dot)
        if stages:
            with flags.DUMP.override(STAGES), contextlib.redirect_stderr(sys.stdout):
                print(f"# explained\n{tf.explain(function, *given)}")
    except TypeError as error:
        return _refused(f"{error}\nGive a spec for each argument: float32[?,3], or a literal.")
    return 0


def parsed(text: str) -> Any:
    """An argument from its text: `float32[2,?]`, `int32[]`, `float32` (any shape), or `3`.

    Raises:
        ValueError: it is neither a spec nor a literal.
    """
    match = _SPEC.fullmatch(text)
    if match is not None:
        try:
            dtype = tf.as_dtype(match[1])
        except TypeError:
            raise ValueError(f"{text!r} is no spec: there is no dtype {match[1]!r}") from None
        if match[2] is None:
            return tf.TensorSpec(None, dtype)
        dims = [part.strip() for part in match[2].split(",") if part.strip()]
        shape = [None if part in _UNKNOWN else int(part) for part in dims]
        return tf.TensorSpec(shape, dtype)
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        wanted = "neither a spec like float32[?,3] nor a literal"
        raise ValueError(f"{text!r} is {wanted}") from None


def _refused(text: str) -> int:
    print(f"headrace: {text}", file=sys.stderr)
    return 2
