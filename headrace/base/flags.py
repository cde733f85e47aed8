"""What the environment decides: the only module that reads `os.environ`.

Each setting is a `Flag` below, read when asked for (`flags.THREADS.value`), so that a test or a
notebook may change it in between. What is asked for on a fast path is read once, by its user.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from headrace.base.lazy import lazy_module

if TYPE_CHECKING:
    from pathlib import Path

pathlib = lazy_module("pathlib")

T = TypeVar("T")
FLAGS: dict[str, Flag[Any]] = {}
"""Every flag by the name of its variable."""


class Flag(Generic[T]):
    """One variable of the environment.

    Args:
        name: the variable.
        parse: from its text to the value; raises ValueError for a wrong text.
        default: its text where it is not set.
        doc: what it decides.
        allowed: what may stand there, in words.
    """

    __slots__ = ("name", "parse", "default", "doc", "allowed")

    def __init__(
        self, name: str, parse: Callable[[str], T], default: str, doc: str, allowed: str
    ) -> None:
        self.name, self.parse, self.default = name, parse, default
        self.doc, self.allowed = doc, allowed
        FLAGS[name] = self

    @property
    def text(self) -> str:
        """What stands in the environment, or the default."""
        return os.environ.get(self.name, self.default)

    @property
    def value(self) -> T:
        """The value.

        Raises:
            ValueError: the variable has a text that it cannot have.
        """
        try:
            return self.parse(self.text)
        except (ValueError, KeyError):
            raise ValueError(
                f"The environment variable {self.name} is {self.text!r}; "
                f"it can be {self.allowed}."
            ) from None

    @contextmanager
    def override(self, text: str) -> Iterator[None]:
        """Give the variable another text for the duration of a `with` block."""
        before = os.environ.get(self.name)
        os.environ[self.name] = text
        try:
            yield
        finally:
            if before is None:
                del os.environ[self.name]
            else:
                os.environ[self.name] = before

    def __repr__(self) -> str:
        return f"<flag {self.name}={self.text!r}>"


def _choice(*words: str) -> Callable[[str], str]:
    return {word: word for word in words}.__getitem__


def _compile(text: str) -> str:
    return {"0": "never", "1": "always"}.get(text) or _choice("auto", "always", "never")(text)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.replace(",", " ").split())


def _names(text: str) -> frozenset[str] | None:
    if text in ("", "1"):
        return None
    return frozenset() if text == "0" else _words(text)


def _threads(text: str) -> int:
    count = int(text or 0)
    if count < 0:
        raise ValueError
    return count or _processors()


def _processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folder(text: str) -> Path | None:
    return pathlib.Path(text).expanduser() if text not in ("", "0") else None


def _cache_home() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(base, "headrace")


COMPILE = Flag(
    "HEADRACE_COMPILE",
    _compile,
    "auto",
    "When functions become native code: once they are warm, at once, or never.",
    "auto, always (or 1) or never (or 0)",
)
PASSES = Flag(
    "HEADRACE_PASSES",
    _names,
    "1",
    "The passes over graphs that run: all of them, none, or some by their names.",
    "1, 0, or names of passes with commas between",
)
DUMP = Flag(
    "HEADRACE_DUMP",
    _words,
    "",
    "The stages of the compiler whose text is printed.",
    "names of stages with commas between: graph, clusters, loops, llvm, asm",
)
LOG = Flag(
    "HEADRACE_LOG",
    _words,
    "",
    "What is reported while it happens; compile: a line for each program that is compiled.",
    "words with commas between: compile",
)
POISON = Flag(
    "HEADRACE_POISON",
    {"0": False, "1": True}.__getitem__,
    "0",
    "Whether compiled code finds NaN in memory that nobody has written yet; for tests.",
    "0 or 1",
)
THREADS = Flag(
    "HEADRACE_THREADS",
    _threads,
    "0",
    "The threads of compiled code; 0 is one for each processor.",
    "a whole number from 0 on",
)
CACHE = Flag(
    "HEADRACE_CACHE",
    _folder,
    _cache_home(),
    "The folder of compiled code; 0 or empty: nothing is kept on disk.",
    "a folder, 0 or empty",
)
KERAS_HOME = Flag(
    "KERAS_HOME",
    _folder,
    os.path.join("~", ".keras"),
    "The folder of Keras' settings and of the data sets that it downloads.",
    "a folder",
)
LOG_LEVEL = Flag(
    "TF_CPP_MIN_LOG_LEVEL",
    int,
    "0",
    "The least grave messages that are logged: 0 all, 1 warnings, 2 errors, 3 none.",
    "0, 1, 2 or 3",
)
