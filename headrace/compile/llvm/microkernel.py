"""Matrix products in registers, as LLVM text: one function for each shape of tile.

A tile holds `rows` x `vectors` accumulators and runs over all of k: for each k a few vectors of
`b` meet `rows` numbers of `a`, each spread over the lanes. Lengths and strides are arguments,
so that one function serves every product of a module. The other functions bring operands into
the form that tiles want: `copy` (rows that lie side by side), `transpose` (columns that do),
`gather` (neither). `dots` is for one column: its lanes run along k.
Each element of the result is summed in the order of k, whatever the tile: how a product is cut
into tiles and threads changes no bit. What lies far off is asked for ahead of its use. Read
`llvm/products.py` after.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.llvm.text import of_lanes, suffix, value_type

LINE = 64
"""Bytes that the cache fetches at once."""
_PREFETCH = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a tile: `rows` x `vectors` registers of `lanes` numbers."""

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    def __str__(self) -> str:
        return f"{self.rows}x{self.vectors}x{self.lanes}"


class Function:
    """Lines of one function of LLVM text, with loops."""

    def __init__(self, name: str, arguments: str) -> None:
        self.head = f"define internal void @{name}({arguments}) noinline nounwind {{"
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def line(self, text: str) -> str:
        """An instruction with a result; gives the result's name."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    def label(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def least(self, a: str, b: str) -> str:
        """The smaller one of two numbers."""
        return self.line(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def ahead(self, place: str, write: bool) -> None:
        """Ask for a line: into the first cache to be written, into the second to be read."""
        given = "i32 1, i32 3" if write else "i32 0, i32 2"
        self.do(f"call void @llvm.prefetch.p0(ptr {place}, {given}, i32 1)")

    def at(self, kind: str, base: str, *terms: tuple[str, str | int]) -> str:
        """The address that lies a sum of products, in elements, after `base`."""
        for x, y in terms:
            offset = x if str(y) == "1" else self.line(f"mul i64 {x}, {y}")
            base = self.line(f"getelementptr {kind}, ptr {base}, i64 {offset}")
        return base

    @contextmanager
    def loop(self, stop: str, step: int | str = 1) -> Iterator[str]:
        """A loop for i = 0, step, ... below `stop`; nothing where that is not positive."""
        before, index, after = self.block, self.name(), self.name()
        head, body, done = self.label("head"), self.label("body"), self.label("done")
        self.do(f"br label %{head}")
        self.start(head)
        phi = len(self.lines)
        self.lines.append("")
        more = self.line(f"icmp slt i64 {index}, {stop}")
        self.do(f"br i1 {more}, label %{body}, label %{done}")
        self.start(body)
        yield index
        self.do(f"{after} = add i64 {index}, {step}")
        self.do(f"br label %{head}")
        last = self.block
        self.lines[phi] = f"  {index} = phi i64 [ 0, %{before} ], [ {after}, %{last} ]"
        self.start(done)

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What follows, where a condition holds."""
        then, after = self.label("then"), self.label("after")
        self.do(f"br i1 {condition}, label %{then}, label %{after}")
        self.start(then)
        yield
        self.do(f"br label %{after}")
        self.start(after)

    def text(self) -> str:
        return "\n".join([self.head, "entry:", *self.lines, "  ret void", "}"])


