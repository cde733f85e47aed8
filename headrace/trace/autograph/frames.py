"""`locals()`, `globals()`, `eval` and their like for the user's function, not for ours.

Converted code calls them through an operator, and parts of the user's function are functions of
their own; the frames between are stepped over and joined here.
"""

from __future__ import annotations

import builtins
import sys
from types import FrameType
from typing import Any

from headrace.trace.autograph.errors import Undefined
from headrace.trace.autograph.templates import AG


def _users() -> FrameType:
    """The innermost frame of converted code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_HERE):
        frame = frame.f_back
    assert frame is not None
    return frame


_HERE = __name__.rpartition(".")[0] + "."


def locals_of_user() -> dict[str, Any]:
    """The local variables of the user's function that is running."""
    frame: FrameType | None = _users()
    found: dict[str, Any] = {}
    while frame is not None:
        for name, value in frame.f_locals.items():
            if not _made_here(name, value):
                found.setdefault(name, value)
        if not _is_part(frame):
            break
        frame = _enclosing(frame)
    return found


def _made_here(name: str, value: Any) -> bool:
    return name.startswith(AG) or isinstance(value, Undefined)


def _is_part(frame: FrameType) -> bool:
    return frame.f_code.co_qualname.rpartition(".")[2].startswith(AG)


def _enclosing(frame: FrameType) -> FrameType | None:
    """The frame of the function that a body stands in."""
    outer = frame.f_code.co_qualname.rpartition(".<locals>.")[0]
    found = frame.f_back
    while found is not None and found.f_code.co_qualname != outer:
        found = found.f_back
    return found


def globals_of_user() -> dict[str, Any]:
    """The globals of the user's function that is running."""
    return _users().f_globals


def vars_of_user(*args: Any) -> Any:
    """`vars`, where it has no argument for the user's function."""
    return builtins.vars(*args) if args else locals_of_user()


def dir_of_user(*args: Any) -> Any:
    """`dir`, where it has no argument for the user's function."""
    return builtins.dir(*args) if args else sorted(locals_of_user())


def eval_for_user(source: Any, globals_: Any = None, locals_: Any = None, /) -> Any:
    """`eval` with the names of the user's function."""
    return builtins.eval(source, *_names(globals_, locals_))


def exec_for_user(source: Any, globals_: Any = None, locals_: Any = None, /) -> None:
    """`exec` with the names of the user's function."""
    builtins.exec(source, *_names(globals_, locals_))


def _names(globals_: Any, locals_: Any) -> tuple[Any, Any]:
    if globals_ is None:
        return globals_of_user(), locals_of_user() if locals_ is None else locals_
    return globals_, globals_ if locals_ is None else locals_


__all__ = [
    "dir_of_user",
    "eval_for_user",
    "exec_for_user",
    "globals_of_user",
    "locals_of_user",
    "vars_of_user",
]
