"""Lanes in groups: what is the same in neighbouring lanes is computed once and then repeated.

A block of random bits, say, gives four numbers, so that lanes 0 to 3 come from block i // 4,
and 4 to 7 from the next one. While such an expression is written, the emitter has a quarter of
the lanes, and `group` says for how many each stands. What only depends on the place within a
group, like i % 4, is a constant. Read `values.py` before.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.compile.llvm.text import Vector, of_lanes, value_type
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import Apply, Cast, Choose, Const, Expr, Index

if TYPE_CHECKING:
    from headrace.compile.llvm.values import Emitter

Pattern = tuple[int, ...]

_KNOWN: dict[str, Callable[[Any, Any], Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "floordiv")},
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "floormod": operator.mod,
}
_DIVISIONS = ("floordiv", "floormod", "truncdiv", "truncmod")


def blocks(x: Expr, index: Index, lanes: int) -> int:
    """For how many neighbouring steps of a loop a quotient is the same, the first of them the
    first of so many lanes; 1 for what is no such quotient."""
    if not (isinstance(x, Apply) and x.name == "floordiv" and _aligned(x, index, lanes)):
        return 1
    return _power(int(x.args[1].value), lanes)  # type: ignore[attr-defined]


def _aligned(x: Apply, index: Index, lanes: int) -> bool:
    """Whether lane k has the place k after a multiple of the divisor."""
    divisor = x.args[1]
    if not isinstance(divisor, Const) or divisor.value < 2 or lanes % divisor.value:
        return False
    place = affine(x.args[0])
    others = [f for key, f in place.terms.items() if key != id(index)]
    even = all(number % divisor.value == 0 for number in (place.constant, *others))
    return even and place.factor(index) == 1


def _power(number: int, lanes: int) -> int:
    """The greatest power of two that divides a number and leaves two lanes."""
    return min(number & -number, lanes // 2)


class Repeats:
    """What is known about the expressions of a vector loop.

    Args:
        lanes: of the loop; the emitter's are fewer where it writes groups.
    """

    def __init__(self, e: Emitter, index: Index, lanes: int) -> None:
        self.e, self.index, self.lanes = e, index, lanes
        self._groups: dict[int, int] = {}
        self._patterns: dict[int, Pattern | None] = {}

    def value(self, x: Expr) -> Vector | None:
        """The operand that holds `x` if it is constant, or best computed for groups."""
        e = self.e
        pattern = self.pattern(x)
        if pattern is not None:
            kind = value_type(x.dtype)
            numbers = ", ".join(f"{kind} {int(k)}" for k in pattern[:: e.group])
            return Vector(f"<{numbers}>")
        if e.guard is None and self.groups(x) > e.group:  # a guard is one of all lanes
            return self._repeated(x)
        return self._quotient(x) if e.group > 1 else None

    def _repeated(self, x: Expr) -> Vector:
        e = self.e
        before, group = (e.lanes, e.group), self.groups(x)
        e.lanes, e.group = self.lanes // group, group
        few = e.widened(e.wide(x), value_type(x.dtype))
        given = of_lanes(value_type(x.dtype), e.lanes)
        e.lanes, e.group = before
        places = ", ".join(f"i32 {k * e.group // group}" for k in range(e.lanes))
        mask = f"<{e.lanes} x i32> <{places}>"
        return Vector(e.line(f"shufflevector {given} {few}, {given} poison, {mask}", True))

    def _quotient(self, x: Expr) -> Vector | None:
        """A quotient in groups: that of the first lane, and how much later ones are greater."""
        e = self.e
        if blocks(x, self.index, self.lanes) < e.group:
            return None
        assert isinstance(x, Apply) and isinstance(x.args[1], Const)
        kind = value_type(x.dtype)
        first = e.widened(e.scalar(x), kind)
        steps = [k // int(x.args[1].value) for k in range(0, self.lanes, e.group)]
        numbers = ", ".join(f"{kind} {k}" for k in steps)
        return Vector(e.line(f"add {of_lanes(kind, e.lanes)} {first}, <{numbers}>", True))

    def groups(self, x: Expr) -> int:
        """How many neighbouring lanes are sure to have the same."""
        if not self.e.depends(x):
            return self.lanes
        known = self._groups.get(id(x))
        if known is None:
            known = self._groups[id(x)] = self._found(x)
        return known

    def _found(self, x: Expr) -> int:
        pattern = self.pattern(x)
        if pattern is not None:
            size = self.lanes // 2
            while any(pattern[k] != pattern[k - k % size] for k in range(self.lanes)):
                size //= 2
            return size
        own = blocks(x, self.index, self.lanes)
        if own > 1:
            return own
        match x:
            case Apply(_, name, args) if name not in _DIVISIONS or isinstance(args[1], Const):
                return min(self.groups(y) for y in args)
            case Cast(_, y):
                return self.groups(y)
            case Choose(_, condition, then, other, False):
                return min(self.groups(y) for y in (condition, then, other))
        return 1

    def pattern(self, x: Expr) -> Pattern | None:
        """The values of all lanes, where they are the same in each turn of the loop."""
        if not isinstance(x, Apply) or len(x.args) != 2:
            return None
        if id(x) not in self._patterns:
            self._patterns[id(x)] = self._constant(x)
        return self._patterns[id(x)]

    def _constant(self, x: Apply) -> Pattern | None:
        a, b = x.args
        if x.name not in _KNOWN or not isinstance(b, Const) or not a.dtype.is_integer:
            return None
        if x.name == "floormod" and _aligned(x, self.index, self.lanes):
            return tuple([k % int(b.value) for k in range(self.lanes)])
        given = self.pattern(a)
        if given is None or (x.name in _DIVISIONS and b.value < 1):
            return None
        return tuple([_KNOWN[x.name](k, b.value) for k in given])
