"""Text of a cell's last value, laid out as notebooks lay it out.

A notebook shows `repr(value)`, with three differences that users know: containers wider than
79 columns are broken one element a line, a class shows as `module.Name`, and a function or an
object without a `repr` of its own shows in short form. Printed notes and books contain such
output, so `headrace run` and the tests give the same. `pprint` does not: it sorts dictionaries
and splits strings.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any

WIDTH = 79
LONGEST = 1000  # elements of a container that are shown
BRACKETS = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    dict: ("{", "}"),
}


@dataclass(eq=False)
class Group:
    """A container that is being written: its separators become line breaks, or all stay."""

    parent: Group | None
    depth: int
    indent: int
    broken: bool = False

    def inside(self, bracket: str) -> Group:
        """The group of a container that begins with `bracket` in this one."""
        return Group(self, self.depth + 1, self.indent + len(bracket))


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text in a group; a separator (blank or line break); or a hard line break."""

    text: str
    group: Group
    separator: bool = False
    line: bool = False


def pretty(value: Any) -> str:
    """The text that a notebook shows for a value.

    >>> pretty({"b": [1, (2,)], "a": int})
    "{'b': [1, (2,)], 'a': int}"
    """
    return lay_out(tokens(value, Group(None, 0, 0), ()))


def tokens(value: Any, group: Group, around: tuple[int, ...]) -> Iterator[Token]:
    """The tokens of a value in a group; `around` are the containers that it is in."""
    kind = next((base for base in type(value).__mro__ if base in BRACKETS), None)
    if kind is None or type(value).__repr__ is not kind.__repr__:
        for number, line in enumerate(plain(value).splitlines()):
            if number:
                yield Token("", group, line=True)
            yield Token(line, group)
        return
    start, end = BRACKETS[kind]
    if kind in (set, frozenset) and not value:
        yield Token(f"{kind.__name__}()", group)
    elif id(value) in around:
        yield Token(f"{start}...{end}", group)
    else:
        inner = group.inside(start)
        yield Token(start, inner)
        yield from elements(value, kind, inner, (*around, id(value)))
        yield Token("," if kind is tuple and len(value) == 1 else "", inner)
        yield Token(end, group)


def elements(value: Any, kind: type, group: Group, around: tuple[int, ...]) -> Iterator[Token]:
    """The elements of a container with the separators between them."""
    for number, element in enumerate(in_order(value)):
        if number:
            yield Token(",", group)
            yield Token(" ", group, separator=True)
        if number == LONGEST:
            yield Token("...", group)
            return
        yield from tokens(element, group, around)
        if kind is dict:
            yield Token(": ", group)
            yield from tokens(value[element], group, around)


def in_order(values: Any) -> Any:
    """A set's elements sorted, where they can be; another container as it is."""
    if isinstance(values, set | frozenset) and len(values) < LONGEST:
        try:
            return sorted(values)
        except TypeError:
            return sorted(values, key=str)
    return values


def plain(value: Any) -> str:
    """The text of a value that is no container."""
    if isinstance(value, type):
        return home(value) + value.__qualname__
    if isinstance(value, FunctionType | BuiltinFunctionType):
        try:
            arguments = str(inspect.signature(value))
        except ValueError:
            arguments = ""
        return f"<function {home(value)}{value.__qualname__}{arguments}>"
    if type(value).__repr__ is object.__repr__:
        return f"<{plain(type(value))} at {id(value):#x}>"
    return repr(value)


def home(value: Any) -> str:
    """The module of a class or a function with a dot; nothing where it is built in."""
    return "" if value.__module__ in ("builtins", None) else f"{value.__module__}."


def lay_out(stream: Iterator[Token]) -> str:
    """Join the tokens; where a line grows too wide, or a `repr` breaks it, open containers
    are broken from the outermost inwards."""
    lines: list[str] = []
    pending: list[Token] = []  # the line being filled

    def finish_line(length: int, group: Group) -> None:
        lines.append("".join(token.text for token in pending[:length]))
        pending[:length] = [Token(" " * group.indent, group)]

    def break_outermost(group: Group | None) -> bool:
        waiting = [token.group for token in reversed(pending) if token.separator]
        chosen = min(waiting, key=lambda each: each.depth, default=None)
        while group is not None:  # open containers around the chosen one break as well
            group.broken |= chosen is None or group.depth < chosen.depth
            group = group.parent
        if chosen is None:
            return False
        chosen.broken = True
        while token := next((t for t in pending if t.separator and t.group is chosen), None):
            finish_line(pending.index(token), chosen)
            del pending[1]
        return True

    for token in stream:
        if token.line:
            break_outermost(token.group)
            finish_line(len(pending), token.group)
        elif token.separator and token.group.broken:
            finish_line(len(pending), token.group)
        else:
            pending.append(token)
            while sum(len(each.text) for each in pending) > WIDTH:
                if not break_outermost(token.group):
                    break
    return "\n".join([*lines, "".join(token.text for token in pending)])
