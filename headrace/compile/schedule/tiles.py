"""Which form a matrix product takes: the numbers that decide, measured on Zen 4.

Own tiles run at 105 to 117 GFLOP/s on one core from 64 to 784 (NumPy's OpenBLAS: 62 to 104), so
that no size is left to BLAS. Very small products stay loops, which fuse with what is around.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace.base.dtypes import DType
from headrace.compile.llvm.blocking import CHUNK, STRIP, packed
from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.microkernel import LINE, Shape
from headrace.compile.loops import ir
from headrace.compile.loops.product import Product

SMALL = 512
"""Products with fewer multiplications stay loops."""
CACHE = 1 << 20
"""Bytes of `b` that may be used in place, again and again: the second cache."""
FAR = 1 << 24
"""Bytes from which on `b` comes from memory: it is packed, in long runs, for few rows too."""
PAGE, CROWD = 4096, 256
"""More than so many rows, a multiple of a page apart, fall on each other in the cache."""
DEPTH = 2048
"""Bytes of each row in panels: sums of so many steps of k are added to the result."""
WORTH, PART, PARTS, MOST = 40_000.0, 10_000.0, 8, 64
"""Nanoseconds of work from which on threads share a product, those of a part, and how many
parts there are at most; the last of a product in panels."""
ALONE = 256
"""Rows or columns of a part that packs an operand for itself."""
RUN = 16
"""So many rows of a matrix that is read once are read side by side."""
WIDE = 1024
"""Columns of a part that reads such a matrix: a page of them."""
FEW = 8
"""So many rows use a packed operand too rarely."""


class Sizes(NamedTuple):
    """A product: extents, and strides along rows and columns; `times` one after the other."""

    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]
    times: int

    @property
    def turned(self) -> Sizes:
        """The product of the transposes."""
        return Sizes(
            self.n, self.m, self.k, self.b[::-1], self.a[::-1], self.c[::-1], self.times
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """A form; `turned`: for the transposed product. `copies`: elements of packed operands."""

    form: str
    tile: tuple[int, int, int]
    depth: int = 0
    copies: int = 0
    turned: bool = False


def choose(s: Sizes, dtype: DType) -> Choice | None:
    """The form of a product; None: loops are as good."""
    if s.m * s.n * s.k * s.times < SMALL or s.k < 2:
        return None
    if s.n == 1 or s.m == 1:
        return _vector(s, dtype)
    if s.c[1] != 1:
        return None
    if s.m < FEW and s.b[1] != 1 and s.b[0] == s.a[1] == 1:
        return Choice("dots", (min(8, s.n), 1, lanes(dtype)), turned=True)
    return _matrix(s, dtype)


def _vector(s: Sizes, dtype: DType) -> Choice | None:
    """A matrix times a vector, in either order."""
    if s.m == s.n == 1:
        return None
    turned = s.n != 1
    down = s.turned if turned else s  # the result is a column
    if down.a[1] == 1 and down.b[0] == 1:
        return Choice("dots", (min(8, down.m), 1, lanes(dtype)), turned=turned)
    across = s if turned else s.turned  # the result is a row
    if across.b[1] == 1 and across.c[1] == 1:
        long = across.k * across.n * dtype.np.itemsize > CACHE
        depth = RUN if long else 0
        return Choice("tiles", tile(1, across.n, dtype), depth, turned=not turned)
    return None


def _matrix(s: Sizes, dtype: DType) -> Choice:
    shape = tile(s.m, s.n, dtype)
    size = dtype.np.itemsize
    small = s.k * s.n * size <= CACHE
    crowded = s.b[0] * size % PAGE == 0 and s.k > CROWD
    few = s.m <= 4 * FEW and s.k * s.n * size < FAR
    if s.b[1] == 1 and (few or (small and not crowded)):
        return Choice("tiles", shape)
    if small:
        copies = packed(Shape(*shape), s.k, s.n) + LINE // size
        return Choice("packed", shape, copies=copies)
    return _panels(s, dtype)


def _panels(s: Sizes, dtype: DType) -> Choice:
    """All of `b` packed; of two widths of tiles the one that leaves less over."""
    rows, _, wide = tile(s.m, s.n, dtype)
    room = _registers()[0] // rows
    needed = math.ceil(s.n / wide)
    vectors = min((room - 1, room), key=lambda v: (-needed % max(v, 1), v))
    shape = rows, max(vectors, 1), wide
    pieces = math.ceil(s.k * dtype.np.itemsize / DEPTH)
    depth = _multiple(math.ceil(s.k / pieces), CHUNK)
    copies = packed(Shape(*shape), s.k, s.n) + LINE // dtype.np.itemsize
    return Choice("panels", shape, depth, copies)


def share(x: Product) -> Product:
    """A product, cut into parts if there is enough to do for threads.

    Parts that pack operands for themselves are few: each packs all of `b`, or of `a`.
    """
    if x.work < WORTH:
        return x
    parts = min(PARTS, int(x.work / PART))
    first = x.steps[0] if x.steps and x.output.steps[0] else 1
    own = x.copies is not None and not x.once
    size = 0
    if first >= parts or (x.steps and first >= 2):
        found = replace(x, shared="steps", size=math.ceil(first / parts))
    elif x.tail or (x.m >= 2 * STRIP if x.form == "panels" else x.m >= x.n):
        size = _rows(x, parts, own)
        found = replace(x, shared="rows", size=_multiple(size, x.tile[0]))
    else:
        unit = 1 if x.form == "dots" else x.tile[1] * x.tile[2]
        least = ALONE if own else WIDE if x.depth and x.form == "tiles" else 1
        size = max(math.ceil(x.n / parts), least)
        found = replace(x, shared="columns", size=_multiple(size, unit))
    if found.parts < 2:
        return x
    if own and x.copies is not None:
        copies = ir.Buffer(x.copies.name, (x.copies.size * found.parts,), x.copies.dtype)
        found = replace(found, copies=copies)
    return found


def _rows(x: Product, parts: int, own: bool) -> int:
    """How many rows a part has."""
    if own:
        return max(math.ceil(x.m / parts), ALONE)
    if x.form != "panels":
        return math.ceil(x.m / parts)
    return max(math.ceil(x.m / MOST), STRIP if x.m >= 4 * STRIP else math.ceil(x.m / 4))


def _multiple(size: int, unit: int) -> int:
    return math.ceil(size / unit) * unit


def _registers() -> tuple[int, int]:
    """How many sums a tile may hold, and how many rows it has at most."""
    many = "+avx512f" in host().features or host().triple[:3] == "aar"
    return (24, 8) if many else (12, 6)


def lanes(dtype: DType) -> int:
    """How many numbers a vector register holds."""
    features = host().features
    width = 64 if "+avx512f" in features else 32 if "+avx2" in features else 16
    return width // dtype.np.itemsize


def tile(m: int, n: int, dtype: DType) -> tuple[int, int, int]:
    """Rows, vectors and lanes of the tile that needs least time for a product of m x n.

    Sums hold up to three quarters of the registers. A step of k takes one cycle for each sum or
    for each load, at least the four that a sum waits for itself, and a little for the loop.
    """
    wide = lanes(dtype)
    room, most = _registers()
    rows = math.ceil(m / math.ceil(m / most))
    needed = math.ceil(n / wide)

    def cost(vectors: int) -> int:
        cycles = max(rows * vectors, rows + vectors, 4) + 1
        return math.ceil(needed / vectors) * cycles

    return rows, min(range(1, min(room // rows, needed, 8) + 1), key=cost), wide
