"""A stage that runs as matrix products: calls of kernels, in loops over its steps.

A shared product is cut into parts of rows, columns or steps, which threads take one after the
other; each element is computed by one thread, in the same way wherever the cuts are. Read
`loops/product.py`, `microkernel.py` and `blocking.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headrace.compile.llvm import blocking
from headrace.compile.llvm.blocking import Extent
from headrace.compile.llvm.microkernel import LINE, Kernels, Shape
from headrace.compile.llvm.text import value_type
from headrace.compile.llvm.values import Emitter
from headrace.compile.loops import ir
from headrace.compile.loops.product import Matrix, Product, Tail

TAIL = 4096
"""About so many elements of the output are finished before the tail runs over them."""
NEAR = 1 << 17
"""Bytes of `a` that stay near while all panels of a small `b` meet them."""
Write = Callable[[Sequence[ir.Statement], Emitter], None]


class Piece(NamedTuple):
    """A function of some parts of a product: what it is called, how many parts there are, and
    what holds it; it takes the buffers and `%part`."""

    name: str
    parts: int
    e: Emitter


def emit(
    x: Product, make: Callable[[], Emitter], kernels: Kernels, write: Write
) -> list[Piece]:
    """The functions of a product, in the order in which they run; `make` gives emitters for
    them, `write` writes statements."""
    found = []
    if x.once:
        e = make()
        found.append(Piece("pack", _Site(x, e, kernels, write).pack(), e))
    e = make()
    _Site(x, e, kernels, write).write()
    return [*found, Piece("product", x.parts, e)]


class _Site:
    """One product of a program; `%part` is the part that is to be computed."""

    def __init__(self, x: Product, e: Emitter, kernels: Kernels, write: Write) -> None:
        self.x, self.e, self.kernels, self.statements = x, e, kernels, write
        self.dtype = x.output.buffer.dtype
        self.kind = value_type(self.dtype)
        self.shape = Shape(*x.tile)
        self.extents = {"rows": str(x.m), "columns": str(x.n)}
        self.first = {"rows": "0", "columns": "0"}

    def pack(self) -> int:
        """Bring a part of `b` into panels, before anything else; gives how many there are."""
        parts, k = -(-self.x.k // blocking.CHUNK), str(self.x.k)
        first, end = "0", k
        if parts > 1:
            first = self._times("%part", blocking.CHUNK)
            end = self._least(self.e.line(f"add i64 {first}, {blocking.CHUNK}"), self.x.k)
        self._fill(self._start(self.x.b), str(self.x.n), self._copies(), first, end)
        return parts

    def write(self) -> None:
        """Compute a part."""
        x = self.x
        places = [self._start(m) for m in (x.output, x.a, x.b)]
        if x.shared in self.extents:
            whole = x.m if x.shared == "rows" else x.n
            first = self.first[x.shared] = self._times("%part", x.size)
            self.extents[x.shared] = self._rest(str(whole), first, x.size, whole % x.size == 0)
            moves = (x.output, x.a if x.shared == "rows" else x.b)
            for k, matrix in enumerate(moves):
                at = 0 if not k else 1 if x.shared == "rows" else 2
                stride = matrix.rows if x.shared == "rows" else matrix.columns
                places[at] = self._at(places[at], first, stride)
        self._step(0, places, [])

    def _copies(self) -> str:
        """Where this part's packed operands lie."""
        assert self.x.copies is not None
        base = self.e.buffers[id(self.x.copies)]
        if self.x.parts > 1 and not self.x.once:
            base = self._at(base, "%part", self.x.copies.size // self.x.parts)
        address = self.e.line(f"ptrtoint ptr {base} to i64")
        up = self.e.line(f"sub i64 0, {address}")
        return self._bytes(base, self.e.line(f"and i64 {up}, {LINE - 1}"))

    def _bytes(self, base: str, count: str) -> str:
        return self.e.line(f"getelementptr i8, ptr {base}, i64 {count}")

    def _start(self, matrix: Matrix) -> str:
        base = self.e.buffers[id(matrix.buffer)]
        return self._at(base, self.e.scalar(matrix.offset), 1)

    def _times(self, count: str, factor: int) -> str:
        if count.isdigit():
            return str(int(count) * factor)
        return count if factor == 1 else self.e.line(f"mul nsw i64 {count}, {factor}")

    def _at(self, base: str, count: str, stride: int) -> str:
        """The address that lies `count` * `stride` elements after `base`."""
        offset = self._times(count, stride) if stride else "0"
        if offset == "0":
            return base
        return self.e.line(f"getelementptr {self.kind}, ptr {base}, i64 {offset}")

    def _least(self, x: str, y: int) -> str:
        symbol = "@llvm.smin.i64"
        declared = (symbol, f"declare i64 {symbol}(i64, i64)")
        return self.e.call(declared, "i64", f"i64 {x}, i64 {y}")

    def _rest(self, until: str, first: str, step: int, even: bool) -> str:
        """How many of the next `step` there are; `even`: all of them, always."""
        if even:
            return str(step)
        if until.isdigit() and int(until) <= step:
            return until
        rest = until if first == "0" else self.e.line(f"sub i64 {until}, {first}")
        return self._least(rest, step)

    def _step(self, depth: int, places: list[str], again: list[str]) -> None:
        """The loops over the steps from `depth` on; `again`: indices that add to the output."""
        x = self.x
        if depth == len(x.steps):
            self._one(places, again)
            return
        strides = [m.steps[depth] for m in (x.output, x.a, x.b)]

        def inside(index: str) -> None:
            moved = [self._at(p, index, s) for p, s in zip(places, strides, strict=True)]
            self._step(depth + 1, moved, again if strides[0] else [*again, index])

        if depth == 0 and x.shared == "steps":
            first, whole = self._times("%part", x.size), x.steps[0]
            count = self._rest(str(whole), first, x.size, whole % x.size == 0)
            self._loop(count, 1, lambda k: inside(self._plus(first, k)))
        else:
            self._loop(str(x.steps[depth]), 1, inside)

    def _plus(self, x: str, y: str) -> str:
        if "0" in (x, y):
            return y if x == "0" else x
        return self.e.line(f"add nuw nsw i64 {x}, {y}")

    def _loop(self, until: str, step: int, write: Callable[[str], None]) -> None:
        """A loop for index = 0, step, ... below `until`, which is positive."""
        e = self.e
        if until.isdigit() and int(until) <= step:
            write("0")
            return
        head, done = e.label("loop"), e.label("done")
        name, after, before = e.name(), e.name(), e.frame.block
        e.push(head)
        e.defined[name] = len(e.frames) - 1
        write(name)
        e.effect(f"{after} = add nuw nsw i64 {name}, {step}")
        more = e.line(f"icmp slt i64 {after}, {until}")
        e.branch(more, head, done)
        frame = e.pop()
        e.jump(head)
        phi = f"  {name} = phi i64 [ 0, %{before} ], [ {after}, %{frame.block} ]"
        e.frame.lines += [f"{head}:", phi, *frame.lines]
        e.start(done)

    def _one(self, places: list[str], again: list[str]) -> None:
        """One product of matrices that begin at `places`."""
        x, (c, a, b) = self.x, places
        add = self._adds(again)
        if x.form == "dots":
            self._dots(c, a, b, add)
        elif x.form == "panels":
            self._panels(c, a, b, add)
        else:
            self._strips(c, a, b, add)

    def _adds(self, again: list[str]) -> str:
        """Whether products before this one went to the same place."""
        found = "false"
        for index in again:
            if index != "0":
                later = self.e.line(f"icmp sgt i64 {index}, 0")
                found = later if found == "false" else self.e.line(f"or i1 {found}, {later}")
        return found

    def _fill(self, b: str, columns: str, to: str, first: str, end: str) -> None:
        """Pack steps `first` to `end` of k."""
        x = self.x
        past = x.form == "panels"  # what is larger than a cache need not pass through it
        depth = x.depth if past else x.k
        function = blocking.fill(self.kernels, self.dtype, self.shape, _form(x.b), depth, past)
        self.e.effect(
            f"call void {function}(i64 {first}, i64 {end}, i64 {x.k}, i64 {columns}, ptr {b}, "
            f"i64 {x.b.rows}, i64 {x.b.columns}, ptr {to})"
        )

    def _packed(self, b: str, columns: str, first: str) -> str:
        """Where panels of `b` lie, from a column on."""
        panels = self._copies()
        if self.x.once:
            deep = -(-self.x.k // blocking.UNIT) * blocking.UNIT
            return self._at(panels, first, deep)
        self._fill(b, columns, panels, "0", str(self.x.k))
        return panels

    def _strips(self, c: str, a: str, b: str, add: str) -> None:
        x, shape, n = self.x, self.shape, self.extents["columns"]
        function = blocking.strips(self.kernels, self.dtype, shape, self._extent(), x.depth)
        given = f"ptr {b}, i64 {x.b.rows}, i64 1"
        if x.form == "packed":
            deep = -(-x.k // blocking.UNIT) * blocking.UNIT
            packed = self._packed(b, n, self.first["columns"])
            given = f"ptr {packed}, i64 {shape.columns}, i64 {deep}"

        def call(m: str, a: str, c: str) -> None:
            self.e.effect(
                f"call void {function}(i64 {m}, i64 {n}, i64 {x.k}, ptr {a}, "
                f"i64 {x.a.rows}, i64 {x.a.columns}, {given}, ptr {c}, i64 {x.output.rows}, "
                f"i1 {add})"
            )

        size = x.k * self.dtype.np.itemsize
        near = NEAR // (shape.rows * size) if x.n * size <= 8 * NEAR else x.m
        some = min(near, TAIL // (shape.rows * x.n)) if x.tail else near
        self._rows(call, a, c, shape.rows * max(1, some))

    def _panels(self, c: str, a: str, b: str, add: str) -> None:
        x = self.x
        function = blocking.panels(
            self.kernels, self.dtype, self.shape, self._extent(), _form(x.a), x.depth
        )
        n = self.extents["columns"]
        whole, first = (str(x.n), self.first["columns"]) if x.once else (n, "0")
        panels = self._packed(b, n, "0")

        def call(m: str, a: str, c: str) -> None:
            self.e.effect(
                f"call void {function}(i64 {m}, i64 {n}, i64 {x.k}, ptr {a}, i64 {x.a.rows}, "
                f"i64 {x.a.columns}, ptr {panels}, i64 {whole}, i64 {first}, ptr {c}, "
                f"i64 {x.output.rows}, i1 {add})"
            )

        self._rows(call, a, c, blocking.STRIP)

    def _rows(self, call: Callable[[str, str, str], None], a: str, c: str, some: int) -> None:
        """`some` rows at a time, and their tail."""
        x, m = self.x, self.extents["rows"]

        def strip(first: str) -> None:
            even = m.isdigit() and int(m) % some == 0
            count = self._rest(m, first, some, even)
            call(count, self._at(a, first, x.a.rows), self._at(c, first, x.output.rows))
            if x.tail is not None:
                self._tail(x.tail, self._plus(self.first["rows"], first), count)

        self._loop(m, some, strip)

    def _tail(self, tail: Tail, first: str, count: str) -> None:
        """The tail of rows `first` .. `first` + `count` - 1."""
        e = self.e

        def one(index: str) -> None:
            row = self._plus(first, index)
            e.levels[id(tail.row)] = len(e.frames) - 1
            e.defined.setdefault(row, len(e.frames) - 1)
            e.indices[id(tail.row)] = row
            self.statements(tail.body, e)

        self._loop(count, 1, one)

    def _dots(self, c: str, a: str, b: str, add: str) -> None:
        x = self.x
        function = blocking.dots(self.kernels, self.dtype, self.shape, self._extent())
        self.e.effect(
            f"call void {function}(i64 {self.extents['rows']}, i64 {self.extents['columns']}, "
            f"i64 {x.k}, ptr {a}, i64 {x.a.rows}, ptr {b}, i64 {x.b.columns}, ptr {c}, "
            f"i64 {x.output.rows}, i64 {x.output.columns}, i1 {add})"
        )

    def _extent(self) -> Extent:
        x, shape = self.x, self.shape
        columns = 1 if x.form == "dots" else shape.columns
        edge = x.m % shape.rows or x.n % columns
        return Extent(x.m >= shape.rows and x.n >= columns, bool(edge))


def _form(matrix: Matrix) -> str:
    """Which way a matrix lies dense."""
    if matrix.columns == 1:
        return blocking.ROWS
    return blocking.COLUMNS if matrix.rows == 1 else blocking.ANY
