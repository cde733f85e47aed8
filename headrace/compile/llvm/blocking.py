"""Whole matrix products out of tiles: strips of rows, packed operands, blocks for the caches.

Where `b` is small and its rows are dense, tiles read it in place. Otherwise it is packed: in
panels as wide as a tile, so that a tile reads one run of memory. What is larger than a cache is
cut into blocks of k: all of `b` is packed first, past the caches; then each panel meets `STRIP`
rows of `a`, which are packed too, while their part of the result stays in the second cache. All
lengths and strides are arguments; read `microkernel.py` before, `products.py` after.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.base.dtypes import DType
from headrace.compile.llvm.microkernel import LINE, Function, Kernels, Shape
from headrace.compile.llvm.text import value_type

STRIP = 64
"""So many rows of `a` are packed at a time: with the deepest block, 128 KiB on the stack."""
CHUNK = 64
"""So many steps of k of `b` are packed by one thread."""
UNIT = 16
"""Panels hold multiples of so many steps of k: a square of transposed lanes fits."""

ROWS, COLUMNS, ANY = "rows", "columns", "any"
"""Which way an operand lies dense: along its rows, along its columns, neither."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Which tiles occur: `full` ones, and ones at an `edge`, that are not."""

    full: bool
    edge: bool

    def __str__(self) -> str:
        return f"{'full' if self.full else ''}{'edge' if self.edge else ''}"


def strips(kernels: Kernels, dtype: DType, shape: Shape, extent: Extent, depth: int = 0) -> str:
    """`(m, n, k, a, row stride, k stride, b, k stride, column stride, c, row stride, add)`.

    The column stride of `b` is that from panel to panel, divided by the tile's columns. With a
    `depth`, all panels take so many steps of k before any takes more: memory that is read once
    is read in long runs.
    """
    name = f"strips.{dtype.name}.{shape}.{extent}{f'.{depth}' if depth else ''}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(
        name,
        "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ak, "
        "ptr %b, i64 %bk, i64 %bj, ptr %c, i64 %cr, i1 %add",
    )
    tiles = _Tiles(f, kernels, dtype, shape, extent)
    if not depth:
        tiles.write("%k", "%a", "%b", "%add")
    else:
        kind = value_type(dtype)
        with f.loop("%k", depth) as k:
            deep = f.least(f.line(f"sub i64 %k, {k}"), str(depth))
            later = f.line(f"icmp sgt i64 {k}, 0")
            add = f.line(f"or i1 {later}, %add")
            a, b = f.at(kind, "%a", (k, "%ak")), f.at(kind, "%b", (k, "%bk"))
            tiles.write(deep, a, b, add)
    kernels.functions[name] = f.text()
    return f"@{name}"


