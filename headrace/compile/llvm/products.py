"""A stage that runs as matrix products: calls of kernels, in loops over its steps.

Read `loops/product.py`, `microkernel.py` and `blocking.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.compile.llvm import blocking
from headrace.compile.llvm.blocking import Extent
from headrace.compile.llvm.microkernel import Kernels, Shape
from headrace.compile.llvm.text import value_type
from headrace.compile.llvm.values import Emitter
from headrace.compile.loops import ir
from headrace.compile.loops.product import Matrix, Product, Tail

TAIL = 4096
"""About so many elements of the output are finished before the tail runs over them."""


def emit(
    x: Product, e: Emitter, kernels: Kernels, body: Callable[[Sequence[ir.Statement]], None]
) -> None:
    """Write a product; `body` writes statements."""
    _Site(x, e, kernels, body).write()


class _Site:
    """One product of a program."""

    def __init__(
        self,
        x: Product,
        e: Emitter,
        kernels: Kernels,
        body: Callable[[Sequence[ir.Statement]], None],
    ) -> None:
        self.x, self.e, self.kernels, self.body = x, e, kernels, body
        self.dtype = x.output.buffer.dtype
        self.kind = value_type(self.dtype)
        self.shape = Shape(*x.tile)
        self.copies = e.buffers[id(x.copies)] if x.copies else ""

    def write(self) -> None:
        x = self.x
        places = [self._start(m) for m in (x.output, x.a, x.b)]
        once = x.form == "packed" and not any(x.b.steps)
        if once:
            self._pack(places[2])
        self._step(0, places, [], once)

    def _start(self, matrix: Matrix) -> str:
        base = self.e.buffers[id(matrix.buffer)]
        return self._at(base, self.e.scalar(matrix.offset), 1)

    def _at(self, base: str, count: str, stride: int) -> str:
        """The address that lies `count` * `stride` elements after `base`."""
        if count == "0" or not stride:
            return base
        if stride != 1:
            count = (
                str(int(count) * stride)
                if count.isdigit()
                else self.e.line(f"mul nsw i64 {count}, {stride}")
            )
        return self.e.line(f"getelementptr {self.kind}, ptr {base}, i64 {count}")

    def _step(self, depth: int, places: list[str], again: list[str], done: bool) -> None:
        """The loops over the steps from `depth` on; `again`: indices that add to the output."""
        x = self.x
        if depth == len(x.steps):
            self._one(places, again, done)
            return
        strides = [m.steps[depth] for m in (x.output, x.a, x.b)]

        def inside(index: str) -> None:
            moved = [self._at(p, index, s) for p, s in zip(places, strides, strict=True)]
            self._step(depth + 1, moved, again if strides[0] else [*again, index], done)

        self._loop(x.steps[depth], 1, inside)

    def _loop(self, until: int, step: int, write: Callable[[str], None]) -> None:
        """A loop for index = 0, step, ... below `until`."""
        e = self.e
        if until <= step:
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

    def _one(self, places: list[str], again: list[str], done: bool) -> None:
        """One product of matrices that begin at `places`."""
        x, (c, a, b) = self.x, places
        add = self._adds(again)
        if x.form == "dots":
            self._dots(c, a, b, add)
            return
        if x.form == "blocks":
            self._blocks(c, a, b, add)
            return
        if x.form == "packed" and not done:
            self._pack(b)
        self._strips(c, a, b, add)

    def _adds(self, again: list[str]) -> str:
        """Whether products before this one went to the same place."""
        found = "false"
        for index in again:
            if index != "0":
                later = self.e.line(f"icmp sgt i64 {index}, 0")
                found = later if found == "false" else self.e.line(f"or i1 {found}, {later}")
        return found

    def _pack(self, b: str) -> None:
        x = self.x
        function = blocking.pack(self.kernels, self.dtype, self.shape, _form(x.b))
        self.e.effect(
            f"call void {function}(i64 {x.k}, i64 {x.n}, ptr {b}, i64 {x.b.rows}, "
            f"i64 {x.b.columns}, ptr {self.copies})"
        )

    def _strips(self, c: str, a: str, b: str, add: str) -> None:
        x, shape = self.x, self.shape
        function = blocking.strips(self.kernels, self.dtype, shape, self._extent())
        given = f"ptr {b}, i64 {x.b.rows}, i64 1"
        if x.form == "packed":
            given = f"ptr {self.copies}, i64 {shape.columns}, i64 {x.k}"

        def call(m: str, a: str, c: str) -> None:
            self.e.effect(
                f"call void {function}(i64 {m}, i64 {x.n}, i64 {x.k}, ptr {a}, "
                f"i64 {x.a.rows}, i64 {x.a.columns}, {given}, ptr {c}, i64 {x.output.rows}, "
                f"i1 {add})"
            )

        if x.tail is None:
            call(str(x.m), a, c)
            return
        tail, some = x.tail, shape.rows * max(1, TAIL // (shape.rows * x.n))

        def strip(first: str) -> None:
            count = self._rest(x.m, first, some)
            call(count, self._at(a, first, x.a.rows), self._at(c, first, x.output.rows))
            self._tail(tail, first, count)

        self._loop(x.m, some, strip)

    def _rest(self, until: int, first: str, step: int) -> str:
        """How many of the next `step` there are."""
        if first == "0" and until <= step:
            return str(until)
        if until % step == 0:
            return str(step)
        rest = self.e.line(f"sub i64 {until}, {first}")
        symbol = "@llvm.smin.i64"
        declared = (symbol, f"declare i64 {symbol}(i64, i64)")
        return self.e.call(declared, "i64", f"i64 {rest}, i64 {step}")

    def _tail(self, tail: Tail, first: str, count: str) -> None:
        """The tail of rows `first` .. `first` + `count` - 1."""
        e = self.e
        head, done = e.label("tail"), e.label("done")
        name, after, before = e.name(), e.name(), e.frame.block
        e.push(head)
        row = name if first == "0" else e.line(f"add nuw nsw i64 {first}, {name}")
        e.defined[row] = e.levels[id(tail.row)] = len(e.frames) - 1
        e.indices[id(tail.row)] = row
        self.body(tail.body)
        e.effect(f"{after} = add nuw nsw i64 {name}, 1")
        more = e.line(f"icmp slt i64 {after}, {count}")
        e.branch(more, head, done)
        frame = e.pop()
        e.jump(head)
        phi = f"  {name} = phi i64 [ 0, %{before} ], [ {after}, %{frame.block} ]"
        e.frame.lines += [f"{head}:", phi, *frame.lines]
        e.start(done)

    def _blocks(self, c: str, a: str, b: str, add: str) -> None:
        x = self.x
        function = blocking.blocks(
            self.kernels,
            self.dtype,
            self.shape,
            self._extent(),
            (_form(x.a), _form(x.b)),
            x.cut,
        )
        self.e.effect(
            f"call void {function}(i64 {x.m}, i64 {x.n}, i64 {x.k}, ptr {a}, "
            f"i64 {x.a.rows}, i64 {x.a.columns}, ptr {b}, i64 {x.b.rows}, i64 {x.b.columns}, "
            f"ptr {c}, i64 {x.output.rows}, i1 {add}, ptr {self.copies})"
        )

    def _dots(self, c: str, a: str, b: str, add: str) -> None:
        x, rows = self.x, self.shape.rows
        whole = x.m // rows * rows

        def call(first: str, edge: bool) -> None:
            function = self.kernels.dots(self.dtype, rows, self.shape.lanes, edge)
            limit = f", i64 {x.m - whole}" if edge else ""
            above = self._at(a, first, x.a.rows)
            to = self._at(c, first, x.output.rows)

            def column(j: str) -> None:
                self.e.effect(
                    f"call void {function}(i64 {x.k}, ptr {above}, i64 {x.a.rows}, "
                    f"ptr {self._at(b, j, x.b.columns)}, "
                    f"ptr {self._at(to, j, x.output.columns)}, i64 {x.output.rows}, "
                    f"i1 {add}{limit})"
                )

            self._loop(x.n, 1, column)

        if whole:
            self._loop(whole, rows, lambda first: call(first, False))
        if x.m > whole:
            call(str(whole), True)

    def _extent(self) -> Extent:
        x, shape = self.x, self.shape
        edge = x.m % shape.rows or x.n % shape.columns
        return Extent(x.m >= shape.rows and x.n >= shape.columns, bool(edge))


def _form(matrix: Matrix) -> str:
    """Which way a matrix lies dense."""
    if matrix.columns == 1:
        return blocking.ROWS
    return blocking.COLUMNS if matrix.rows == 1 else blocking.ANY
