"""Where the temporaries of a program lie: one arena, its memory used again where one ends.

Steps are numbered in the order in which they stand, and a temporary lives from the first that
touches it to the last. In a repeat it lives through all rounds, unless each round writes it
whole before anything reads it, and nothing outside touches it. Two that live at one time never
overlap; large ones are placed first, each as low as it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Load
from headrace.compile.schedule.accesses import accesses, visited

ALIGNED = 64
Span = tuple[int, int]
"""The numbers of the first and the last step of something."""


@dataclass(frozen=True, slots=True)
class Arena:
    """`places`: the offset of each temporary; `size`: bytes in all."""

    places: tuple[int, ...]
    size: int


class _Touch(NamedTuple):
    """A step that touches a buffer; `whole`: it writes all of it."""

    number: int
    whole: bool


@dataclass
class _Order:
    """The steps of a program, numbered."""

    count: int = 0
    touches: dict[int, list[_Touch]] = field(default_factory=dict)
    repeats: list[Span] = field(default_factory=list)
    sides: list[Span] = field(default_factory=list)

    def touch(self, buffers: Iterable[int], whole: Iterable[int] = ()) -> None:
        """Number a step that touches some buffers."""
        written = set(whole)
        for key in buffers:
            self.touches.setdefault(key, []).append(_Touch(self.count, key in written))
        self.count += 1

    def steps(self, steps: ir.Steps) -> Span:
        first = self.count
        for step in steps:
            match step:
                case ir.Repeat(head, condition, body):
                    begin, _ = self.steps(head)
                    self.touch([id(condition)])
                    self.steps(body)
                    self.repeats.append((begin, self.count - 1))
                case ir.Branch(index, sides):
                    self.touch([id(index)])
                    self.sides += [self.steps(side) for side in sides]
                case _:
                    found = {*accesses(step.body).buffers, *(id(b) for b in step.copies)}
                    self.touch(found, _whole(step.body, 1))
        return first, self.count - 1

    def life(self, key: int) -> Span | None:
        """From where to where a buffer lives; inner repeats stand before outer ones."""
        touches = self.touches.get(key)
        if touches is None:
            return None
        first, last = touches[0].number, touches[-1].number
        fresh = touches[0].whole and not any(
            _inside(first, side) and not _inside(last, side) for side in self.sides
        )
        for repeat in self.repeats:
            meets = any(_inside(t.number, repeat) for t in touches)
            local = fresh and _inside(touches[0].number, repeat) and _inside(last, repeat)
            if meets and not local:
                first, last = min(first, repeat[0]), max(last, repeat[1])
        return first, last


def _inside(number: int, span: Span) -> bool:
    return span[0] <= number <= span[1]


def _whole(body: Sequence[ir.Statement], rounds: int) -> list[int]:
    """The buffers of which statements certainly write every element."""
    found = []
    for statement in body:
        match statement:
            case ir.For(index, inner):
                found += _whole(inner, rounds * index.extent)
            case ir.Store(buffer, offset) if rounds == buffer.size:
                if not any(isinstance(x, Load) for x in visited((offset,))):
                    found.append(id(buffer))
    return found


def arena(loops: ir.Loops) -> Arena:
    """A place for each temporary of a program."""
    order = _Order()
    order.steps(loops.stages)
    places: dict[int, int] = {}
    placed: list[tuple[Span, Span]] = []  # lives, and the bytes from and to
    for buffer in sorted(loops.temporaries, key=_bytes, reverse=True):
        life, size = order.life(id(buffer)), _bytes(buffer)
        if life is None or not size:
            places[id(buffer)] = 0
            continue
        taken = [memory for other, memory in placed if _overlap(life, other)]
        start = places[id(buffer)] = _lowest(sorted(taken), size)
        placed.append((life, (start, start + size)))
    size = max([end for _, (_, end) in placed], default=0)
    return Arena(tuple([places[id(b)] for b in loops.temporaries]), size)


def _bytes(buffer: ir.Buffer) -> int:
    size = buffer.size * buffer.dtype.size
    return -(-size // ALIGNED) * ALIGNED


def _overlap(a: Span, b: Span) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]


def _lowest(taken: Iterable[Span], size: int) -> int:
    """The lowest offset at which `size` bytes are free."""
    start = 0
    for low, high in taken:
        if start + size <= low:
            break
        start = max(start, high)
    return start
