"""Random numbers as loops: what `core/philox.py` computes in arrays, for one element.

A rule gives views whose elements are computed from their position alone: the block that an
element comes from, and which of the block's words. So a compiler may read them in any order,
in lanes or in threads, and put them into what uses them. The words are exactly the kernel's;
functions of them (the normal distribution's) are as exact as the compiler's functions are.
Read `core/philox.py` before; a `place` is (counter's lower half, upper half, key), uint64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from headrace.base.dtypes import bfloat16, float16, float32, float64, int64, uint32, uint64
from headrace.core.philox import SCRAMBLE

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_ONE = 0x3FF0000000000000
_FEW = 128
"""So few classes are counted, not searched."""
_MANTISSA = {float16: 10, bfloat16: 7}


class Place(NamedTuple):
    """Scalars of dtype uint64: where the blocks of a draw begin."""

    low: object
    high: object
    key: object


def block(c, place):
    """The four uint32 of the block at a place."""
    c0, c1 = _halves(c, place.low)
    c2, c3 = _halves(c, place.high)
    k0, k1 = _halves(c, place.key)
    for turn in range(_ROUNDS):
        if turn:
            k0, k1 = k0 + _W0, k1 + _W1
        c0, c1, c2, c3 = (
            c.mulhi(c2, _M1) ^ c1 ^ k0,
            c2 * _M1,
            c.mulhi(c0, _M0) ^ c3 ^ k1,
            c0 * _M0,
        )
    return c0, c1, c2, c3


def _halves(c, x):
    return c.cast(x, uint32), c.cast(x >> 32, uint32)


def joined(c, low, high):
    """The uint64 of two uint32."""
    return c.cast(low, uint64) | (c.cast(high, uint64) << 32)


def _moved(c, place, blocks):
    """The place so many blocks further; the counter's halves carry."""
    low = place.low + c.cast(blocks, uint64)
    return Place(low, place.high + c.cast(low < place.low, uint64), place.key)


def _pick(c, items, k):
    """The one of two or four scalars that stands at position k."""
    if len(items) == 1:
        return items[0]
    half = len(items) // 2
    return c.where(k < half, _pick(c, items[:half], k), _pick(c, items[half:], k - half))


