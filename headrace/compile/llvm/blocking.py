"""Whole matrix products out of tiles: strips of rows, packed operands, blocks for the caches.

Where `b` is small and its rows are dense, tiles read it in place. Otherwise it is packed: in
panels as wide as a tile, so that a tile reads one run of memory. What is larger than a cache is
cut into blocks of `depth` x `width`, and tiles of `a` are copied together too. All lengths
and strides are arguments; read `microkernel.py` before, `products.py` after.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.base.dtypes import DType
from headrace.compile.llvm.microkernel import Function, Kernels, Shape
from headrace.compile.llvm.text import value_type

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
        self, f: Function, kernels: Kernels, dtype: DType, shape: Shape, extent: Extent
    ) -> None:
        self.f, self.shape, self.kind = f, shape, value_type(dtype)
        self.full = kernels.tile(dtype, shape, False) if extent.full else ""
        self.edge = kernels.tile(dtype, shape, True) if extent.edge else ""

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

    def _call(self, given: str, rows: str, columns: str) -> None:
        f, shape = self.f, self.shape
        full = f"call void {self.full}({given})"
        edge = f"call void {self.edge}({given}, i64 {rows}, i64 {columns})"
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


def pack(kernels: Kernels, dtype: DType, shape: Shape, form: str) -> str:
    """`(k, n, b, k stride, column stride, to)`: `b` in panels of a tile's columns.

    It may write `slack` elements more.
    """
    name = f"pack.{dtype.name}.{shape.columns}.{form}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(name, "i64 %k, i64 %n, ptr %b, i64 %bk, i64 %bc, ptr %to")
    kind, width = value_type(dtype), shape.columns
    with f.loop("%n", width) as j:
        columns = f.least(f.line(f"sub i64 %n, {j}"), str(width))
        b, to = f.at(kind, "%b", (j, "%bc")), f.at(kind, "%to", (j, "%k"))
        head = f"i64 %k, i64 {columns}, ptr {b}"
        if form == ROWS:
            f.do(
                f"call void {kernels.copy(dtype, shape.lanes)}({head}, i64 %bk, ptr {to}, "
                f"i64 {width})"
            )
        elif form == COLUMNS:
            f.do(
                f"call void {kernels.transpose(dtype, shape.lanes)}({head}, i64 %bc, "
                f"ptr {to}, i64 {width})"
            )
        else:
            f.do(
                f"call void {kernels.gather(dtype)}({head}, i64 %bk, i64 %bc, ptr {to}, "
                f"i64 {width})"
            )
    kernels.functions[name] = f.text()
    return f"@{name}"


def packed(shape: Shape, k: int, n: int) -> int:
    """How many elements a packed operand needs."""
    return -(-n // shape.columns) * shape.columns * k + shape.lanes * shape.columns


def block_size(shape: Shape, depth: int, width: int) -> int:
    """How many elements a product in blocks needs for its copies."""
    return packed(shape, depth, width) + shape.rows * (depth + shape.lanes)


def blocks(
    kernels: Kernels,
    dtype: DType,
    shape: Shape,
    extent: Extent,
    forms: tuple[str, str],
    cut: tuple[int, int],
) -> str:
    """`(m, n, k, a, row stride, k stride, b, k stride, column stride, c, row stride, add,
    copies)`, where `forms` says how `a` and `b` lie and `cut` the depth and width of blocks."""
    name = f"blocks.{dtype.name}.{shape}.{extent}.{'.'.join(forms)}.{cut[0]}.{cut[1]}"
    if name in kernels.functions:
        return f"@{name}"
    f = Function(
        name,
        "i64 %m, i64 %n, i64 %k, ptr %a, i64 %ar, i64 %ak, "
        "ptr %b, i64 %bk, i64 %bc, ptr %c, i64 %cr, i1 %add, ptr %copies",
    )
    kind, (depth, width) = value_type(dtype), cut
    tile = f.at(kind, "%copies", (str(packed(shape, depth, width)), 1))
    with f.loop("%n", width) as j, f.loop("%k", depth) as k:
        columns = f.least(f.line(f"sub i64 %n, {j}"), str(width))
        deep = f.least(f.line(f"sub i64 %k, {k}"), str(depth))
        b = f.at(kind, "%b", (j, "%bc"), (k, "%bk"))
        f.do(
            f"call void {pack(kernels, dtype, shape, forms[1])}(i64 {deep}, i64 {columns}, "
            f"ptr {b}, i64 %bk, i64 %bc, ptr %copies)"
        )
        later = f.line(f"icmp sgt i64 {k}, 0")
        add = f.line(f"or i1 {later}, %add")
        with f.loop("%m", shape.rows) as i:
            rows = f.least(f.line(f"sub i64 %m, {i}"), str(shape.rows))
            a = f.at(kind, "%a", (i, "%ar"), (k, "%ak"))
            strides = _tile_of_a(
                f, kernels, dtype, shape, forms[0], depth, (rows, deep, a, tile)
            )
            c = f.at(kind, "%c", (i, "%cr"), (j, 1))
            f.do(
                f"call void {strips(kernels, dtype, shape, extent)}(i64 {rows}, "
                f"i64 {columns}, i64 {deep}, ptr {tile}, {strides}, ptr %copies, "
                f"i64 {shape.columns}, i64 {deep}, ptr {c}, i64 %cr, i1 {add})"
            )
    kernels.functions[name] = f.text()
    return f"@{name}"


def _tile_of_a(
    f: Function,
    kernels: Kernels,
    dtype: DType,
    shape: Shape,
    form: str,
    depth: int,
    given: tuple[str, str, str, str],
) -> str:
    """Copy some rows of `a` together; gives their strides as arguments."""
    rows, deep, a, tile = given
    # One line more than a power of two: rows then begin in different sets of the cache.
    length = depth + shape.lanes
    if form == COLUMNS:
        copy = kernels.copy(dtype, shape.rows)
        f.do(
            f"call void {copy}(i64 {deep}, i64 {rows}, ptr {a}, i64 %ak, ptr {tile}, "
            f"i64 {shape.rows})"
        )
        return f"i64 1, i64 {shape.rows}"
    if form == ROWS:
        copy = kernels.copy(dtype, shape.lanes)
        f.do(
            f"call void {copy}(i64 {rows}, i64 {deep}, ptr {a}, i64 %ar, ptr {tile}, "
            f"i64 {length})"
        )
    else:
        f.do(
            f"call void {kernels.gather(dtype)}(i64 {rows}, i64 {deep}, ptr {a}, i64 %ar, "
            f"i64 %ak, ptr {tile}, i64 {length})"
        )
    return f"i64 {length}, i64 1"
