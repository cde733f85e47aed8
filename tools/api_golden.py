"""The whole public interface as text: every name, with the signature of what can be called.

    python -m tools.api_golden        writes headrace/api/golden.txt

`tests/house/test_api.py` compares the file with the code, so that no name or argument comes,
goes or changes unnoticed: a change of the interface is a change of this file, under review.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any

from tools.exports import canonical_names, public_names
from tools.sizes import PACKAGE

GOLDEN = PACKAGE / "api" / "golden.txt"


def interface() -> str:
    """The text of the golden file."""
    first = canonical_names()
    lines: list[str] = []
    for name, value in public_names().items():
        canonical = first.get(id(value), name)
        if canonical != name:
            lines.append(f"tf.{name} = tf.{canonical}")
        else:
            lines.extend(described(f"tf.{name}", value))
    return "\n".join(lines) + "\n"


def described(name: str, value: Any) -> Iterator[str]:
    """The lines of a public object: one, and for a class one more for each public member."""
    if isinstance(value, ModuleType):
        yield f"{name}: module {value.__name__}"
    elif isinstance(value, type):
        yield f"{name}{signature(value)}"
        for member in sorted(members(value)):
            yield from member_lines(f"{name}.{member}", inspect.getattr_static(value, member))
    elif callable(value) and not hasattr(type(value), "__iter__"):
        yield f"{name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def members(kind: type) -> set[str]:
    """The public members that a class has from this package."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "headrace"]
    return {name for base in own for name in vars(base) if not name.startswith("_")}


def member_lines(name: str, member: Any) -> Iterator[str]:
    """The line of a class's member."""
    if isinstance(member, staticmethod | classmethod):
        yield f"{name}{signature(member.__func__, skip=isinstance(member, classmethod))}"
    elif inspect.isfunction(member):
        yield f"{name}{signature(member, skip=True)}"
    elif isinstance(member, property) or inspect.isdatadescriptor(member):
        yield name
    else:
        yield f"{name}: {type(member).__name__}"


def signature(function: Any, skip: bool = False) -> str:
    """The arguments of a function with their defaults, without annotations."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    arguments = list(found.parameters.values())[skip:]
    shown = [
        argument.replace(annotation=inspect.Parameter.empty, default=default(argument.default))
        for argument in arguments
    ]
    text = str(found.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


class Shown:
    """A default whose `repr` is a text that does not change from run to run."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def default(value: Any) -> Any:
    """A default as the golden file shows it: functions, classes and enums by their names."""
    if isinstance(value, Enum):
        return Shown(str(value))
    if value is not inspect.Parameter.empty and hasattr(value, "__qualname__"):
        return Shown(value.__qualname__)
    return value


def main() -> None:
    """Write the file."""
    GOLDEN.write_text(interface(), encoding="utf-8")


if __name__ == "__main__":
    main()
