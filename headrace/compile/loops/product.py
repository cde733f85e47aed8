"""A contraction as matrix products: what a stage of loops means, in the words of a kernel.

A schedule puts a `Product` on a stage that it has recognised. The stage's loops stay what they
were: they say what is computed, for the interpreter, the verifier and whoever looks for what a
stage touches. The product says how it runs. Read `ir.py` before, `schedule/contract.py` after.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Const, Expr, Index, bounds

FORMS = ("tiles", "packed", "panels", "dots")
"""Operands read in place; `b` packed; `b` packed in blocks of k, and some rows of `a` at a
time; one column after the other, lanes along k."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Part of a buffer: element [i, j] of the matrix at `step` lies at `offset` + i * `rows` +
    j * `columns` + the sum of step * `steps`."""

    buffer: ir.Buffer
    offset: Expr
    rows: int
    columns: int
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tail:
    """What is done with each row of the output, as soon as it is there: `body`, in `row`."""

    row: Index
    body: tuple[ir.Statement, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """`output` = `a` [m, k] times `b` [k, n], at each of `steps`.

    Where the output stays at its place from step to step, the products are added up.

    Attributes:
        form: one of `FORMS`.
        tile: rows, vectors and lanes of what is held in registers.
        depth: of blocks: all tiles take so many steps of k before any takes more, and sums of
            blocks are added up in the order of k; 0: there is one block.
        copies: where packed operands lie.
        tail: elementwise work on the rows of the output.
        shared: what is cut into parts of `size` for threads: "rows", "columns", the first of
            the "steps", or nothing.
        outside: how many of the loops around the stage do not change `b`: it is packed before
            them.
    """

    output: Matrix
    a: Matrix
    b: Matrix
    m: int
    n: int
    k: int
    steps: tuple[int, ...]
    form: str
    tile: tuple[int, int, int]
    depth: int = 0
    copies: ir.Buffer | None = None
    tail: Tail | None = None
    shared: str = ""
    size: int = 0
    outside: int = 0

    @property
    def parts(self) -> int:
        """How many parts there are."""
        if not self.shared:
            return 1
        extents = {"rows": self.m, "columns": self.n, "steps": self.steps and self.steps[0]}
        return -(-int(extents[self.shared] or 0) // self.size)

    @property
    def once(self) -> bool:
        """Whether `b` is packed once, for all parts and steps."""
        return self.form in ("packed", "panels") and not any(self.b.steps)

    @property
    def matrices(self) -> tuple[tuple[Matrix, int, int], ...]:
        """The three matrices with their extents."""
        return (
            (self.output, self.m, self.n),
            (self.a, self.m, self.k),
            (self.b, self.k, self.n),
        )

    @property
    def work(self) -> float:
        """About how many nanoseconds it takes."""
        return 0.02 * self.m * self.n * self.k * prod(self.steps)


def fault(product: Product) -> str | None:
    """What is wrong with a product; None if nothing is."""
    if product.form not in FORMS:
        return f"a product in form {product.form!r}"
    if min(product.m, product.n, product.k, *product.steps) < 1:
        return "a product of nothing"
    if (product.copies is None) != (product.form in ("tiles", "dots")):
        return f"a product in form {product.form} and its copies"
    for matrix, rows, columns in product.matrices:
        if len(matrix.steps) != len(product.steps):
            return f"steps of {matrix.buffer.name}"
        known = bounds(matrix.offset)
        spans = [matrix.rows * (rows - 1), matrix.columns * (columns - 1)]
        spans += [s * (n - 1) for s, n in zip(matrix.steps, product.steps, strict=True)]
        low = sum(min(0, s) for s in spans)
        high = sum(max(0, s) for s in spans)
        if known and not (known[0] + low >= 0 and known[1] + high < matrix.buffer.size):
            return f"a matrix outside of {matrix.buffer.name}"
    if product.outside and not product.once:
        return "an operand that is packed again and again, before loops"
    if product.shared == "steps" and not (product.steps and product.output.steps[0]):
        return "parts that add up"
    if product.tail and (product.shared == "columns" or product.steps):
        return "a tail of rows that are not whole"
    if product.form != "dots" and product.output.columns != 1 and product.n > 1:
        return "an output whose rows are not dense"
    return None


def shown(product: Product) -> str:
    """A product as text: all that decides what code is made of it."""
    sides = ", ".join(_matrix(m) for m, _, _ in product.matrices)
    extents = "x".join(str(n) for n in (product.m, product.n, product.k))
    steps = f" steps {list(product.steps)}" if product.steps else ""
    tile = "x".join(str(n) for n in product.tile)
    depth = f" cut at {product.depth}" if product.depth else ""
    copies = f" through {product.copies.name}" if product.copies else ""
    if product.outside:
        copies += f", packed before {product.outside} loops"
    if product.shared:
        copies += f", {product.parts} parts of {product.size} {product.shared}"
    if product.tail:
        copies += f", then {_lanes(product.tail)}"
    return f"{product.form} {extents} of {sides}{steps} in tiles of {tile}{depth}{copies}"


def _lanes(tail: Tail) -> str:
    loops = [s for s in tail.body if isinstance(s, ir.For)]
    return " and ".join(f"columns in lanes of {s.lanes}x{s.copies}" for s in loops)


def _matrix(matrix: Matrix) -> str:
    steps = f"; {list(matrix.steps)}" if matrix.steps else ""
    place = matrix.offset.value if isinstance(matrix.offset, Const) else "?"
    return f"{matrix.buffer.name}[{place}; {matrix.rows}, {matrix.columns}{steps}]"
