"""Random programs of loops for the scheduler's tests.

All values are small whole numbers, so that every sum is exact in whatever order it is added up:
a program and its schedule must agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.compile.loops import ir
from headrace.compile.loops.builder import Builder
from headrace.compile.loops.views import Stored, View

DTYPES = (dtypes.float32, dtypes.int32, dtypes.float64, dtypes.float16, dtypes.int8)
EXTENTS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 9, 17, 20, 40])
SHAPES = (
    st.lists(EXTENTS, min_size=1, max_size=3).map(tuple).filter(lambda s: np.prod(s) <= 700)
)
LIMIT = 9


class Program:
    """A program that is being drawn: the views so far, and those with memory."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.c = Builder()
        self.inputs: list[ir.Buffer] = []
        self.views: list[View] = []
        for k in range(data.draw(st.integers(1, 3))):
            shape = data.draw(SHAPES if k == 0 else st.one_of(st.just(self._shape()), SHAPES))
            dtype = data.draw(st.sampled_from(DTYPES))
            self.inputs.append(ir.Buffer(f"x{k}", shape, dtype))
            self.views.append(Stored(self.inputs[-1]))

    def _shape(self) -> tuple[int, ...]:
        return self.inputs[0].shape

    def draw(self) -> ir.Loops:
        for _ in range(self.data.draw(st.integers(1, 7))):
            x = self.pick()
            kind = self.data.draw(st.sampled_from(KINDS if x.rank and x.size else (mapped,)))
            made = kind(self, x)
            if made.size <= 2000:
                self.views.append(made)
        count = self.data.draw(st.integers(1, 3))
        return self.c.finish("Random", self.inputs, self.views[-count:])

    def pick(self) -> View:
        return self.data.draw(st.sampled_from(self.views))

    def kept(self, view: View) -> View:
        """The view, stored or not."""
        return self.c.store(view) if self.data.draw(st.integers(0, 3)) else view

    def small(self, x: Any) -> Any:
        return self.c.minimum(self.c.maximum(x, -LIMIT), LIMIT)

    def number(self, view: View, *index: Any) -> Any:
        return self.c.cast(view[index], dtypes.float32)


def mapped(p: Program, x: View) -> View:
    """A map of one or two views, whose shapes broadcast."""
    same = [v for v in p.views if v.rank <= x.rank and v.shape == x.shape[x.rank - v.rank :]]
    y = p.data.draw(st.sampled_from(same))
    kind = p.data.draw(st.sampled_from(["add", "sub", "max", "mul"]))
    dtype = p.data.draw(st.sampled_from([x.dtype, dtypes.float32]))

    def element(*i: Any) -> Any:
        a = p.c.cast(x[i], dtypes.float32)
        b = p.c.cast(y[i[x.rank - y.rank :]], dtypes.float32)
        found = {
            "add": lambda: a + b,
            "sub": lambda: a - b,
            "max": lambda: p.c.maximum(a, b),
            "mul": lambda: a * b,
        }[kind]()
        return p.c.cast(p.small(found), dtype)

    return p.kept(p.c.map(x.shape, dtype, element))


def moved(p: Program, x: View) -> View:
    """Transposed, reversed, shifted, repeated, or of another shape."""
    kind = p.data.draw(st.sampled_from(["turn", "flip", "shift", "tile", "flat", "pairs"]))
    if kind == "turn":
        order = p.data.draw(st.permutations(range(x.rank)))
        shape = tuple(x.shape[k] for k in order)
        return p.kept(
            p.c.map(
                shape, x.dtype, lambda *i: x[tuple(i[order.index(d)] for d in range(x.rank))]
            )
        )
    axis = p.data.draw(st.integers(0, x.rank - 1))
    n = x.shape[axis]

    def along(rule: Any, extent: int = n) -> View:
        shape = (*x.shape[:axis], extent, *x.shape[axis + 1 :])
        return p.kept(
            p.c.map(shape, x.dtype, lambda *i: rule((*i[:axis],), i[axis], (*i[axis + 1 :],)))
        )

    match kind:
        case "flip":
            return along(lambda a, k, b: x[(*a, n - 1 - k, *b)])
        case "shift":
            return along(
                lambda a, k, b: p.c.where(k > 0, lambda: x[(*a, k - 1, *b)], lambda: 0)
            )
        case "tile":
            return along(lambda a, k, b: x[(*a, k % n, *b)], 2 * n)
        case "pairs":
            return along(lambda a, k, b: x[(*a, k // 2, *b)])
    return x.reshape((x.size,))


def reduced(p: Program, x: View) -> View:
    """A reduction over some axes."""
    axes = sorted(p.data.draw(st.sets(st.integers(0, x.rank - 1), min_size=1)))
    combine = p.data.draw(st.sampled_from(["add", "max", "min"]))
    kept = [d for d in range(x.rank) if d not in axes]
    shape = tuple(x.shape[d] for d in kept)

    def element(index: Any, r: Any) -> Any:
        at = dict(zip(kept, index, strict=True)) | dict(zip(axes, r, strict=True))
        return p.number(x, *(at[d] for d in range(x.rank)))

    over = tuple(x.shape[a] for a in axes)
    found = p.c.reduce(combine, shape, dtypes.float32, over, element)
    return p.kept(p.c.map(shape, dtypes.float32, lambda *i: p.small(found[i])))


def scanned(p: Program, x: View) -> View:
    axis = p.data.draw(st.integers(0, x.rank - 1))
    forms = {k: p.data.draw(st.booleans()) for k in ("exclusive", "reverse")}
    found = p.c.scan("add", x.shape, dtypes.float32, axis, lambda *i: p.number(x, *i), **forms)
    return p.c.map(x.shape, dtypes.float32, lambda *i: p.small(found[i]))


def extreme(p: Program, x: View) -> View:
    kind = p.data.draw(st.sampled_from(["max", "min"]))
    return p.c.arg_reduce(kind, x.shape[:-1], dtypes.int32, x.shape[-1], lambda i, r: x[i + r])


def scattered(p: Program, x: View) -> View:
    """Sums of the rows whose first index is the same modulo 3."""
    zeros = p.c.fill((3, *x.shape[1:]), dtypes.float32, 0)
    when = p.data.draw(st.sampled_from([None, lambda *i: i[0] != 1]))
    return p.c.scatter(
        "add", zeros, x.shape, lambda *i: ((i[0] % 3, *i[1:]), p.number(x, *i)), when=when
    )


def gathered(p: Program, x: View) -> View:
    """Rows at places that the program has computed, and checked."""
    y = p.pick()

    def element(*i: Any) -> Any:
        k = p.c.cast(abs(p.c.cast(y[i[: y.rank]], dtypes.int32)), dtypes.int64) % x.shape[0]
        p.c.check((k >= 0) & (k < 2 * x.shape[0]), "row {}", k + k)
        return x[(k, *i[y.rank :])]

    if y.size * x.size > 2000:
        return x
    return p.kept(p.c.map((*y.shape, *x.shape[1:]), x.dtype, element))


KINDS = (
    mapped,
    mapped,
    mapped,
    moved,
    reduced,
    reduced,
    scanned,
    extreme,
    scattered,
    gathered,
)


def arrays(loops: ir.Loops, seed: int) -> tuple[np.ndarray, ...]:
    """Random values of its inputs."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(-4, 5, b.shape).astype(b.dtype.np) for b in loops.inputs)
