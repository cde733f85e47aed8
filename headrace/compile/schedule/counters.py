"""Loops of a program whose rounds can be counted before they run.

A counter is a number in memory that begins with a known value and grows by the same in each
round. Where the condition compares such numbers with known ones, the number of rounds follows,
and so does what a list holds in which each round keeps a counter.
Read `loops/ir.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Apply, Cast, Choose, Const, Expr, Load, apply
from headrace.compile.loops.operations import letter, limits

Numbers: TypeAlias = dict[int, Sequence[int]]
"""What is known to lie in buffers of integers, by the buffer's id."""


class Counter(NamedTuple):
    """A number: `first` in round 0, and it changes by `step` in step `place` of the body."""

    buffer: ir.Buffer
    first: int
    step: int
    place: int

    def at(self, turn: int, place: int) -> int:
        """Its value in some round, as the step `place` of the body finds it."""
        return self.first + self.step * (turn + (place > self.place))


class Line(NamedTuple):
    """A number that is `first` in round 0 and changes by `step` from round to round."""

    first: int
    step: int

    def at(self, turn: int) -> int:
        return self.first + self.step * turn


@dataclass(frozen=True, slots=True)
class Count:
    """How often a loop runs, its counters by the id of their buffers, and what stays known."""

    rounds: int
    counters: dict[int, Counter]
    known: Numbers

    def line(self, x: Expr, place: int) -> Line | None:
        """How an integer changes, as the step `place` finds it; None: not evenly, or to more
        than its dtype holds."""
        found = self._line(x, place) if letter(x.dtype) in "iu" else None
        if found is None:
            return None
        low, high = limits(x.dtype)
        ends = found.at(0), found.at(max(0, self.rounds - 1))
        return found if low <= min(ends) and max(ends) <= high else None

    def _line(self, x: Expr, place: int) -> Line | None:
        match x:
            case Const(_, value):
                return Line(int(value), 0)
            case Load(_, buffer) if id(buffer) in self.counters:
                counter = self.counters[id(buffer)]
                return Line(counter.at(0, place), counter.step)
            case Load(_, buffer, offset):
                return self._loaded(self.known.get(id(buffer), ()), self.line(offset, place))
            case Cast(_, inner, False) if letter(inner.dtype) in "iu":
                return self.line(inner, place)
            case Choose(_, condition, then, other):
                holds = self._decided(condition, place)
                return None if holds is None else self.line(then if holds else other, place)
            case Apply(_, "min" | "max" as name, (a, b)):
                holds = self._decided(apply("le" if name == "min" else "ge", a, b), place)
                return None if holds is None else self.line(a if holds else b, place)
            case Apply(_, "add" | "sub" | "neg" | "mul" as name, args):
                lines = [line for y in args if (line := self.line(y, place)) is not None]
                return _combined(name, lines) if len(lines) == len(args) else None
        return None

    def _loaded(self, values: Sequence[int], where: Line | None) -> Line | None:
        if where is None:
            return None
        ends = where.at(0), where.at(max(0, self.rounds - 1))
        if min(ends) < 0 or max(ends) >= len(values):
            return None
        if not where.step:
            return Line(values[where.first], 0)
        if not isinstance(values, range):
            return None
        return Line(values[where.first], values.step * where.step)

    def _decided(self, x: Expr, place: int) -> bool | None:
        """What a comparison says in all rounds; None: not known, or now this, now that."""
        match x:
            case Const(_, value):
                return bool(value)
            case Apply(_, "lt" | "le" | "gt" | "ge" as name, (a, b)):
                left, right = self.line(a, place), self.line(b, place)
                if left is None or right is None:
                    return None
                turns = 0, max(0, self.rounds - 1)
                found = {bool(_EXACT[name](left.at(t), right.at(t))) for t in turns}
                return found.pop() if len(found) == 1 else None
        return None


def _combined(name: str, given: Sequence[Line]) -> Line | None:
    x, y = given[0], given[-1]
    match name:
        case "add":
            return Line(x.first + y.first, x.step + y.step)
        case "sub":
            return Line(x.first - y.first, x.step - y.step)
        case "neg":
            return Line(-x.first, -x.step)
    if x.step and y.step:
        return None
    return Line(x.first * y.first, x.first * y.step + x.step * y.first)


def number(x: Expr, known: Mapping[int, Sequence[int]]) -> int | None:
    """The value of an integer or bool expression; None: not known, or not in its dtype."""
    found = _value(x, known)
    if found is None or letter(x.dtype) not in "iub":
        return None
    if letter(x.dtype) == "b":
        return found
    low, high = limits(x.dtype)
    return found if low <= found <= high else None


def _value(x: Expr, known: Mapping[int, Sequence[int]]) -> int | None:
    match x:
        case Const(dtype, value):
            return int(value) if letter(dtype) in "iub" else None
        case Load(_, buffer, offset):
            values, where = known.get(id(buffer), ()), number(offset, known)
            return values[where] if where is not None and 0 <= where < len(values) else None
        case Cast(_, inner, False):
            return number(inner, known)
        case Choose(_, condition, then, other):
            chosen = number(condition, known)
            return None if chosen is None else number(then if chosen else other, known)
        case Apply(_, name, args) if name in _EXACT and letter(args[0].dtype) in "iub":
            given = [number(y, known) for y in args]
            return None if None in given else int(_EXACT[name](*given))
    return None