class _Tiles:
    """All tiles of a product, one call each."""

    def __init__(
        self,
        f: Function,
        kernels: Kernels,
        dtype: DType,
        shape: Shape,
        extent: Extent,
        ahead: bool = False,
    ) -> None:
        self.f, self.shape, self.kind = f, shape, value_type(dtype)
        self.lines = max(1, shape.columns * dtype.np.itemsize // LINE)
        self.full = kernels.tile(dtype, shape, False, ahead) if extent.full else ""
        self.edge = kernels.tile(dtype, shape, True, ahead) if extent.edge else ""

    def write(self, k: str, a: str, b: str, add: str) -> None:
        """The loops over panels and the rows of each; `k` steps from `a` and `b` on."""
        f, shape, kind = self.f, self.shape, self.kind
        with f.loop("%n", shape.columns) as j:
            columns = f.least(f.line(f"sub i64 %n, {j}"), str(shape.columns))
            panel, column = f.at(kind, b, (j, "%bj")), f.at(kind, "%c", (j, 1))
            with f.loop("%m", shape.rows) as i:
                rows = f.least(f.line(f"sub i64 %m, {i}"), str(shape.rows))
                line, c = f.at(kind, a, (i, "%ar")), f.at(kind, column, (i, "%cr"))
                given = (
                    f"i64 {k}, ptr {line}, i64 %ar, i64 %ak, ptr {panel}, i64 %bk, "
                    f"ptr {c}, i64 %cr, i1 {add}"
                )
                self._call(given, rows, columns)

    def ahead(self, m: str, k: str, a: str, b: str, c: str, add: str) -> None:
        """All tiles of `m` packed rows and `k` steps of all panels; the first ones that meet a
        panel ask for the next."""
        f, shape, kind = self.f, self.shape, self.kind
        deep = _rounded(f, k, UNIT)
        with f.loop("%n", shape.columns) as j:
            columns = f.least(f.line(f"sub i64 %n, {j}"), str(shape.columns))
            panel, column = f.at(kind, b, (j, deep)), f.at(kind, c, (j, 1))
            following = f.at(kind, panel, (deep, shape.columns))
            with f.loop(m, shape.rows) as i:
                rows = f.least(f.line(f"sub i64 {m}, {i}"), str(shape.rows))
                strip, target = f.at(kind, a, (i, k)), f.at(kind, column, (i, "%cr"))
                number = f.line(f"udiv i64 {i}, {shape.rows}")
                offset = f.line(f"mul i64 {f.line(f'mul i64 {number}, {k}')}, {LINE}")
                line = f.line(f"getelementptr i8, ptr {following}, i64 {offset}")
                early = f.line(f"icmp ult i64 {number}, {self.lines}")
                line = f.line(f"select i1 {early}, ptr {line}, ptr {strip}")
                step = f.line(f"select i1 {early}, i64 {LINE}, i64 0")
                given = (
                    f"i64 {k}, ptr {strip}, i64 1, i64 {shape.rows}, ptr {panel}, "
                    f"i64 {shape.columns}, ptr {target}, i64 %cr, i1 {add}"
                )
                self._call(given, rows, columns, f", ptr {line}, i64 {step}")

    def _call(self, given: str, rows: str, columns: str, more: str = "") -> None:
        f, shape = self.f, self.shape
        full = f"call void {self.full}({given}{more})"
        edge = f"call void {self.edge}({given}, i64 {rows}, i64 {columns}{more})"
        if not self.full:
            f.do(edge)
        elif not self.edge:
            f.do(full)
        else:
            size = f.line(f"mul i64 {rows}, {columns}")
            _either(f, (size, str(shape.rows * shape.columns)), full, edge)


def dots(kernels: Kernels, dtype: DType, shape: Shape, extent: Extent) -> str:
    """`(m, n, k, a, row stride, b, column stride, c, row stride, column stride, add)`, where
    `a` and `b` lie dense along k."""
    name = f"columns.{dtype.name}.{shape}.{extent}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(
        name,
        "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, ptr %b, i64 %bc, "
        "ptr %c, i64 %cr, i64 %cc, i1 %add",
    )
    kind = value_type(dtype)
    full, edge = (
        kernels.dots(dtype, shape.rows, shape.lanes, at_edge) if there else ""
        for at_edge, there in ((False, extent.full), (True, extent.edge))
    )
    with f.loop("%m", shape.rows) as i:
        rows = f.least(f.line(f"sub i64 %m, {i}"), str(shape.rows))
        a, line = f.at(kind, "%a", (i, "%ar")), f.at(kind, "%c", (i, "%cr"))
        with f.loop("%n") as j:
            b, c = f.at(kind, "%b", (j, "%bc")), f.at(kind, line, (j, "%cc"))
            given = f"i64 %k, ptr {a}, i64 %ar, ptr {b}, ptr {c}, i64 %cr, i1 %add"
            at_edge = f"call void {edge}({given}, i64 {rows})"
            if not extent.full:
                f.do(at_edge)
            elif not extent.edge:
                f.do(f"call void {full}({given})")
            else:
                size = (rows, str(shape.rows))
                _either(f, size, f"call void {full}({given})", at_edge)
    kernels.functions[name] = f.text()
    return f"@{name}"


