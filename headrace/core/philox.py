"""Philox4x32-10: random bits from a counter and a key, and numbers from the bits.

A block is four uint32 computed from a 128-bit counter; block i of a draw has the counter plus i.
There is no state here: the same counter and key give the same numbers, in any order, on any
machine. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math

import numpy as np

from headrace.base.dtypes import DType, bfloat16, float16, float32, float64

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_MASK = 0xFFFFFFFF
_CHUNK = 1 << 15
_FEW = 4
Counter = int
Key = int


def block(counter: Counter, key: Key) -> tuple[int, int, int, int]:
    """One block in plain Python: faster than NumPy for a handful."""
    c0, c1 = counter & _MASK, counter >> 32 & _MASK
    c2, c3 = counter >> 64 & _MASK, counter >> 96 & _MASK
    k0, k1 = key & _MASK, key >> 32 & _MASK
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return c0, c1, c2, c3


def bits(counter: Counter, key: Key, count: int, stride: int = 1) -> np.ndarray:
    """`count` uint32 from consecutive blocks (every `stride`-th one)."""
    blocks = -(-count // 4)
    if blocks <= _FEW:
        words = [w for i in range(blocks) for w in block(counter + i * stride, key)]
        return np.array(words[:count], dtype=np.uint32)
    result = np.empty((blocks, 4), dtype=np.uint32)
    for begin in range(0, blocks, _CHUNK):
        end = min(begin + _CHUNK, blocks)
        result[begin:end] = _blocks(counter + begin * stride, key, end - begin, stride)
    return result.reshape(-1)[:count]


def _blocks(counter: Counter, key: Key, count: int, stride: int) -> np.ndarray:
    low = counter & 0xFFFFFFFFFFFFFFFF
    high = counter >> 64 & 0xFFFFFFFFFFFFFFFF
    steps = np.arange(count, dtype=np.uint64) * np.uint64(stride) + np.uint64(low)
    mask, half = np.uint64(_MASK), np.uint64(32)
    c0, c1 = steps & mask, steps >> half
    highs = np.full(count, high, dtype=np.uint64)
    highs[steps < np.uint64(low)] += np.uint64(1)
    c2, c3 = highs & mask, highs >> half
    k0, k1 = key & _MASK, key >> 32 & _MASK
    m0, m1 = np.uint64(_M0), np.uint64(_M1)
    for _ in range(10):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1 = (p1 >> half) ^ c1 ^ np.uint64(k0), p1 & mask
        c2, c3 = (p0 >> half) ^ c3 ^ np.uint64(k1), p0 & mask
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def scramble(seed: tuple[int, int]) -> tuple[Counter, Key]:
    """The counter and key of a stateless draw with the seed `(s0, s1)`."""
    s0, s1 = (int(s) & 0xFFFFFFFFFFFFFFFF for s in seed)
    m = block(s0 | s1 << 64, 0x02461E293EC8F720)
    return (m[2] | m[3] << 32) << 64, m[0] | m[1] << 32


def words_for(dtype: DType) -> int:
    """How many uint32 one number of a dtype is made of."""
    return 2 if dtype.size == 8 else 1


def uniform(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` numbers in [0, 1)."""
    words = bits(counter, key, count * words_for(dtype))
    if dtype is float64:
        return _double(words[0::2], words[1::2])
    if dtype is float32:
        return _single(words)
    if dtype is float16:
        halves = (words & np.uint32(0x3FF)).astype(np.uint16) | np.uint16(0x3C00)
        return halves.view(np.float16) - np.float16(1)
    assert dtype is bfloat16
    halves = (words & np.uint32(0x7F)).astype(np.uint16) | np.uint16(0x3F80)
    return (halves.view(bfloat16.np).astype(np.float32) - 1).astype(bfloat16.np)


def _double(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    mantissa = (low & np.uint32(0xFFFFF)).astype(np.uint64) << np.uint64(32)
    return (mantissa | high | np.uint64(0x3FF0000000000000)).view(np.float64) - 1.0


def integers(
    counter: Counter, key: Key, count: int, dtype: DType, low: int, high: int
) -> np.ndarray:
    """`count` integers in [low, high)."""
    words = full_integers(counter, key, count, dtype)
    unsigned = words.view(np.dtype(f"u{dtype.size}"))
    span = unsigned.dtype.type((high - low) % (1 << 8 * dtype.size))
    offset = unsigned.dtype.type(low % (1 << 8 * dtype.size))
    return (unsigned % span + offset).view(dtype.np)


def full_integers(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` integers from the whole range of a dtype."""
    words = bits(counter, key, count * words_for(dtype))
    if dtype.size == 8:
        pairs = words.astype(np.uint64)
        return (pairs[0::2] | pairs[1::2] << np.uint64(32)).view(dtype.np)
    return words.view(dtype.np)


def normal(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` numbers from the standard normal distribution (Box and Muller 1958)."""
    even = count + count % 2
    if dtype is float64:
        words = bits(counter, key, 2 * even)
        return _box_muller(_double(words[0::2], words[1::2]), np.float64)[:count]
    wide = _box_muller(uniform(counter, key, even, float32), np.float32)[:count]
    return wide.astype(dtype.np, copy=False)


def _box_muller(u: np.ndarray, kind: type) -> np.ndarray:
    radius = np.sqrt(kind(-2) * np.log(np.maximum(u[0::2], kind(1e-7))))
    angle = kind(2 * math.pi) * u[1::2]
    result = np.empty_like(u)
    result[0::2], result[1::2] = np.sin(angle) * radius, np.cos(angle) * radius
    return result


def truncated_normal(counter: Counter, key: Key, count: int, dtype: DType) -> np.ndarray:
    """`count` normals, none of them 2 or more from 0.

    Each number has 64 blocks to draw from; numbers that share a block (four, or two of float64)
    draw together and keep the first that are near enough.
    """
    group = 2 if dtype is float64 else 4
    kind = float64 if dtype is float64 else float32
    groups = -(-count // group)
    stride = 64 * group
    words = bits(counter, key, groups * 4, stride)
    u = _double(words[0::2], words[1::2]) if kind is float64 else _single(words)
    result = _box_muller(u, kind.np.type).reshape(groups, group)
    for g in np.flatnonzero((np.abs(result) >= 2).any(axis=1)):
        result[g] = _first_near(counter + stride * int(g), key, group, kind, result[g])
    return result.reshape(-1)[:count].astype(dtype.np, copy=False)


def _single(words: np.ndarray) -> np.ndarray:
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def _first_near(
    counter: Counter, key: Key, group: int, kind: DType, start: np.ndarray
) -> np.ndarray:
    found = [x for x in start if abs(x) < 2]
    step = 1
    while len(found) < group:
        found.extend(x for x in normal(counter + step, key, group, kind) if abs(x) < 2)
        step += 1
    return np.array(found[:group], dtype=kind.np)


def permutation(counter: Counter, key: Key, count: int) -> np.ndarray:
    """An order of `count` rows, by swapping each with one that follows it or itself."""
    order = np.arange(count)
    if count < 2:
        return order
    picks = bits(counter, key, count - 1).astype(np.int64)
    picks = np.arange(count - 1) + picks % np.arange(count, 1, -1)
    rows = order.tolist()
    for i, j in enumerate(picks.tolist()):
        rows[i], rows[j] = rows[j], rows[i]
    return np.array(rows)
