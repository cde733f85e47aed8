"""Transcripts: statements and what TensorFlow answered, compared with what Headrace answers.

A transcript is a text file of blocks. In a block, lines that begin with `>>> ` (continued by
`... `) are run one after another; what follows each is the repr of its value, nothing for None
or a statement, or `!! Class: text` for an exception. Lines that begin with `#` are remarks.
The stored answers are TensorFlow's (2.21), except where a remark says why not.
"""

from __future__ import annotations

import ast
import copy
import logging
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_ADDRESS = re.compile(r"0x[0-9a-f]+")
_MODULE = re.compile(r"(tensorflow|headrace)(\.[a-z_0-9]+)+\.")
_ALLOWED = re.compile(r"allowed values: [a-z0-9, ]*")
_NODE = re.compile(r"\{\{\w+ [^}]*\}\} ?")


def blocks(text: str) -> list[str]:
    """The blocks of a transcript."""
    return [block for block in re.split(r"\n\s*\n(?=>>>|#)", text.strip()) if block]


def statements(block: str) -> list[tuple[str, str]]:
    """`(source, answer)` of each statement of a block; remarks have no answer."""
    found: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith(">>> ") or line.startswith("#"):
            found.append(([line], []))
        elif line.startswith("...") and not found[-1][1]:
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [("\n".join(source), "\n".join(answer)) for source, answer in found]


def run(block: str, tf: Any) -> str:
    """The block with the answers that the implementation `tf` gives."""
    names = {"tf": tf, "np": np, "pickle": pickle, "copy": copy}
    lines = []
    for source, _ in statements(block):
        lines.append(source)
        if source.startswith("#"):
            continue
        code = "\n".join(line[4:] for line in source.splitlines())
        answer = answer_to(code, names)
        if answer:
            lines.append(answer)
    return "\n".join(lines)


def answer_to(code: str, names: dict[str, Any]) -> str:
    """What one statement gives, as text."""
    tree = ast.parse(code)
    try:
        if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            value = eval(compile(ast.Expression(tree.body[0].value), "<>", "eval"), names)
            return "" if value is None else plain(repr(value))
        exec(compile(tree, "<>", "exec"), names)
    except Exception as error:
        text = f"!! {type(error).__name__}: {error}"
        return plain(text)
    return ""


def plain(text: str) -> str:
    """Text without addresses, paths of modules, lists of dtypes, and blank lines."""
    text = _ALLOWED.sub("allowed values: ...", text)
    text = _NODE.sub("", _MODULE.sub("", _ADDRESS.sub("0x", text)))
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def load(path: Path) -> list[str]:
    """The blocks of a file."""
    return blocks(path.read_text(encoding="utf-8"))


@contextmanager
def quiet() -> Iterator[None]:
    """Let no warning about dtypes through while answers are compared."""
    logger = logging.getLogger("headrace")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
