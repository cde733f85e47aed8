"""Loops of a program whose rounds can be counted before they run.

A counter is a number in memory that begins with a known value and grows by the same in each
round. Where the condition compares such numbers with known ones, the number of rounds follows.
Read `loops/ir.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Apply, Cast, Choose, Const, Expr, Load
from headrace.compile.loops.operations import letter, limits

Numbers: TypeAlias = dict[int, int]
"""What is known to lie in buffers of one integer, by the buffer's id."""


class Counter(NamedTuple):
    """A number: `first` in round 0, and it changes by `step` in step `place` of the body."""

    buffer: ir.Buffer
    first: int
    step: int
    place: int

    def at(self, turn: int, place: int) -> int:
        """Its value in some round, as the step `place` of the body finds it."""
        return self.first + self.step * (turn + (place > self.place))


class Count(NamedTuple):
    """How often a loop runs, and its counters by the id of their buffers."""

    rounds: int
    counters: dict[int, Counter]


def number(x: Expr, known: Mapping[int, int]) -> int | None:
    """The value of an integer or bool expression; None: not known, or not in its dtype."""
    found = _value(x, known)
    if found is None or letter(x.dtype) not in "iub":
        return None
    if letter(x.dtype) == "b":
        return found
    low, high = limits(x.dtype)
    return found if low <= found <= high else None


def _value(x: Expr, known: Mapping[int, int]) -> int | None:
    match x:
        case Const(dtype, value):
            return int(value) if letter(dtype) in "iub" else None
        case Load(_, buffer):
            return known.get(id(buffer))
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


def learn(step: ir.Step, known: Numbers) -> None:
    """Bring up to date what is known after a step."""
    count = counted(step, known) if isinstance(step, ir.Repeat) else None
    single = _assigned(step)
    value = None if single is None else number(single.value, known)
    for buffer in stored([step]):
        known.pop(id(buffer), None)
    if single is not None and value is not None:
        known[id(single.buffer)] = value
    if count is not None:
        for counter in count.counters.values():
            known[id(counter.buffer)] = counter.at(count.rounds, -1)


def stored(steps: Iterable[ir.Step]) -> Iterable[ir.Buffer]:
    """The buffers that some steps write."""
    for stage in ir.stages(steps):
        for statement in ir.statements(stage.body):
            if isinstance(statement, ir.Store):
                yield statement.buffer


def _assigned(step: ir.Step) -> ir.Store | None:
    """The only thing that a step does, where that is to store one integer."""
    if not isinstance(step, ir.Stage) or len(step.body) != 1:
        return None
    (statement,) = step.body
    if not isinstance(statement, ir.Store) or statement.buffer.size != 1:
        return None
    dtype = statement.buffer.dtype
    plain = not dtype.is_complex and letter(dtype) in "iu"
    return statement if plain and isinstance(statement.offset, Const) else None


def counted(loop: ir.Repeat, known: Mapping[int, int]) -> Count | None:
    """How often a loop runs, if that follows from known numbers."""
    counters = _counters(loop, known)
    changing = {id(buffer) for buffer in stored([loop])} - counters.keys()
    fixed = {key: value for key, value in known.items() if key not in changing}
    condition = _decision(loop)
    if condition is None or not counters:
        return None
    rounds = _holding(condition, fixed, counters)
    if rounds is None or number(condition, _now(rounds, fixed, counters)) != 0:
        return None
    if rounds and number(condition, _now(rounds - 1, fixed, counters)) != 1:
        return None
    return Count(rounds, counters)


def _counters(loop: ir.Repeat, known: Mapping[int, int]) -> dict[int, Counter]:
    touched: dict[int, int] = {}
    for buffer in stored([loop]):
        touched[id(buffer)] = touched.get(id(buffer), 0) + 1
    found = {}
    for place, step in enumerate(loop.body):
        store = _assigned(step)
        if store is None:
            continue
        key = id(store.buffer)
        if key not in known or touched[key] != 1:
            continue
        match store.value:
            case Apply(_, "add" | "sub" as name, (Load(_, buffer), Const(_, value))) if (
                buffer is store.buffer
            ):
                step_ = int(value) if name == "add" else -int(value)
                found[key] = Counter(buffer, known[key], step_, place)
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


def _holding(x: Expr, known: Mapping[int, int], counters: Mapping[int, Counter]) -> int | None:
    """In how many rounds, from the first on, a condition seems to hold; None: not known."""
    match x:
        case Apply(_, "and", (a, b)) if letter(x.dtype) == "b":
            found = [_holding(a, known, counters), _holding(b, known, counters)]
            return None if None in found else min(found)  # type: ignore[type-var]
        case Apply(_, "lt" | "le" | "gt" | "ge" as name, (a, b)) if _linear(a) and _linear(b):
            sign, slack = _SIGNS[name]
            ends = [_gap(a, b, turn, known, counters) for turn in (0, 1)]
            if None in ends:
                return None
            first, second = (sign * end - slack for end in ends)  # type: ignore[operator]
            if first >= 0:
                return 0
            return -(first // (second - first)) if second > first else _FOREVER
    return None


def _gap(
    a: Expr, b: Expr, turn: int, known: Mapping[int, int], counters: Mapping[int, Counter]
) -> int | None:
    """a - b at the beginning of a round."""
    now = _now(turn, known, counters)
    x, y = number(a, now), number(b, now)
    return None if x is None or y is None else x - y


def _now(turn: int, known: Mapping[int, int], counters: Mapping[int, Counter]) -> Numbers:
    """What is known at the beginning of a round."""
    return {**known, **{key: c.at(turn, -1) for key, c in counters.items()}}


def _linear(x: Expr) -> bool:
    """Whether an expression changes by the same in each round."""
    match x:
        case Const() | Load():
            return True
        case Cast(_, inner, False):
            return letter(inner.dtype) in "iu" and _linear(inner)
        case Apply(_, "add" | "sub" | "neg", args):
            return all(_linear(y) for y in args)
        case Apply(_, "mul", (a, Const())) | Apply(_, "mul", (Const(), a)):
            return _linear(a)
    return False
