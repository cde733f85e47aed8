"""Accumulators that several lanes and copies of a loop's body share.

Each lane of each copy accumulates by itself; afterwards copies and then halves of the lanes are
combined, in an order that depends on the shape alone. Read `loops/ir.py` before.
"""

from __future__ import annotations

from headrace.compile.llvm.text import Vector, constant, of_lanes, value_type
from headrace.compile.llvm.values import Emitter, Register
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import identity
from headrace.compile.loops.expr import Index, Read, const


class Reduction:
    """The registers of one update in a loop of several lanes."""

    def __init__(
        self, e: Emitter, update: ir.Update, index: Index, lanes: int, copies: int
    ) -> None:
        self.e, self.combine, self.index, self.lanes = e, update.combine, index, lanes
        self.accumulators = update.accumulators
        self.outer = [e.registers[id(a)] for a in self.accumulators]
        self.copies: list[list[Register]] = []
        for _ in range(copies):
            registers = []
            for a in self.accumulators:
                registers.append(e.register(a, lanes))
                e.set(a, constant(const(identity(self.combine, a.dtype), a.dtype)))
            self.copies.append(registers)
        e.partial |= {id(a) for a in self.accumulators}

    def use(self, copy: int) -> None:
        """Let the updates that follow go to one copy."""
        for a, register in zip(self.accumulators, self.copies[copy], strict=True):
            self.e.registers[id(a)] = register

    def finish(self) -> None:
        """Combine everything into the accumulators of outside."""
        e = self.e
        e.partial -= {id(a) for a in self.accumulators}
        values = self._together([[e.load(r, a) for r, a in self._of(c)] for c in self.copies])
        lanes = self.lanes
        while lanes > 1:
            half = lanes // 2
            sides = [
                [self._part(v, a, lanes, k * half, half) for v, a in self._with(values)]
                for k in range(2)
            ]
            lanes = half
            values = self._merged(sides[0], sides[1], lanes)
        before = [e.load(r, a) for r, a in zip(self.outer, self.accumulators, strict=True)]
        values = self._merged(before, values, 1)
        for a, register, value in zip(self.accumulators, self.outer, values, strict=True):
            e.registers[id(a)] = register
            e.set(a, value)

    def _of(self, copy: list[Register]) -> list[tuple[Register, ir.Accumulator]]:
        return list(zip(copy, self.accumulators, strict=True))

    def _with(self, values: list[str]) -> list[tuple[str, ir.Accumulator]]:
        return list(zip(values, self.accumulators, strict=True))

    def _together(self, parts: list[list[str]]) -> list[str]:
        """Neighbours first, so that the order is a tree."""
        while len(parts) > 1:
            pairs = [
                self._merged(parts[k], parts[k + 1], self.lanes)
                for k in range(0, len(parts) - 1, 2)
            ]
            parts = pairs + parts[len(pairs) * 2 :]
        return parts[0]

    def _part(self, value: str, a: ir.Accumulator, lanes: int, start: int, count: int) -> str:
        """Some neighbouring lanes of a vector."""
        kind = value_type(a.dtype)
        whole = of_lanes(kind, lanes)
        if count == 1:
            return self.e.line(f"extractelement {whole} {value}, i64 {start}")
        chosen = ", ".join(f"i32 {start + k}" for k in range(count))
        mask = f"<{count} x i32> <{chosen}>"
        return self.e.line(f"shufflevector {whole} {value}, {whole} poison, {mask}", True)

    def _merged(self, old: list[str], new: list[str], lanes: int) -> list[str]:
        """Two sets of accumulators as one."""
        e = self.e
        e.vectorise(self.index if lanes > 1 else None, lanes)
        a = [self._held(v, x, lanes) for v, x in self._with(old)]
        b = [self._held(v, x, lanes) for v, x in self._with(new)]
        combined = ir.COMBINE[self.combine](tuple(a), tuple(b))
        e.statement()
        found = [e.either(x) for x in combined]
        e.hold(*a, *b, *combined)
        return found

    def _held(self, value: str, a: ir.Accumulator, lanes: int) -> Read:
        """An expression that stands for an emitted value."""
        held = ir.Accumulator(f"{a.name}'", a.dtype)
        self.e.hold(held)
        self.e.register(held, lanes)
        self.e.set(held, Vector(value) if lanes > 1 else value)
        return Read(a.dtype, held)