def _elements(c, place, shape, dtype, size, convert):
    """A view whose flat element n is `convert(words, n % size)` of block `n // size`.

    Args:
        place: function that gives the place, called where an element is computed.
    """

    def element(*index):
        n = c.ravel(index, shape)
        return convert(block(c, _moved(c, place(), n // size)), n % size)

    return c.map(shape, dtype, element)


# Uniform numbers


def uniform(c, place, shape, dtype):
    """Numbers in [0, 1)."""
    if dtype is float64:
        return _elements(
            c, place, shape, dtype, 2, lambda words, k: _pick(c, _doubles(c, words), k)
        )
    return _elements(
        c, place, shape, dtype, 4, lambda words, k: _fraction(c, _pick(c, words, k), dtype)
    )


def _fraction(c, word, dtype):
    if dtype is float32:
        return c.bitcast((word & 0x7FFFFF) | 0x3F800000, float32) - 1
    steps = 1 << _MANTISSA[dtype]
    return c.cast(word & (steps - 1), float32) * (1 / steps)


def _doubles(c, words):
    """The two float64 in [0, 1) of a block."""
    found = []
    for first, second in (words[:2], words[2:]):
        mantissa = (c.cast(first & 0xFFFFF, uint64) << 32) | c.cast(second, uint64)
        found.append(c.bitcast(mantissa | _ONE, float64) - 1)
    return found


# Integers


def full_integers(c, place, shape, dtype):
    """Integers from the whole range of a dtype of 32 or 64 bits."""

    def convert(words, k):
        return c.bitcast(_pick(c, _integers(c, words, dtype), k), dtype)

    return _elements(c, place, shape, dtype, 16 // dtype.size, convert)


def _integers(c, words, dtype):
    """The unsigned integers of a block that are as wide as the dtype."""
    if dtype.size == 4:
        return words
    return [joined(c, *words[:2]), joined(c, *words[2:])]


def integers(c, place, shape, minval, maxval):
    """Integers in [minval, maxval), which are views of one scalar."""
    dtype = minval.dtype
    unsigned = uint32 if dtype.size == 4 else uint64
    if 0 in shape:  # an empty draw takes any bounds
        return c.fill(shape, dtype, 0)

    def convert(words, k):
        low, high = minval[()], maxval[()]
        c.check(low < high, "Need minval < maxval, got {} >= {}", low, high)
        low, high = c.bitcast(low, unsigned), c.bitcast(high, unsigned)
        drawn = _pick(c, _integers(c, words, dtype), k)
        return c.bitcast(low + drawn % (high - low), dtype)

    return _elements(c, place, shape, dtype, 16 // dtype.size, convert)


# Classes


def scrambled(c, seed):
    """The place that a seed, a view of two integers, leads to; a function that gives it."""

    def place():
        halves = [c.cast(seed[i], uint64) for i in (0, 1)]
        words = block(c, Place(*halves, c.const(SCRAMBLE, uint64)))
        return Place(c.const(0, uint64), joined(c, *words[2:]), joined(c, *words[:2]))

    return place


def classes(c, place, logits, samples, dtype):
    """Classes of each row of logits, found in its cumulative sums: `[rows, samples]`."""
    rows, count = logits.shape
    if logits.dtype.np.kind in "iu":
        c.refuse("logits that are integers")

    def wide(*i):
        return c.cast(logits[i], float64)

    def finite(*i):
        return c.math.isfinite(wide(*i))

    lowest = c.const(-math.inf, float64)
    highest = c.reduce(
        "max",
        (rows,),
        float64,
        (count,),
        lambda i, r: c.where(finite(*i, *r), wide(*i, *r), lowest),
    )

    def weight(i, j):
        return c.where(finite(i, j), lambda: c.math.exp(wide(i, j) - highest[i]), 0.0)

    weights = c.store(c.map((rows, count), float64, weight))
    totals = c.scan("add", (rows, count), float64, 1, lambda i, j: weights[i, j])
    drawn = uniform(c, place, (rows, samples), float64)
    picks = c.store(
        c.map((rows, samples), float64, lambda i, s: drawn[i, s] * totals[i, count - 1])
    )
    if samples == 1 or count <= _FEW:
        return c.reduce(
            "add",
            (rows, samples),
            dtype,
            (count,),
            lambda i, r: c.cast(totals[i[0], r[0]] <= picks[i], dtype),
        )
    return c.map(
        (rows, samples), dtype, lambda i, s: c.cast(_found(c, totals, i, picks[i, s]), dtype)
    )


def _found(c, totals, row, pick):
    """How many of a row's rising totals are at most `pick`, by halving."""
    count = totals.shape[1]
    place = c.const(0, int64)
    for step in reversed([1 << k for k in range(count.bit_length())]):
        inside = place + step <= count
        last = c.minimum(place + step - 1, count - 1)
        place = c.where(inside & (totals[row, last] <= pick), place + step, place)
    return place


# The normal distribution


def normal(c, place, shape, dtype):
    """Numbers of the standard normal distribution."""
    size = 2 if dtype is float64 else 4

    def convert(words, k):
        if dtype is float64:
            u = _doubles(c, words)
        else:
            wide = [_fraction(c, word, float32) for word in words]
            u = [_pick(c, wide[0::2], k // 2), _pick(c, wide[1::2], k // 2)]
        return _box_muller(c, *u, k % 2)

    return _elements(c, place, shape, dtype, size, convert)


def _box_muller(c, u, v, k):
    """The normal number at position k (0: sine, 1: cosine) of the pair that u and v give."""
    radius = c.math.sqrt(c.math.log(c.maximum(u, 1e-7)) * -2)
    angle = c.cast(c.cast(v, float64) * (2 * math.pi), v.dtype)
    return c.where(k == 0, c.math.sin(angle), c.math.cos(angle)) * radius