class Lanes:
    """Vectors of numbers in a function: loads, stores and what needs their type."""

    def __init__(self, f: Function, dtype: DType, lanes: int) -> None:
        self.f, self.lanes = f, lanes
        self.kind = value_type(dtype)
        self.whole = of_lanes(self.kind, lanes)
        self.bools = of_lanes("i1", lanes)
        self.align = dtype.np.itemsize
        self.zero = "zeroinitializer"

    def spread(self, kind: str, value: str) -> str:
        """A number in all lanes."""
        whole = of_lanes(kind, self.lanes)
        one = self.f.line(f"insertelement {whole} poison, {kind} {value}, i64 0")
        mask = f"<{self.lanes} x i32> zeroinitializer"
        return self.f.line(f"shufflevector {whole} {one}, {whole} poison, {mask}")

    def below(self, count: str, first: int = 0) -> str:
        """Which lanes, counted from `first`, lie below a number that fits in 32 bits."""
        short = self.f.line(f"trunc i64 {count} to i32")
        many = self.spread("i32", short)
        numbers = ", ".join(f"i32 {first + k}" for k in range(self.lanes))
        return self.f.line(f"icmp slt {of_lanes('i32', self.lanes)} <{numbers}>, {many}")

    def load(self, place: str, mask: str | None = None) -> str:
        """A vector; lanes that a mask excludes are not touched, and 0."""
        if mask is None:
            return self.f.line(f"load {self.whole}, ptr {place}, align {self.align}")
        given = f"ptr {place}, i32 {self.align}, {self.bools} {mask}, {self.whole} {self.zero}"
        return self.f.line(f"call {self.whole} @llvm.masked.load.{self.suffix}.p0({given})")

    def store(
        self, value: str, place: str, mask: str | None = None, past: bool = False
    ) -> None:
        """Store a vector; a whole one at a multiple of its size may go `past` the caches."""
        if mask is None:
            align = self.align * self.lanes if past else self.align
            hint = ", !nontemporal !{i32 1}" if past else ""
            self.f.do(f"store {self.whole} {value}, ptr {place}, align {align}{hint}")
            return
        given = f"{self.whole} {value}, ptr {place}, i32 {self.align}, {self.bools} {mask}"
        self.f.do(f"call void @llvm.masked.store.{self.suffix}.p0({given})")

    def step(self, total: str, x: str, y: str) -> str:
        """total + x * y, rounded once where the processor can."""
        product = self.f.line(f"fmul contract {self.whole} {x}, {y}")
        return self.f.line(f"fadd contract {self.whole} {total}, {product}")

    @property
    def suffix(self) -> str:
        return suffix(self.whole)

    @property
    def declarations(self) -> tuple[str, ...]:
        whole, bools = self.whole, self.bools
        return (
            f"declare {whole} @llvm.masked.load.{self.suffix}.p0(ptr, i32, {bools}, {whole})",
            f"declare void @llvm.masked.store.{self.suffix}.p0({whole}, ptr, i32, {bools})",
            f"declare {self.kind} @llvm.vector.reduce.fadd.{self.suffix}({self.kind}, {whole})",
            "declare i64 @llvm.smin.i64(i64, i64)",
            _PREFETCH,
        )


class Kernels:
    """The functions of one module, each written when it is first asked for."""

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self.declarations: dict[str, str] = {}

    def tile(self, dtype: DType, shape: Shape, edge: bool, ahead: bool = False) -> str:
        """`(k, a, row stride, k stride, b, k stride, c, row stride, add)` writes one tile of
        `c`; with `edge` also `(rows, columns)`, of which there are fewer than in the shape.

        With `ahead` it is also given `(next, step)`: at each k it asks for a line of what is
        wanted next, so many bytes further each time, and for its part of `c` before it begins.
        """
        name = f"tile.{dtype.name}.{shape}{'.edge' if edge else ''}{'.ahead' if ahead else ''}"
        if name not in self.functions:
            limits = ", i64 %rows, i64 %columns" if edge else ""
            more = ", ptr %next, i64 %step" if ahead else ""
            f = Function(
                name,
                "i64 %k, ptr %a, i64 %ar, i64 %ak, ptr %b, i64 %bk, "
                f"ptr %c, i64 %cr, i1 %add{limits}{more}",
            )
            _tile(f, self.lanes(f, dtype, shape.lanes), shape, edge, ahead)
            self.functions[name] = f.text()
        return f"@{name}"

    def dots(self, dtype: DType, rows: int, lanes: int, edge: bool) -> str:
        """`(k, a, row stride, b, c, row stride, add)` writes `rows` elements of a column; with
        `edge` also `(rows)`; `a` and `b` lie dense along k."""
        name = f"dots.{dtype.name}.{rows}x{lanes}{'.edge' if edge else ''}"
        if name not in self.functions:
            limit = ", i64 %rows" if edge else ""
            f = Function(
                name, f"i64 %k, ptr %a, i64 %ar, ptr %b, ptr %c, i64 %cr, i1 %add{limit}"
            )
            _dots(f, self.lanes(f, dtype, lanes), rows, edge)
            self.functions[name] = f.text()
        return f"@{name}"

    def copy(self, dtype: DType, lanes: int) -> str:
        """`(rows, columns, from, row stride, to, row stride)`: rows that lie dense."""
        name = f"copy.{dtype.name}.{lanes}"
        if name not in self.functions:
            f = Function(name, "i64 %rows, i64 %columns, ptr %x, i64 %xr, ptr %y, i64 %yr")
            _copy(f, self.lanes(f, dtype, lanes))
            self.functions[name] = f.text()
        return f"@{name}"

    def transpose(self, dtype: DType, lanes: int, past: bool = False) -> str:
        """`(rows, columns, from, column stride, to, row stride)`: columns that lie dense.

        It writes blocks of lanes x lanes, `past` the caches where asked for: up to `lanes` - 1
        rows and columns too many.
        """
        name = f"transpose.{dtype.name}.{lanes}{'.past' if past else ''}"
        if name not in self.functions:
            f = Function(name, "i64 %rows, i64 %columns, ptr %x, i64 %xc, ptr %y, i64 %yr")
            _transpose(f, self.lanes(f, dtype, lanes), past)
            self.functions[name] = f.text()
        return f"@{name}"

    def gather(self, dtype: DType) -> str:
        """`(rows, columns, from, row stride, column stride, to, row stride)`."""
        name = f"gather.{dtype.name}"
        if name not in self.functions:
            f = Function(
                name, "i64 %rows, i64 %columns, ptr %x, i64 %xr, i64 %xc, ptr %y, i64 %yr"
            )
            kind = value_type(dtype)
            with f.loop("%rows") as i, f.loop("%columns") as j:
                value = f.line(f"load {kind}, ptr {f.at(kind, '%x', (i, '%xr'), (j, '%xc'))}")
                f.do(f"store {kind} {value}, ptr {f.at(kind, '%y', (i, '%yr'), (j, 1))}")
            self.functions[name] = f.text()
        return f"@{name}"

    def lanes(self, f: Function, dtype: DType, lanes: int) -> Lanes:
        """Vectors in a function, their declarations noted."""
        found = Lanes(f, dtype, lanes)
        for text in found.declarations:
            self.declarations["@" + text.partition("@")[2].partition("(")[0]] = text
        return found