def _either(f: Function, sizes: tuple[str, str], full: str, edge: str) -> None:
    """One call where two numbers are equal, else another."""
    whole = f.line(f"icmp eq i64 {sizes[0]}, {sizes[1]}")
    then, other, after = f.label("full"), f.label("edge"), f.label("next")
    f.do(f"br i1 {whole}, label %{then}, label %{other}")
    for label, call in ((then, full), (other, edge)):
        f.start(label)
        f.do(call)
        f.do(f"br label %{after}")
    f.start(after)


def pack(kernels: Kernels, dtype: DType, width: int, lanes: int, form: str) -> str:
    """`(k, n, b, k stride, column stride, to)`: one after the other, panels of `width` columns.

    It may write `lanes` * (`width` + 1) elements more.
    """
    name = f"pack.{dtype.name}.{width}.{form}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(name, "i64 %k, i64 %n, ptr %b, i64 %bk, i64 %bc, ptr %to")
    kind = value_type(dtype)
    with f.loop("%n", width) as j:
        columns = f.least(f.line(f"sub i64 %n, {j}"), str(width))
        b, to = f.at(kind, "%b", (j, "%bc")), f.at(kind, "%to", (j, "%k"))
        _panel(f, kernels, dtype, lanes, form, ("%k", columns, b, to, str(width)), False)
    kernels.functions[name] = f.text()
    return f"@{name}"


def _panel(
    f: Function,
    kernels: Kernels,
    dtype: DType,
    lanes: int,
    form: str,
    given: tuple[str, str, str, str, str],
    past: bool,
) -> None:
    """Bring one panel together: `given` are its steps of k, columns, `b`, target and width."""
    k, columns, b, to, width = given
    head, tail = f"i64 {k}, i64 {columns}, ptr {b}", f"ptr {to}, i64 {width}"
    if form == ROWS:
        f.do(f"call void {kernels.copy(dtype, lanes)}({head}, i64 %bk, {tail})")
    elif form == COLUMNS:
        f.do(f"call void {kernels.transpose(dtype, lanes, past)}({head}, i64 %bc, {tail})")
    else:
        f.do(f"call void {kernels.gather(dtype)}({head}, i64 %bk, i64 %bc, {tail})")


def packed(shape: Shape, k: int, n: int) -> int:
    """How many elements an operand needs that `fill` packs."""
    return _up(n, shape.columns) * _up(k, UNIT)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def fill(
    kernels: Kernels, dtype: DType, shape: Shape, form: str, depth: int, past: bool
) -> str:
    """`(first, end, k, n, b, k stride, column stride, to)`: steps `first` to `end` of `b` in
    panels, which follow each other in each block of `depth` steps of k; `past` the caches where
    asked for. `first` is a multiple of `CHUNK`, so that threads do not meet, `depth` too where
    there are several blocks."""
    name = f"fill.{dtype.name}.{shape.columns}.{form}.{depth}{'.past' if past else ''}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(
        name,
        "i64 %first, i64 %end, i64 %k, i64 %n, ptr %b, i64 %bk, i64 %bc, ptr %to",
    )
    kind, width = value_type(dtype), _rounded(f, "%n", shape.columns)
    spread = _spread(kernels, dtype, shape, form, past)
    with f.loop(f.line("sub i64 %end, %first"), CHUNK) as i:
        row = f.line(f"add i64 {i}, %first")
        rows = f.least(f.line(f"sub i64 %end, {row}"), str(CHUNK))
        within = f.line(f"urem i64 {row}, {depth}")
        block = f.line(f"sub i64 {row}, {within}")
        deep = f.least(f.line(f"sub i64 %k, {block}"), str(depth))
        b = f.at(kind, "%b", (row, "%bk"))
        to = f.at(kind, "%to", (block, width), (within, shape.columns))
        f.do(
            f"call void {spread}(i64 {rows}, i64 %n, ptr {b}, i64 %bk, i64 %bc, ptr {to}, "
            f"i64 {_rounded(f, deep, UNIT)})"
        )
    if past:  # before anybody is told that it is there
        f.do("fence seq_cst")
    kernels.functions[name] = f.text()
    return f"@{name}"


