"""LLVM text of expressions, for one element or for several side by side.

An `Emitter` writes one function. Its frames are the loops and branches that are open: what
does not change in a loop is written in the frame outside it. In a vector loop an expression
that depends on the loop's index is a vector of `lanes` values, and everything else stays scalar
until it meets one; an offset is always the scalar offset of the first lane.
bool is i1 in registers and a byte in memory; the 16-bit floats are i16 until they are widened.
Read `loops/expr.py` before, `arithmetic.py` (operations) and `emit.py` (statements) after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headrace.base.dtypes import DType
from headrace.compile.llvm import arithmetic, memory
from headrace.compile.llvm.repeats import Repeats
from headrace.compile.llvm.text import (
    Vector,
    constant,
    of_lanes,
    splat_literal,
    value_type,
)
from headrace.compile.loops import ir
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Const,
    Expr,
    Index,
    Load,
    Read,
    operands,
)


class Frame:
    """The body of a loop or branch: its lines, its open block, and what is computed in it.

    `seen` holds for the whole frame; `fleeting` is what was read of accumulators and of memory
    that changes, and holds for one statement.
    """

    def __init__(self, block: str) -> None:
        self.block = block
        self.lines: list[str] = []
        self.seen: dict[tuple[int, int], str] = {}
        self.fleeting: dict[tuple[int, int], str] = {}
        self.pairs: dict[tuple[int, int], str] = {}
        self.splats: dict[str, Vector] = {}


class Register(NamedTuple):
    """Where an accumulator lives: a stack slot, which LLVM turns into a register."""

    place: str
    lanes: int


class Emitter:
    """Lines of one LLVM function, and what it declares.

    `given` are the buffers whose addresses are arguments; local ones are the function's own.
    All are named by their number among `used`: what the same code does with other buffers has
    the same text.
    `lanes` are those that are written now; in a group, each stands for `group` of the loop's.
    `trips` says how often what is written now will run in one call; `rest`, how many lanes
    count where `tail` masks the others; `blocks`, where turned columns lie, and the index of
    the loop over them, by the ids of buffer and offset (see `turned.py`).
    """

    def __init__(self, used: Sequence[ir.Buffer], constant_buffers: set[int]) -> None:
        self.buffers = {id(b): f"%b{k}" for k, b in enumerate(used)}
        self.given = {id(b): self.buffers[id(b)] for b in used if not b.local}
        self.constant_buffers = constant_buffers
        self.declarations: dict[str, str] = {}
        self.allocations = [
            f"  {self.buffers[id(b)]} = alloca [{b.size * b.dtype.np.itemsize} x i8], align 64"
            for b in used
            if b.local
        ]
        self.frames = [Frame("entry")]
        self.levels: dict[int, int] = {}
        self.indices: dict[int, str] = {}
        self.registers: dict[int, Register] = {}
        self.trips = 1
        self.lanes = self.group = 1
        self.vector: Index | None = None
        self.repeats: Repeats | None = None
        self.tail: Vector | None = None
        self.rest = 0
        self.guard: Vector | None = None
        self.partial: set[int] = set()
        self.blocks: dict[tuple[int, int], tuple[str, Index]] = {}
        self.conditional = 0
        self.defined: dict[str, int] = {}
        self._depends: dict[int, bool] = {}
        self._level: dict[int, int] = {}
        self._changes: dict[int, bool] = {}
        self._held: list[object] = []
        self._count = 0

    # Lines and blocks

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def name(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def label(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def line(self, text: str, wide: bool = False) -> str:
        """One instruction that has a result; gives the result's name."""
        name = self.name()
        level = len(self.frames) - 1
        self.frames[level].lines.append(f"  {name} = {text}")
        self.defined[name] = level
        return Vector(name) if wide else name

    def effect(self, text: str) -> None:
        """One instruction without a result."""
        self.frame.lines.append(f"  {text}")

    def start(self, label: str) -> None:
        self.frame.lines.append(f"{label}:")
        self.frame.block = label

    def jump(self, label: str) -> None:
        self.effect(f"br label %{label}")

    def branch(self, condition: str, then: str, other: str) -> None:
        self.effect(f"br i1 {condition}, label %{then}, label %{other}")

    def call(
        self, declared: tuple[str, str], result: str, arguments: str, wide: bool = False
    ) -> str:
        symbol, declaration = declared
        self.declarations[symbol] = declaration
        return self.line(f"call {result} {symbol}({arguments})", wide)

    # Scalars and vectors

    def type(self, dtype: DType, wide: bool) -> str:
        return of_lanes(value_type(dtype), self.lanes) if wide else value_type(dtype)

    def widened(self, value: str, kind: str) -> Vector:
        """A scalar of LLVM type `kind` in all lanes."""
        if isinstance(value, Vector):
            return value
        if not value.startswith("%"):
            return splat_literal(kind, value)
        level = self.defined.get(value, len(self.frames) - 1)
        frame = self.frames[level]
        key = f"{kind} {value} {self.lanes}"
        if key not in frame.splats:
            whole, inner = of_lanes(kind, self.lanes), self.frames[level + 1 :]
            del self.frames[level + 1 :]
            one = self.line(f"insertelement {whole} poison, {kind} {value}, i64 0")
            mask = f"<{self.lanes} x i32> zeroinitializer"
            found = self.line(f"shufflevector {whole} {one}, {whole} poison, {mask}", True)
            self.frames += inner
            frame.splats[key] = Vector(found)
        return frame.splats[key]

    def mask(self) -> Vector | None:
        """Which lanes count here; None where all do."""
        if self.tail is None or self.guard is None:
            return self.guard if self.tail is None else self.tail
        kind = of_lanes("i1", self.lanes)
        return Vector(self.line(f"and {kind} {self.tail}, {self.guard}", True))

    def depends(self, x: Expr) -> bool:
        """Whether `x` differs between lanes."""
        if self.vector is None:
            return False
        key = id(x)
        known = self._depends.get(key)
        if known is None:
            if isinstance(x, Read):
                known = self.registers[id(x.accumulator)].lanes > 1
            else:
                known = x is self.vector or any(self.depends(y) for y in operands(x))
            self._depends[key] = known
        return known

    def vectorise(self, index: Index | None, lanes: int) -> None:
        """From now on `index` runs in steps of `lanes`."""
        self.vector, self.lanes = index, lanes
        self.repeats = Repeats(self, index, lanes) if index is not None and lanes > 2 else None
        self._depends = {}

    # Frames of expressions

    def level(self, x: Expr) -> int:
        """The outermost frame in which `x` can be computed."""
        match x:
            case Const():
                return 0
            case Index():
                return self.levels[id(x)]
            case Read():
                return len(self.frames) - 1
            case Load():
                if id(x.buffer) not in self.constant_buffers or self.conditional:
                    return len(self.frames) - 1
            case Choose(lazy=True):
                return len(self.frames) - 1
            case Apply(name="floordiv" | "floormod" | "truncdiv" | "truncmod"):
                if self.conditional and not isinstance(x.args[1], Const):
                    return len(self.frames) - 1
        known = self._level.get(id(x))
        if known is None:
            known = max((self.level(y) for y in operands(x)), default=0)
            self._level[id(x)] = known
        return known

    def push(self, block: str) -> Frame:
        """Open a frame."""
        frame = Frame(block)
        self.frames.append(frame)
        self._level = {}
        return frame

    def pop(self) -> Frame:
        """Close the innermost frame."""
        self._level = {}
        return self.frames.pop()

    # Memory

    def loads_from(self, buffer: ir.Buffer, x: Expr) -> bool:
        """Whether an expression reads a buffer."""
        if isinstance(x, Load) and x.buffer is buffer:
            return True
        return any(self.loads_from(buffer, y) for y in operands(x))

    def where(self, mask: Vector, value: str, other: str, kind: str) -> str:
        """`value` in the lanes of a mask, else `other`."""
        whole, bools = of_lanes(kind, self.lanes), of_lanes("i1", self.lanes)
        value, other = self.widened(value, kind), self.widened(other, kind)
        return self.line(f"select {bools} {mask}, {whole} {value}, {whole} {other}", True)

    # Accumulators

    def hold(self, *things: object) -> None:
        """Keep objects alive whose ids are keys here."""
        self._held += things

    def register(self, accumulator: ir.Accumulator, lanes: int) -> Register:
        """A fresh place for an accumulator."""
        found = Register(self.name(), lanes)
        self.registers[id(accumulator)] = found
        kind = value_type(accumulator.dtype)
        whole = of_lanes(kind, lanes) if lanes > 1 else kind
        self.allocations.append(f"  {found.place} = alloca {whole}")
        return found

    def set(self, accumulator: ir.Accumulator, value: str) -> None:
        """Give an accumulator a value."""
        register = self.registers[id(accumulator)]
        kind = value_type(accumulator.dtype)
        if register.lanes > 1:
            value, kind = self.widened(value, kind), of_lanes(kind, register.lanes)
        self.effect(f"store {kind} {value}, ptr {register.place}")

    def read(self, accumulator: ir.Accumulator) -> str:
        """The present value of an accumulator."""
        return self.load(self.registers[id(accumulator)], accumulator)

    def load(self, register: Register, accumulator: ir.Accumulator) -> str:
        """The present value in one of an accumulator's places."""
        kind = value_type(accumulator.dtype)
        if register.lanes > 1:
            return self.line(
                f"load {of_lanes(kind, register.lanes)}, ptr {register.place}", True
            )
        return self.line(f"load {kind}, ptr {register.place}")

    # Expressions

    def scalar(self, x: Expr) -> str:
        """The operand that holds `x`, of the first lane."""
        return self._value(x, False)

    def wide(self, x: Expr) -> str:
        """The operand that holds `x`: a vector if the lanes differ, else a scalar."""
        return self._value(x, self.depends(x))

    def either(self, x: Expr) -> str:
        """`wide` in a vector loop, else `scalar`."""
        return self.scalar(x) if self.vector is None else self.wide(x)

    def statement(self) -> None:
        """A new statement: accumulators and memory may have changed."""
        for frame in self.frames:
            frame.fleeting.clear()
            frame.pairs.clear()

    def _fleeting(self, x: Expr) -> bool:
        known = self._changes.get(id(x))
        if known is None:
            if isinstance(x, Load) and id(x.buffer) not in self.constant_buffers:
                known = True
            else:
                known = isinstance(x, Read) or any(self._fleeting(y) for y in operands(x))
            self._changes[id(x)] = known
        return known

    def _value(self, x: Expr, wide: bool) -> str:
        if isinstance(x, Const):
            return constant(x)
        key, fleeting = (id(x), self.lanes if wide else 0), self._fleeting(x)
        for frame in self.frames:
            found = (frame.fleeting if fleeting else frame.seen).get(key)
            if found is not None:
                return found
        level = self.level(x)
        inner = self.frames[level + 1 :]
        del self.frames[level + 1 :]
        found = self._compute(x, wide)
        frame = self.frame
        self.frames += inner
        (frame.fleeting if fleeting else frame.seen)[key] = found
        return found

    def _compute(self, x: Expr, wide: bool) -> str:
        if wide and self.repeats is not None:
            found = self.repeats.value(x)
            if found is not None:
                return found
        match x:
            case Index():
                return self._lane_index() if wide else self.indices[id(x)]
            case Read():
                return self.read(x.accumulator)
            case Load():
                return memory.load(self, x)
            case Apply():
                args = [self._operand(y, wide) for y in x.args]
                return arithmetic.operation(self, x, args, wide)
            case Cast():
                return arithmetic.conversion(self, x, self._operand(x.x, wide), wide)
            case Choose():
                return self._choose(x, wide)
        raise TypeError(x)

    def _operand(self, x: Expr, wide: bool) -> str:
        """An operand of a vector operation is a vector."""
        if not wide:
            return self.scalar(x)
        return self.widened(self.wide(x), value_type(x.dtype))

    def _lane_index(self) -> str:
        assert self.vector is not None
        kind = of_lanes("i64", self.lanes)
        first = self.widened(self.indices[id(self.vector)], "i64")
        steps = ", ".join(f"i64 {k}" for k in range(self.lanes))
        return self.line(f"add nuw nsw {kind} {first}, <{steps}>", True)

    def _choose(self, x: Choose, wide: bool) -> str:
        kind = self.type(x.dtype, wide)
        if wide and (not x.lazy or self.depends(x.condition)):
            return self._choose_lanes(x, kind)
        condition = self.scalar(x.condition)
        if not x.lazy:
            then, other = self.scalar(x.then), self.scalar(x.other)
            return self.line(f"select i1 {condition}, {kind} {then}, {kind} {other}")
        labels = self.label("then"), self.label("else"), self.label("both")
        ends, texts = [], []
        for label, side in zip(labels, (x.then, x.other), strict=False):
            frame = self.push(label)
            self.conditional += 1
            value = self._operand(side, wide)
            self.conditional -= 1
            ends.append(f"[ {value}, %{frame.block} ]")
            self.jump(labels[2])
            self.pop()
            texts += [f"{label}:", *frame.lines]
        self.branch(condition, labels[0], labels[1])
        self.frame.lines += texts
        self.start(labels[2])
        return self.line(f"phi {kind} {', '.join(ends)}", wide)

    def _choose_lanes(self, x: Choose, kind: str) -> str:
        condition = self.wide(x.condition)
        sides = []
        bools = of_lanes("i1", self.lanes)
        for side in (x.then, x.other):
            if not x.lazy:
                sides.append(self._operand(side, True))
                continue
            before, flipped = self.guard, side is x.other
            mine = self.widened(condition, "i1")
            if flipped:
                true = splat_literal("i1", "true")
                mine = Vector(self.line(f"xor {bools} {mine}, {true}", True))
            if before is not None:
                mine = Vector(self.line(f"and {bools} {mine}, {before}", True))
            frame = self.push(self.frame.block)
            self.guard, self.conditional = mine, self.conditional + 1
            sides.append(self._operand(side, True))
            self.guard, self.conditional = before, self.conditional - 1
            self.pop()
            self.frame.lines += frame.lines
            self.frame.block = frame.block
        which = f"{bools} {condition}" if isinstance(condition, Vector) else f"i1 {condition}"
        return self.line(f"select {which}, {kind} {sides[0]}, {kind} {sides[1]}", True)