def _rows(f: Function, kind: str, base: str, stride: str, count: int, edge: bool) -> list[str]:
    """The addresses of some rows; at an edge, the last one there is stands for the rest.

    These rows are computed and stored again: the same numbers at the same places.
    """
    found = []
    last = f.line("sub i64 %rows, 1") if edge else ""
    for row in range(count):
        number = f.least(str(row), last) if edge else str(row)
        found.append(f.at(kind, base, (number, stride)))
    return found


def _tile(f: Function, v: Lanes, shape: Shape, edge: bool, ahead: bool) -> None:
    a = _rows(f, v.kind, "%a", "%ar", shape.rows, edge)
    c = _rows(f, v.kind, "%c", "%cr", shape.rows, edge)
    if ahead:
        for r in range(shape.rows):
            for first in range(0, shape.columns, LINE // v.align):
                f.ahead(f.at(v.kind, c[r], (str(first), 1)), True)
    masks = [v.below("%columns", j * v.lanes) if edge else None for j in range(shape.vectors)]
    places = [(r, j) for r in range(shape.rows) for j in range(shape.vectors)]
    sums = _sums(f, v, shape, a, masks, ahead)
    f.do("br i1 %add, label %plus, label %store")
    end = f.block
    f.start("plus")
    targets = {}
    for r, j in places:
        old = v.load(f.at(v.kind, c[r], (str(j * v.lanes), 1)), masks[j])
        targets[r, j] = f.line(f"fadd {v.whole} {sums[r, j]}, {old}")
    f.do("br label %store")
    f.start("store")
    found = {
        p: f.line(f"phi {v.whole} [ {sums[p]}, %{end} ], [ {targets[p]}, %plus ]")
        for p in places
    }
    for r, j in places:
        v.store(found[r, j], f.at(v.kind, c[r], (str(j * v.lanes), 1)), masks[j])


def _sums(
    f: Function, v: Lanes, shape: Shape, a: list[str], masks: list[str | None], ahead: bool
) -> dict[tuple[int, int], str]:
    """The loop over k; gives the accumulators' names."""
    places = [(r, j) for r in range(shape.rows) for j in range(shape.vectors)]
    before, k, at, b = f.block, f.name(), f.name(), f.name()
    sums = {p: f.name() for p in places}
    after = {p: f.name() for p in places}
    nexts = f.name(), f.name(), f.name()
    f.do("br label %head")
    f.start("head")
    f.do(f"{k} = phi i64 [ 0, %{before} ], [ {nexts[0]}, %body ]")
    f.do(f"{at} = phi i64 [ 0, %{before} ], [ {nexts[1]}, %body ]")
    f.do(f"{b} = phi ptr [ %b, %{before} ], [ {nexts[2]}, %body ]")
    for p in places:
        f.do(f"{sums[p]} = phi {v.whole} [ {v.zero}, %{before} ], [ {after[p]}, %body ]")
    more = f.line(f"icmp slt i64 {k}, %k")
    f.do(f"br i1 {more}, label %body, label %finish")
    f.start("body")
    if ahead:
        offset = f.line(f"mul i64 {k}, %step")
        f.ahead(f.line(f"getelementptr i8, ptr %next, i64 {offset}"), False)
    columns = [
        v.load(f.at(v.kind, b, (str(j * v.lanes), 1)), masks[j]) for j in range(shape.vectors)
    ]
    for r in range(shape.rows):
        x = v.spread(v.kind, f.line(f"load {v.kind}, ptr {f.at(v.kind, a[r], (at, 1))}"))
        for j in range(shape.vectors):
            product = f.line(f"fmul contract {v.whole} {x}, {columns[j]}")
            f.do(f"{after[r, j]} = fadd contract {v.whole} {sums[r, j]}, {product}")
    f.do(f"{nexts[0]} = add i64 {k}, 1")
    f.do(f"{nexts[1]} = add i64 {at}, %ak")
    f.do(f"{nexts[2]} = getelementptr {v.kind}, ptr {b}, i64 %bk")
    f.do("br label %head")
    f.start("finish")
    return sums


def _dots(f: Function, v: Lanes, rows: int, edge: bool) -> None:
    a = _rows(f, v.kind, "%a", "%ar", rows, edge)
    c = _rows(f, v.kind, "%c", "%cr", rows, edge)
    whole = f.line(f"and i64 %k, {-v.lanes}")
    rest = f.line(f"sub i64 %k, {whole}")
    for place in range(rows):
        f.do(f"%s{place} = alloca {v.whole}")
        f.do(f"store {v.whole} {v.zero}, ptr %s{place}")

    def step(k: str, mask: str | None) -> None:
        y = v.load(f.at(v.kind, "%b", (k, 1)), mask)
        for r in range(rows):
            x = v.load(f.at(v.kind, a[r], (k, 1)), mask)
            old = f.line(f"load {v.whole}, ptr %s{r}")
            f.do(f"store {v.whole} {v.step(old, x, y)}, ptr %s{r}")

    with f.loop(whole, v.lanes) as k:
        step(k, None)
    with f.when(f.line(f"icmp sgt i64 {rest}, 0")):
        step(whole, v.below(rest))
    found = []
    for r in range(rows):
        total = f.line(f"load {v.whole}, ptr %s{r}")
        given = f"{v.kind} -0.0, {v.whole} {total}"
        call = f"call reassoc {v.kind} @llvm.vector.reduce.fadd.{v.suffix}({given})"
        old = f.line(f"load {v.kind}, ptr {c[r]}")
        kept = f.line(f"select i1 %add, {v.kind} {old}, {v.kind} -0.0")
        found.append(f.line(f"fadd {v.kind} {f.line(call)}, {kept}"))
    for r in range(rows):
        f.do(f"store {v.kind} {found[r]}, ptr {c[r]}")


def _copy(f: Function, v: Lanes) -> None:
    whole = f.line(f"and i64 %columns, {-v.lanes}")
    rest = f.line(f"sub i64 %columns, {whole}")
    mask = v.below(rest)
    some = f.line(f"icmp sgt i64 {rest}, 0")
    with f.loop("%rows") as i:
        x, y = f.at(v.kind, "%x", (i, "%xr")), f.at(v.kind, "%y", (i, "%yr"))
        with f.loop(whole, v.lanes) as j:
            v.store(v.load(f.at(v.kind, x, (j, 1))), f.at(v.kind, y, (j, 1)))
        with f.when(some):
            last = v.load(f.at(v.kind, x, (whole, 1)), mask)
            v.store(last, f.at(v.kind, y, (whole, 1)), mask)


def _transpose(f: Function, v: Lanes, past: bool) -> None:
    final = f.line("sub i64 %columns, 1")
    with f.loop("%columns", v.lanes) as j:
        columns = []
        for lane in range(v.lanes):
            number = f.least(f.line(f"add i64 {j}, {lane}"), final)
            columns.append(f.at(v.kind, "%x", (number, "%xc")))
        with f.loop("%rows", v.lanes) as i:
            mask = v.below(f.least(f.line(f"sub i64 %rows, {i}"), str(v.lanes)))
            block = [v.load(f.at(v.kind, column, (i, 1)), mask) for column in columns]
            for lane, value in enumerate(_transposed(f, v, block)):
                row = f.line(f"add i64 {i}, {lane}")
                v.store(value, f.at(v.kind, "%y", (row, "%yr"), (j, 1)), past=past)


def _transposed(f: Function, v: Lanes, block: list[str]) -> list[str]:
    """A square of vectors: at each step, pairs of them change halves of their lanes."""
    step = v.lanes // 2
    while step:
        for low in (k for k in range(v.lanes) if not k & step):
            pair = block[low], block[low + step]
            for side in range(2):
                chosen = ", ".join(
                    f"i32 {_source(lane, step, side, v.lanes)}" for lane in range(v.lanes)
                )
                given = f"{v.whole} {pair[0]}, {v.whole} {pair[1]}"
                mask = f"<{v.lanes} x i32> <{chosen}>"
                block[low + side * step] = f.line(f"shufflevector {given}, {mask}")
        step //= 2
    return block


def _source(lane: int, step: int, side: int, lanes: int) -> int:
    """Where a lane of one side of a pair comes from: of both, counted through."""
    if lane & step:
        return lane + lanes - (0 if side else step)
    return lane + (step if side else 0)


FLOATS = (dtypes.float32, dtypes.float64)