def _rounded(f: Function, size: str, unit: int) -> str:
    """The next multiple of `unit`."""
    more = f.line(f"add i64 {size}, {unit - 1}")
    return f.line(f"mul i64 {f.line(f'udiv i64 {more}, {unit}')}, {unit}")


def _spread(kernels: Kernels, dtype: DType, shape: Shape, form: str, past: bool) -> str:
    """`(rows, n, b, k stride, column stride, to, deep)`: some steps of k, over panels that hold
    `deep` of them. Rows that lie dense are read from end to end."""
    name = f"spread.{dtype.name}.{shape.columns}.{form}{'.past' if past else ''}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(name, "i64 %rows, i64 %n, ptr %b, i64 %bk, i64 %bc, ptr %to, i64 %deep")
    kind, width, first = value_type(dtype), shape.columns, "0"
    if form == ROWS:
        v = kernels.lanes(f, dtype, shape.lanes)
        rest = f.line(f"urem i64 %n, {width}")
        first = f.line(f"sub i64 %n, {rest}")
        with f.loop("%rows") as i, f.loop(first, width) as j:
            x, y = (
                f.at(kind, "%b", (i, "%bk"), (j, 1)),
                f.at(kind, "%to", (j, "%deep"), (i, width)),
            )
            places = [(str(k * v.lanes), 1) for k in range(shape.vectors)]
            for place, value in [(p, v.load(f.at(kind, x, p))) for p in places]:
                v.store(value, f.at(kind, y, place), past=past)
    with f.loop(f.line(f"sub i64 %n, {first}"), width) as j:
        column = f.line(f"add i64 {j}, {first}")
        columns = f.least(f.line(f"sub i64 %n, {column}"), str(width))
        b, to = f.at(kind, "%b", (column, "%bc")), f.at(kind, "%to", (column, "%deep"))
        given = "%rows", columns, b, to, str(width)
        _panel(f, kernels, dtype, shape.lanes, form, given, past)
    kernels.functions[name] = f.text()
    return f"@{name}"


def panels(
    kernels: Kernels, dtype: DType, shape: Shape, extent: Extent, form: str, depth: int
) -> str:
    """`(m, n, k, a, row stride, k stride, panels, columns, first, c, row stride, add)`, where
    `form` says how `a` lies, and `fill` has packed `columns` of `b` in blocks of `depth`, of
    which `n` from the `first` on are wanted."""
    name = f"panels.{dtype.name}.{shape}.{extent}.{form}.{depth}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(
        name,
        "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ak, "
        "ptr %b, i64 %columns, i64 %first, ptr %c, i64 %cr, i1 %add",
    )
    kind, width, lanes = value_type(dtype), shape.rows, 1 << (shape.rows - 1).bit_length()
    f.do(f"%strip = alloca [{STRIP * depth + lanes * (width + 1)} x {kind}], align {LINE}")
    whole = _rounded(f, "%columns", shape.columns)
    tiles = _Tiles(f, kernels, dtype, shape, extent, ahead=True)
    copy = pack(kernels, dtype, width, lanes, {ROWS: COLUMNS, COLUMNS: ROWS}.get(form, form))
    with f.loop("%m", STRIP) as i, f.loop("%k", depth) as k:
        rows = f.least(f.line(f"sub i64 %m, {i}"), str(STRIP))
        deep = f.least(f.line(f"sub i64 %k, {k}"), str(depth))
        a, c = f.at(kind, "%a", (i, "%ar"), (k, "%ak")), f.at(kind, "%c", (i, "%cr"))
        f.do(f"call void {copy}(i64 {deep}, i64 {rows}, ptr {a}, i64 %ak, i64 %ar, ptr %strip)")
        later = f.line(f"icmp sgt i64 {k}, 0")
        add = f.line(f"or i1 {later}, %add")
        b = f.at(kind, "%b", (k, whole), ("%first", _rounded(f, deep, UNIT)))
        tiles.ahead(rows, deep, "%strip", b, c, add)
    kernels.functions[name] = f.text()
    return f"@{name}"
