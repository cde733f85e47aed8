"""`if` and conditional expressions: Python's, or `tf.cond` where the condition is a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.base.lazy import lazy_module
from headrace.trace.autograph.carry import (
    blank,
    check_branches,
    check_defined,
    is_opaque,
    not_a_tensor,
    scratch,
)
from headrace.trace.autograph.errors import PendingReturn, UndefinedReturn
from headrace.trace.autograph.operators import Thunk, condition, is_staged

control = lazy_module("headrace.trace.control")


def if_stmt(
    test: Any,
    body: Callable[[], None],
    orelse: Callable[[], None],
    get_state: Callable[[], tuple[Any, ...]],
    set_state: Callable[[Sequence[Any]], None],
    names: tuple[str, ...],
    results: int,
) -> None:
    """An `if` statement.

    Args:
        test: the condition's value.
        body, orelse: run a branch.
        get_state, set_state: read and write the variables that the branches may change.
        names: what these are called.
        results: how many of them, from the first on, matter after the statement.
    """
    if is_staged(test):
        _StagedIf(body, orelse, get_state, set_state, names, results).run(test)
    elif test:
        body()
    else:
        orelse()


class _StagedIf:
    """An `if` whose two branches become graphs."""

    def __init__(
        self,
        body: Callable[[], None],
        orelse: Callable[[], None],
        get_state: Callable[[], tuple[Any, ...]],
        set_state: Callable[[Sequence[Any]], None],
        names: tuple[str, ...],
        results: int,
    ) -> None:
        self.body, self.orelse = body, orelse
        self.get_state, self.set_state = get_state, set_state
        self.names, self.results = names[:results], results
        self.before = get_state()
        self.main: list[Any] = []

    def run(self, test: Any) -> None:
        chosen = control.cond(
            condition(test, "if statement"), self._main_branch, self._else_branch
        )
        kept = sum(not self._passes(i, v) for i, v in enumerate(self.main))
        found = iter((chosen,) if kept == 1 else chosen or ())
        after = [v if self._passes(i, v) else next(found) for i, v in enumerate(self.main)]
        self.set_state([*after, *self.before[self.results :]])

    def _after(self, branch: Callable[[], None]) -> list[Any]:
        self.set_state(self.before)
        branch()
        return list(self.get_state()[: self.results])

    def _main_branch(self) -> tuple[Any, ...]:
        after = self._after(self.body)
        if any(isinstance(v, PendingReturn) for v in after):
            other = scratch(lambda: self._after(self.orelse))
            after = _filled(after, other)
            self.set_state(self.before)
        self.main = after
        check_defined(_without_pending(after), self.names, "main")
        for position, value in enumerate(after):
            if is_opaque(value) and not self._passes(position, value):
                raise TypeError(not_a_tensor(self.body, value))
        return tuple(v for i, v in enumerate(after) if not self._passes(i, v))

    def _else_branch(self) -> tuple[Any, ...]:
        after = _filled(self._after(self.orelse), self.main)
        check_defined(_without_pending(after), self.names, "else")
        for position, (name, one, two) in enumerate(
            zip(self.names, self.main, after, strict=True)
        ):
            if self._passes(position, one) and one is two:
                continue
            check_branches(name, one, two)
            if is_opaque(two):
                raise TypeError(not_a_tensor(self.orelse, two))
        return tuple(v for i, v in enumerate(after) if not self._passes(i, self.main[i]))

    def _passes(self, position: int, value: Any) -> bool:
        """Whether a value goes past the branches: an object that neither of them changes."""
        if value is None or isinstance(value, PendingReturn):
            return True
        return value is self.before[position] and is_opaque(value)


def _filled(values: list[Any], others: Sequence[Any]) -> list[Any]:
    """The values, with something of the right form for what the other branch returns."""
    return [
        blank(other)
        if isinstance(value, PendingReturn) and not isinstance(other, UndefinedReturn)
        else value
        for value, other in zip(values, others, strict=True)
    ]


def _without_pending(values: list[Any]) -> list[Any]:
    return [None if isinstance(value, PendingReturn) else value for value in values]


def if_exp(test: Any, body: Thunk, orelse: Thunk, text: str) -> Any:
    """A conditional expression; `text` is its condition as the user wrote it."""
    if not is_staged(test):
        return body() if test else orelse()
    seen: list[Any] = []

    def main() -> Any:
        seen.append(body())
        return seen[0]

    def other() -> Any:
        value = orelse()
        check_branches(text, seen[0], value)
        return value

    return control.cond(test, main, other)


__all__ = ["if_exp", "if_stmt"]
