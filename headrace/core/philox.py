"""Philox4x32-10: random bits from a counter and a key, and numbers from the bits.

A block is four uint32 computed from a 128-bit counter; block i of a draw has the counter plus
i. There is no state here: the same counter and key give the same numbers, in any order, on any
machine. Two implementations give the same bits: a few blocks are computed side by side in one
long Python integer (`_few`), many in NumPy arrays that fit the cache (`_many`). Numbers agree
with TensorFlow's: integers and uniforms bit for bit, normals as exactly as sines are rounded.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from headrace.base.dtypes import DType, bfloat16, float16, float32, float64, uint32

Counter = int
Key = int

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_MASK = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_ROUNDS = 10
_CHUNK = 1 << 13
_FEW = 192
_FEW_PAIRS = 512
_FEW_ROWS = 2048
SCRAMBLE: Key = 0x02461E293EC8F720

_U64 = np.dtype(np.uint64)
_HALF = np.array(32, _U64)
_LOW_HALF = np.array(_MASK, _U64)


# Bits


def block(counter: Counter, key: Key) -> tuple[int, int, int, int]:
    """One block."""
    c0, c1 = counter & _MASK, counter >> 32 & _MASK
    c2, c3 = counter >> 64 & _MASK, counter >> 96 & _MASK
    k0, k1 = key & _MASK, key >> 32 & _MASK
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = k0 + _W0 & _MASK, k1 + _W1 & _MASK
    return c0, c1, c2, c3


def words(counter: Counter, key: Key, blocks: int, stride: int = 1) -> np.ndarray:
    """The uint32 of `blocks` blocks (every `stride`-th one), an array that the caller owns."""
    low, high = counter & _MASK64, counter >> 64 & _MASK64
    if blocks <= _FEW and low + stride * blocks <= _MASK64:
        ones, _, steps = _lanes(blocks)
        return _few(low * ones + stride * steps, high, key, blocks)
    return words_at(np.arange(0, stride * blocks, stride, dtype=_U64), counter, key)


def words_at(offsets: np.ndarray, counter: Counter, key: Key) -> np.ndarray:
    """The uint32 of the blocks at `counter + offsets`."""
    low, high = np.uint64(counter & _MASK64), counter >> 64 & _MASK64
    lows = offsets + low
    wrapped = lows < low
    if wrapped.any():
        highs = np.where(wrapped, np.uint64(high + 1 & _MASK64), np.uint64(high))
        return _many(lows, highs, key)
    if len(lows) <= _FEW:
        return _few(int.from_bytes(lows.tobytes(), "little"), high, key, len(lows))
    return _many(lows, np.uint64(high), key)


@lru_cache(maxsize=2 * _FEW)
def _lanes(count: int) -> tuple[int, int, int]:
    """Integers of `count` lanes of 64 bits: a 1 in each, 32 ones in each, and 0, 1, 2, ..."""
    ones = sum(1 << 64 * i for i in range(count))
    return ones, ones * _MASK, sum(i << 64 * i for i in range(count))


def _few(lows: int, high: int, key: Key, count: int) -> np.ndarray:
    """Blocks side by side in lanes of one integer: a product of two 32-bit numbers stays in its
    lane, so that each operation serves all blocks at once."""
    ones, mask, _ = _lanes(count)
    c0, c1 = lows & mask, lows >> 32 & mask
    c2, c3 = (high & _MASK) * ones, (high >> 32) * ones
    k0, k1 = key & _MASK, key >> 32 & _MASK
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1 = (p1 >> 32 & mask) ^ c1 ^ k0 * ones, p1 & mask
        c2, c3 = (p0 >> 32 & mask) ^ c3 ^ k1 * ones, p0 & mask
        k0, k1 = k0 + _W0 & _MASK, k1 + _W1 & _MASK
    result = np.empty((count, 2), _U64)
    result[:, 0] = np.frombuffer((c0 | c1 << 32).to_bytes(8 * count, "little"), _U64)
    result[:, 1] = np.frombuffer((c2 | c3 << 32).to_bytes(8 * count, "little"), _U64)
    return result.view(np.uint32).reshape(-1)


def _many(lows: np.ndarray, highs: np.ndarray | np.uint64, key: Key) -> np.ndarray:
    """Blocks in arrays: row 0 of `even` is c0 and row 1 is c2; `odd` has c1 and c3.

    A round crosses the rows over. They are left where they are and read in reverse instead;
    after an even number of rounds each stands in its own place again.
    """
    count = len(lows)
    even, odd, product = (np.empty((2, count), _U64) for _ in range(3))
    np.bitwise_and(lows, _LOW_HALF, out=even[0])
    np.right_shift(lows, _HALF, out=odd[0])
    even[1], odd[1] = highs & _LOW_HALF, highs >> _HALF
    crossed = odd[::-1]
    for factors, keys in _schedule(key):
        np.multiply(even, factors, out=product)
        np.right_shift(product, _HALF, out=even)
        np.bitwise_xor(even, crossed, out=even)
        np.bitwise_xor(even, keys, out=even)
        np.bitwise_and(product, _LOW_HALF, out=odd)
    np.left_shift(odd, _HALF, out=odd)
    np.bitwise_or(even, odd, out=even)
    return even.T.copy().view(np.uint32).reshape(-1)


@lru_cache(maxsize=16)
def _schedule(key: Key) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each round multiplies with and what it mixes in, in the order of `_many`'s rows."""
    rounds = []
    k0, k1 = key & _MASK, key >> 32 & _MASK
    for turn in range(_ROUNDS):
        factors, keys = ((_M0, _M1), (k1, k0)) if turn % 2 == 0 else ((_M1, _M0), (k0, k1))
        rounds.append((np.array(factors, _U64)[:, None], np.array(keys, _U64)[:, None]))
        k0, k1 = k0 + _W0 & _MASK, k1 + _W1 & _MASK
    return rounds


