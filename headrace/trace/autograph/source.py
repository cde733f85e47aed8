"""From a function to its syntax tree.

A function's own lines are parsed at their places, so that every node keeps the line and column
that it has in the user's file. Where they can't be cut out (a lambda, text that reaches out to
the left), the whole file is parsed and the function found in it by its first line (a lambda
also by its columns). Whatever `linecache` knows can be read: files, notebook cells, doctests.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from headrace.trace.autograph.errors import SourceNotFound

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def function_node(function: FunctionType) -> FunctionNode:
    """The syntax tree of a function, which the caller may change.

    Raises:
        SourceNotFound: there is no source, or it does not fit the function.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise SourceNotFound(f"the source of {code.co_name} could not be found")
    own = _from_own_lines(code, lines)
    if own is not None:
        return own
    try:
        by_line = _functions("".join(lines))
    except SyntaxError:
        return _from_block(code, lines)
    found = [n for n in by_line.get(code.co_firstlineno, ()) if _fits(n, code)]
    if len(found) > 1:
        found = [n for n in found if _spans(n, code)] or found
    if not found:
        raise SourceNotFound(f"no {code.co_name} stands in line {code.co_firstlineno}")
    return copy.deepcopy(min(found, key=_length))


def _from_own_lines(code: CodeType, lines: list[str]) -> FunctionNode | None:
    """The function out of its own lines, or None: they are not all that it takes."""
    first, end = code.co_firstlineno, _last_line(code)
    if not 0 < first <= end <= len(lines):
        return None
    depth = _indentation(lines[first - 1])
    while end < len(lines) and _belongs(lines[end], depth):
        end += 1
    head = "\n" * (first - 1) if not depth else "\n" * (first - 2) + "if 1:\n"
    try:
        body: list[Any] = ast.parse(head + "".join(lines[first - 1 : end])).body
    except SyntaxError:
        return None
    node = body[0].body[0] if depth else body[0]
    whole = isinstance(node, _DEFINITIONS) and _first_line(node) == first
    return node if whole and _fits(node, code) else None


def _last_line(code: CodeType) -> int:
    """The last line that something in the code, or in functions within it, comes from."""
    lines = [end or line or 0 for line, end, _, _ in code.co_positions()]
    inner = [_last_line(c) for c in code.co_consts if isinstance(c, CodeType)]
    return max([code.co_firstlineno, *lines, *inner])


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _belongs(line: str, depth: int) -> bool:
    """Whether a line behind a function's code may be its too: not all that it has is code."""
    return _indentation(line) > depth or line.lstrip()[:1] in ("", "#")


@functools.lru_cache(maxsize=16)
def _functions(text: str) -> dict[int, list[FunctionNode]]:
    """All functions of a file by the line in which they (or their decorators) begin."""
    by_line: dict[int, list[FunctionNode]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            by_line.setdefault(_first_line(node), []).append(node)
    return by_line


def _first_line(node: FunctionNode) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _from_block(code: CodeType, lines: list[str]) -> FunctionNode:
    """The function out of its own lines, where the whole file is no Python (notebooks)."""
    block = inspect.getblock(lines[code.co_firstlineno - 1 :])
    try:
        tree = ast.parse(textwrap.dedent("".join(block)))
    except SyntaxError:
        raise SourceNotFound(f"the source of {code.co_name} could not be parsed") from None
    ast.increment_lineno(tree, code.co_firstlineno - 1)
    for node in ast.walk(tree):
        if isinstance(node, (*_DEFINITIONS, ast.Lambda)) and _fits(node, code):
            return node
    raise SourceNotFound(f"no {code.co_name} stands in line {code.co_firstlineno}")


def _fits(node: FunctionNode, code: CodeType) -> bool:
    """Whether name and arguments are those of the code."""
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    return name == code.co_name and len(argument_names(node)) == _count(code)


def _count(code: CodeType) -> int:
    flags = (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS)
    extra = sum(bool(code.co_flags & flag) for flag in flags)
    return code.co_argcount + code.co_kwonlyargcount + extra


def argument_names(node: FunctionNode) -> list[str]:
    """The names of all arguments."""
    arguments = node.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    listed += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [a.arg for a in listed]


def _spans(node: FunctionNode, code: CodeType) -> bool:
    """Whether all instructions of the code lie within the body of the node."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    begin = (body[0].lineno, body[0].col_offset)
    end = (body[-1].end_lineno or 0, body[-1].end_col_offset or 0)
    return all(begin <= first and last <= end for first, last in _places(code))


def _places(code: CodeType) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or column is None or end_column is None:
            continue
        if (line, column) != (end_line, end_column):
            yield (line, column), (end_line, end_column)


def _length(node: Any) -> tuple[int, int]:
    return (node.end_lineno - node.lineno, node.end_col_offset - node.col_offset)


__all__ = ["FunctionNode", "argument_names", "function_node"]
