"""The signatures of TensorFlow's operations, for files that its tools read.

Graphs hold op records; a `GraphDef` needs what TensorFlow calls the inputs, the results and the
types of an operation. `op_signatures.txt` has a line for each, in this grammar:

    Name(input: type, ...) -> (result: type, ...) {attribute: kind = default, ...}

where a type is a dtype, the name of an attribute, `N * T` (N tensors of one type) or `[T]`
(tensors with the types of a list).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_suffix(".txt")
_LINE = re.compile(r"(\w+)\((.*?)\) -> \((.*?)\)(?: \{(.*)\})?")
_ATTRIBUTE = re.compile(r'(\w+): ([\w()]+)(?: = ("(?:[^"\\]|\\.)*"|\[[^]]*\]|[^,]+))?(?:, |$)')


class Argument(NamedTuple):
    """An input or result: its name, its type, and the attribute that counts its tensors."""

    name: str
    type: str
    number: str = ""
    listed: bool = False

    @property
    def many(self) -> bool:
        """Whether it stands for any number of tensors."""
        return bool(self.number) or self.listed


class Attribute(NamedTuple):
    """An attribute: its name, its kind, and its default as a text ("" if it has none)."""

    name: str
    kind: str
    default: str


class Signature(NamedTuple):
    """What TensorFlow knows of an operation."""

    inputs: tuple[Argument, ...]
    results: tuple[Argument, ...]
    attributes: tuple[Attribute, ...]


@functools.cache
def table() -> dict[str, str]:
    """The line of each operation, by its name."""
    text = _FILE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.partition("(")[0]: line for line in lines}


@functools.cache
def signature_of(name: str) -> Signature | None:
    """The signature of an operation; None for one that TensorFlow does not have."""
    line = table().get(name)
    if line is None:
        return None
    match = _LINE.fullmatch(line)
    assert match is not None, line
    attributes = [Attribute(*found) for found in _ATTRIBUTE.findall(match[4] or "")]
    return Signature(_arguments(match[2]), _arguments(match[3]), tuple(attributes))


def _arguments(text: str) -> tuple[Argument, ...]:
    found = []
    for part in filter(None, text.split(", ")):
        name, _, kind = part.partition(": ")
        number, _, of = kind.rpartition(" * ")
        found.append(Argument(name, of.strip("[]"), number, of.startswith("[")))
    return tuple(found)
