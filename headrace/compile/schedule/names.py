"""Fresh loop indices, registers and buffers, whose names nothing else in a program has."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.base.dtypes import DType
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index


class Names:
    """Makes what is new in a program.

    Attributes:
        buffers: the buffers that were made.
    """

    def __init__(self, loops: ir.Loops) -> None:
        self.buffers: list[ir.Buffer] = []
        self.taken = {buffer.name for buffer in loops.buffers}
        for stage in ir.stages(loops.stages):
            for statement in ir.statements(stage.body):
                if isinstance(statement, ir.Begin):
                    self.taken.add(statement.accumulator.name)
                elif isinstance(statement, ir.For):
                    self.taken.add(statement.index.name)
        self._count = 0

    def name(self, letter: str) -> str:
        while True:
            self._count += 1
            if (found := f"{letter}{self._count}") not in self.taken:
                return found

    def index(self, extent: int, letter: str = "c") -> Index:
        return Index(ir.INDEX, self.name(letter), extent)

    def register(self, dtype: DType, letter: str = "s") -> ir.Accumulator:
        return ir.Accumulator(self.name(letter), dtype)

    def buffer(self, shape: Sequence[int], dtype: DType) -> ir.Buffer:
        self.buffers.append(ir.Buffer(self.name("p"), tuple(shape), dtype))
        return self.buffers[-1]