def scramble(s0: int, s1: int) -> tuple[Counter, Key]:
    """The counter and key of a stateless draw with the seed `(s0, s1)`."""
    m0, m1, m2, m3 = block((s0 & _MASK64) | (s1 & _MASK64) << 64, SCRAMBLE)
    return (m2 | m3 << 32) << 64, m0 | m1 << 32


# Numbers


def _draw(
    counter: Counter,
    key: Key,
    count: int,
    per_block: int,
    dtype: DType,
    convert: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """`count` numbers, `per_block` from each block, converted while their bits are in cache."""
    blocks = -(-count // per_block)
    if blocks <= _CHUNK:
        return convert(words(counter, key, blocks))[:count]
    result = np.empty(count, dtype.np)
    for begin in range(0, blocks, _CHUNK):
        chunk = words(counter + begin, key, min(_CHUNK, blocks - begin))
        first = begin * per_block
        part = result[first : first + _CHUNK * per_block]
        part[...] = convert(chunk)[: len(part)]
    return result


def uniform(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` numbers in [0, 1)."""
    per_block = 2 if dtype is float64 else 4
    return _draw(counter, key, count, per_block, dtype, _UNIFORM[dtype])


def _to_float32(bits: np.ndarray) -> np.ndarray:
    np.bitwise_and(bits, np.uint32(0x7FFFFF), out=bits)
    np.bitwise_or(bits, np.uint32(0x3F800000), out=bits)
    numbers = bits.view(np.float32)
    return np.subtract(numbers, np.float32(1), out=numbers)


def to_float64(bits: np.ndarray) -> np.ndarray:
    """The first of two words has the upper 20 bits of the mantissa."""
    pairs = bits.view(_U64)
    mantissa = (pairs & np.uint64(0xFFFFF)) << _HALF
    mantissa |= pairs >> _HALF
    mantissa |= np.uint64(0x3FF0000000000000)
    numbers = mantissa.view(np.float64)
    return np.subtract(numbers, 1.0, out=numbers)


def _to_16_bits(dtype: DType, mantissa: int) -> Callable[[np.ndarray], np.ndarray]:
    """From the lowest `mantissa` bits of each word, looked up."""
    count = 1 << mantissa
    steps = (np.arange(count) / count).astype(dtype.np)
    return lambda bits: steps[bits & np.uint32(count - 1)]


_UNIFORM: dict[DType, Callable[[np.ndarray], np.ndarray]] = {
    float32: _to_float32,
    float64: to_float64,
    float16: _to_16_bits(float16, 10),
    bfloat16: _to_16_bits(bfloat16, 7),
}


def full_integers(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` integers from the whole range of a dtype of 32 or 64 bits."""
    return _draw(counter, key, count, 16 // dtype.size, dtype, lambda bits: bits.view(dtype.np))


def integers(
    counter: Counter, key: Key, count: int, dtype: DType, low: int, high: int
) -> np.ndarray:
    """`count` integers in [low, high), of a dtype of 32 or 64 bits."""
    unsigned = np.dtype(f"u{dtype.size}")
    size = 1 << 8 * dtype.size
    span, offset = unsigned.type((high - low) % size), unsigned.type(low % size)

    def convert(bits: np.ndarray) -> np.ndarray:
        numbers = bits.view(unsigned)
        np.remainder(numbers, span, out=numbers)
        return np.add(numbers, offset, out=numbers).view(dtype.np)

    return _draw(counter, key, count, 16 // dtype.size, dtype, convert)


# The normal distribution


def normal(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` numbers from the standard normal distribution (Box and Muller 1958)."""
    if dtype is float64:
        return _draw(counter, key, count, 2, dtype, _to_normal64)
    result = _draw(counter, key, count, 4, float32, _to_normal32)
    return result.astype(dtype.np, copy=False)


def _to_normal64(bits: np.ndarray) -> np.ndarray:
    u = to_float64(bits)
    radius = np.sqrt(-2.0 * np.log(np.maximum(u[0::2], 1e-7)))
    angle = 2 * math.pi * u[1::2]
    result = np.empty_like(u)
    np.multiply(np.sin(angle), radius, out=result[0::2])
    np.multiply(np.cos(angle), radius, out=result[1::2])
    return result


def _to_normal32(bits: np.ndarray) -> np.ndarray:
    """Each function is computed in float64 and rounded, which is what a good libm returns."""
    u = _to_float32(bits)
    near = np.maximum(u[0::2], np.float32(1e-7)).astype(np.float64)
    radius = np.sqrt(np.log(near).astype(np.float32) * np.float32(-2))
    angle = (u[1::2] * np.float64(2 * math.pi)).astype(np.float32).astype(np.float64)
    sine, cosine = _sine_and_cosine(angle)
    result = np.empty_like(u)
    np.multiply(sine.astype(np.float32), radius, out=result[0::2])
    np.multiply(cosine.astype(np.float32), radius, out=result[1::2])
    return result


def _sine_and_cosine(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of float64 angles in [0, 2π], to 1e-15.

    Each of many is a tabulated angle and a rest: sin(t + d) = sin t cos d + cos t sin d.
    """
    if len(angle) <= _FEW_PAIRS:
        return np.sin(angle), np.cos(angle)
    step, sines, cosines = _circle()
    nearest = (angle * (1 / step)).astype(np.int32)
    rest = angle - nearest * step
    square = rest * rest
    sine_rest = ((square * (1 / 120) - 1 / 6) * square + 1) * rest
    cosine_rest = (square * (1 / 24) - 1 / 2) * square + 1
    sine, cosine = sines.take(nearest), cosines.take(nearest)
    return sine * cosine_rest + cosine * sine_rest, cosine * cosine_rest - sine * sine_rest


@lru_cache(maxsize=1)
def _circle() -> tuple[float, np.ndarray, np.ndarray]:
    """Sines and cosines at 4096 steps around the circle."""
    step = 2 * math.pi / 4096
    angles = np.arange(4097) * step
    return step, np.sin(angles), np.cos(angles)


def truncated_normal(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` normals, none of them 2 or more from 0.

    Each number has 64 blocks to draw from. Numbers that share a block (four, or two of float64)
    draw together: they are the first of their blocks' normals that are near enough.
    """
    wide = float64 if dtype is float64 else float32
    size = 2 if wide is float64 else 4
    groups = -(-count // size)
    result = np.empty((groups, size), wide.np)
    for begin in range(0, groups, _CHUNK):
        end = min(begin + _CHUNK, groups)
        result[begin:end] = _near(counter + 64 * size * begin, key, end - begin, size)
    return result.reshape(-1)[:count].astype(dtype.np, copy=False)


def _near(counter: Counter, key: Key, groups: int, size: int) -> np.ndarray:
    """The first `size` near normals of each group: `[groups, size]`."""
    convert = _to_normal64 if size == 2 else _to_normal32
    starts = np.arange(0, 64 * size * groups, 64 * size, dtype=_U64)
    result = convert(words_at(starts, counter, key)).reshape(groups, size)
    pending = np.flatnonzero((np.abs(result) >= 2).any(axis=1))
    drawn = result[pending]
    for step in range(1, 64 * size):
        if not len(pending):
            break
        more = convert(words_at(starts[pending] + np.uint64(step), counter, key))
        drawn = np.concatenate([drawn, more.reshape(-1, size)], axis=1)
        far = np.abs(drawn) >= 2
        order = np.argsort(far, axis=1, kind="stable")[:, :size]
        result[pending] = np.take_along_axis(drawn, order, axis=1)
        short = drawn.shape[1] - far.sum(axis=1) < size
        pending, drawn = pending[short], drawn[short]
    return result


# Orders


def permutation(counter: Counter, key: Key, count: int) -> np.ndarray:
    """An order of `count` rows: each in turn is swapped with itself or one that follows it.

    Source: Durstenfeld 1964, Algorithm 235: "Random permutation".
    """
    if count < 2:
        return np.arange(count)
    rows = np.arange(count)
    picks = full_integers(counter, key, count - 1, uint32) % np.arange(
        count, 1, -1, dtype=np.uint32
    )
    partners = rows[:-1] + picks
    return _swapped(partners) if count <= _FEW_ROWS else _traced(partners, count)


def _swapped(partners: np.ndarray) -> np.ndarray:
    """The order after row i and row `partners[i]` were swapped, for each i in turn."""
    rows = list(range(len(partners) + 1))
    for i, j in enumerate(partners.tolist()):
        rows[i], rows[j] = rows[j], rows[i]
    return np.array(rows)


def _traced(partners: np.ndarray, count: int) -> np.ndarray:
    """What `_swapped` gives, without swapping: where does the row in each place come from?

    The row that stands in place i at turn i was put there by the last earlier turn that had i
    for a partner, or was there from the beginning. Turn i then takes what the last earlier turn
    with the same partner has put there.
    """
    turns = np.arange(count)
    partners = np.append(partners, count - 1)
    source = turns.copy()
    moved = turns[partners > turns]
    source[partners[moved]] = moved
    while True:
        further = source[source]
        if np.array_equal(further, source):
            break
        source = further
    by_partner = np.sort(partners.astype(_U64) << _HALF | turns.astype(_U64))
    partner, turn = by_partner >> _HALF, (by_partner & _LOW_HALF).astype(np.int64)
    again = partner[1:] == partner[:-1]
    partners[turn[1:][again]] = source[turn[:-1][again]]
    return partners