_EXACT: dict[str, Callable[..., int]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x: -x,
    "min": min,
    "max": max,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "and": lambda x, y: x & y,
}


# What is known after a step


def learn(step: ir.Step, known: Numbers) -> None:
    """Bring up to date what is known after a step."""
    count = counted(step, known) if isinstance(step, ir.Repeat) else None
    single = _assigned(step)
    value = None if single is None else number(single.value, known)
    for buffer in stored([step]):
        known.pop(id(buffer), None)
    if single is not None and value is not None and single.buffer.size == 1:
        known[id(single.buffer)] = (value,)
    if count is not None and isinstance(step, ir.Repeat):
        for counter in count.counters.values():
            known[id(counter.buffer)] = (counter.at(count.rounds, -1),)
        known |= _kept(step, count)


def _kept(loop: ir.Repeat, count: Count) -> Numbers:
    """The lists in which each round keeps a number that changes evenly."""
    times = _times([loop])
    found: Numbers = {}
    for place, step in enumerate(loop.body):
        store = _assigned(step)
        if store is None or times[id(store.buffer)] != 1 or store.buffer.size != count.rounds:
            continue
        where, what = count.line(store.offset, place), count.line(store.value, place)
        if where is None or what is None or abs(where.step) != 1 or not what.step:
            continue
        ends = {where.first, where.at(count.rounds - 1)}
        if ends == {0, count.rounds - 1}:
            growth = what.step * where.step
            first = what.first if where.step > 0 else what.at(count.rounds - 1)
            found[id(store.buffer)] = range(first, first + growth * count.rounds, growth)
    return found


def stored(steps: Iterable[ir.Step]) -> Iterable[ir.Buffer]:
    """The buffers that some steps write, each as often as there are stores."""
    for stage in ir.stages(steps):
        for statement in ir.statements(stage.body):
            if isinstance(statement, ir.Store):
                yield statement.buffer


def _times(steps: Iterable[ir.Step]) -> dict[int, int]:
    found: dict[int, int] = {}
    for buffer in stored(steps):
        found[id(buffer)] = found.get(id(buffer), 0) + 1
    return found


def _assigned(step: ir.Step) -> ir.Store | None:
    """The only thing that a step does, where that is to store one integer."""
    if not isinstance(step, ir.Stage) or len(step.body) != 1:
        return None
    (statement,) = step.body
    if not isinstance(statement, ir.Store):
        return None
    dtype = statement.buffer.dtype
    return statement if not dtype.is_complex and letter(dtype) in "iu" else None


# How often


def counted(loop: ir.Repeat, known: Mapping[int, Sequence[int]]) -> Count | None:
    """How often a loop runs, if that follows from known numbers."""
    counters = _counters(loop, known)
    condition = _decision(loop)
    if condition is None or not counters:
        return None
    changing = {id(buffer) for buffer in stored([loop])}
    fixed = {key: values for key, values in known.items() if key not in changing}
    rounds = _holding(condition, Count(2, counters, fixed))
    if rounds is None or number(condition, _now(rounds, fixed, counters)) != 0:
        return None
    if rounds and number(condition, _now(rounds - 1, fixed, counters)) != 1:
        return None
    return Count(rounds, counters, fixed)


def _counters(loop: ir.Repeat, known: Mapping[int, Sequence[int]]) -> dict[int, Counter]:
    times = _times([loop])
    found = {}
    for place, step in enumerate(loop.body):
        store = _assigned(step)
        if store is None or store.buffer.size != 1:
            continue
        key = id(store.buffer)
        if key not in known or times[key] != 1:
            continue
        match store.value:
            case Apply(_, "add" | "sub" as name, (Load(_, buffer), Const(_, value))) if (
                buffer is store.buffer
            ):
                growth = int(value) if name == "add" else -int(value)
                found[key] = Counter(buffer, known[key][0], growth, place)
    return found


def _decision(loop: ir.Repeat) -> Expr | None:
    """What the loop's condition is, where its head does nothing else."""
    if len(loop.head) != 1 or not isinstance(loop.head[0], ir.Stage):
        return None
    body = loop.head[0].body
    if len(body) != 1 or not isinstance(body[0], ir.Store):
        return None
    return body[0].value if body[0].buffer is loop.condition else None


_FOREVER = 1 << 62
_SIGNS = {"lt": (1, 0), "le": (1, 1), "gt": (-1, 0), "ge": (-1, 1)}


def _holding(x: Expr, count: Count) -> int | None:
    """In how many rounds, from the first on, a condition seems to hold; None: not known."""
    match x:
        case Apply(_, "and", (a, b)) if letter(x.dtype) == "b":
            found = [_holding(a, count), _holding(b, count)]
            return None if None in found else min(found)  # type: ignore[type-var]
        case Apply(_, "lt" | "le" | "gt" | "ge" as name, (a, b)):
            left, right = count.line(a, -1), count.line(b, -1)
            if left is None or right is None:
                return None
            sign, slack = _SIGNS[name]
            first = sign * (left.first - right.first) - slack
            growth = sign * (left.step - right.step)
            if first >= 0:
                return 0
            return -(first // growth) if growth > 0 else _FOREVER
    return None


def _now(
    turn: int, known: Mapping[int, Sequence[int]], counters: Mapping[int, Counter]
) -> Numbers:
    """What is known at the beginning of a round."""
    return {**known, **{key: (c.at(turn, -1),) for key, c in counters.items()}}
