"""Notebook cells: reading them from a file, and turning IPython's own syntax into Python.

A notebook is JSON (nbformat 3 and 4). Its cells may hold lines that are no Python: `%magic`,
`!command`, `name?`. Such a line becomes a call of the shell that runs the cells (`shell.py`),
on the same line, so that line numbers in tracebacks stay true.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

ASSIGNED = re.compile(r"(?P<target>[\w.,\s\[\]*]+?)\s*=\s*(?P<sign>[%!])(?P<rest>.*)")


@dataclass(frozen=True)
class Cell:
    """One code cell: its number among the code cells (from 1), its text, and its tags."""

    number: int
    source: str
    tags: frozenset[str] = frozenset()


def read_cells(file: str) -> list[Cell]:
    """The code cells of a notebook.

    Args:
        file: path of an `.ipynb` file.
    Raises:
        OSError: the file can't be read.
        ValueError: it is not a notebook, or one of another language than Python.
    """
    with open(file, encoding="utf-8") as stream:
        try:
            notebook = json.load(stream)
            sheets = notebook.get("worksheets", [notebook])
            cells = [cell for sheet in sheets for cell in sheet["cells"]]
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            texts = [
                text_of(cell["source"] if "source" in cell else cell["input"]) for cell in code
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} is not a notebook: {error!r}") from error
    language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise ValueError(f"{file} is a notebook in {language}, not in Python.")
    return [
        Cell(number, text, frozenset(cell.get("metadata", {}).get("tags", ())))
        for number, (text, cell) in enumerate(zip(texts, code, strict=True), start=1)
    ]


def text_of(source: Any) -> str:
    """A cell's text, which a notebook holds as one string or as a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def to_python(source: str, file: str = "<cell>") -> str:
    """A cell's text with IPython's own lines rewritten as calls; the rest is left as it is.

    Args:
        source: the cell's text.
        file: the name under which an error shows it.
    Raises:
        SyntaxError: something else in the cell is no Python.

    >>> to_python("x = 7\\n%time x % 2")
    "x = 7\\nget_ipython().run_line_magic('time', 'x % 2')"
    """
    if source.lstrip().startswith("%%"):
        head, _, body = source.lstrip().partition("\n")
        name, _, line = head[2:].partition(" ")
        return f"get_ipython().run_cell_magic({name!r}, {line.strip()!r}, {body!r})"
    while True:
        try:
            ast.parse(source, file)
            return source
        except SyntaxError as error:
            rewritten = rewrite_line(source, error.lineno)
            if rewritten is None:
                raise
            source = rewritten


def rewrite_line(source: str, number: int | None) -> str | None:
    """The text with its line `number` (from 1) rewritten, or None where that is no magic."""
    lines = source.split("\n")
    if number is None or not 1 <= number <= len(lines):
        return None
    line = lines[number - 1]
    indent, text = line[: len(line) - len(line.lstrip())], line.strip()
    assigned = ASSIGNED.fullmatch(text)
    if text.startswith(("%", "!")):
        call = call_of(text[0], text[1:])
    elif assigned:
        call = f"{assigned['target']} = {call_of(assigned['sign'], assigned['rest'], True)}"
    elif text.endswith("?") or text.startswith("?"):
        call = f"get_ipython().run_line_magic('pinfo', {text.strip('?')!r})"
    else:
        return None
    lines[number - 1] = indent + call
    return "\n".join(lines)


def call_of(sign: str, text: str, value: bool = False) -> str:
    """The shell's call for a `%magic` or a `!command`."""
    if sign == "%":
        name, _, rest = text.partition(" ")
        return f"get_ipython().run_line_magic({name!r}, {rest.strip()!r})"
    return f"get_ipython().{'getoutput' if value else 'system'}({text.lstrip('!')!r})"
