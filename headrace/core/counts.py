"""Poisson and binomial numbers from Philox: how often something happened.

Each output has a stream of uniform numbers of its own, far enough from the next one's, for it
may have to draw often. All outputs are worked on at once; those that have not found their
number yet go on. Read `core/philox.py` before.

Sources: Knuth 1969, "Seminumerical algorithms" (few events); Hörmann 1993, "The transformed
rejection method for generating Poisson random variables" and "The generation of binomial random
variates" (many).
"""

from __future__ import annotations

import math

import numpy as np

from headrace.core import philox
from headrace.core.philox import Counter, Key

_lgamma = np.frompyfunc(math.lgamma, 1, 1)

_BLOCKS = 256
_BLOCKS_OF_FEW_SUCCESSES = 42
_FEW = 10


class Streams:
    """A stream of uniform numbers in [0, 1) for each output; of a block the second comes first.

    Args:
        starts: how many blocks from the counter each stream begins: `[count]`.
    """

    def __init__(self, counter: Counter, key: Key, starts: np.ndarray) -> None:
        self.counter, self.key = counter, key
        self.next = starts.astype(np.uint64)
        self.spare = np.full(len(starts), np.nan)

    def take(self, outputs: np.ndarray) -> np.ndarray:
        """The next number of each of some outputs."""
        numbers = self.spare[outputs]
        dry = np.isnan(numbers)
        if dry.any():
            places = outputs[dry]
            words = philox.words_at(self.next[places], self.counter, self.key)
            first, second = philox.to_float64(words).reshape(-1, 2).T
            numbers[dry] = second
            self.next[places] += np.uint64(1)
            self.spare[outputs] = np.nan
            self.spare[places] = first
        else:
            self.spare[outputs] = np.nan
        return numbers


def poisson(counter: Counter, key: Key, rates: np.ndarray, largest: float) -> np.ndarray:
    """One number of events for each rate: float64 `[count]`.

    Args:
        rates: expected numbers of events, float64 `[count]`; one that is NaN or above `largest`
            is returned as it is, below 0 is 0.
        largest: no number above this is drawn.
    """
    streams = Streams(counter, key, _BLOCKS * np.arange(len(rates)))
    result = rates.copy()
    few = np.flatnonzero(rates < _FEW)
    result[few] = _few_events(streams, few, rates[few])
    many = np.flatnonzero((rates >= _FEW) & (rates <= largest))
    result[many] = _many_events(streams, many, rates[many], largest)
    return result


def _few_events(streams: Streams, outputs: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """How many uniform numbers can be multiplied before they fall below exp(-rate)."""
    result = np.zeros(len(outputs))
    limit, product = np.exp(-rates), np.ones(len(outputs))
    open_ = np.arange(len(outputs))
    while len(open_):
        product[open_] *= streams.take(outputs[open_])
        open_ = open_[product[open_] > limit[open_]]
        result[open_] += 1
    return result


def _many_events(
    streams: Streams, outputs: np.ndarray, rates: np.ndarray, largest: float
) -> np.ndarray:
    result = np.empty(len(outputs))
    b = 0.931 + 2.53 * np.sqrt(rates)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    open_ = np.arange(len(outputs))
    while len(open_):
        u = streams.take(outputs[open_]) - 0.5
        v = streams.take(outputs[open_])
        shifted = 0.5 - np.abs(u)
        at, bt, rate = a[open_], b[open_], rates[open_]
        k = np.floor((2 * at / shifted + bt) * u + rate + 0.43)
        inside = (shifted >= 0.07) & (v <= 0.9277 - 3.6224 / (bt - 2))
        outside = (k < 0) | ((shifted < 0.013) & (v > shifted))
        height = np.log(v * inverse[open_] / (at / (shifted * shifted) + bt))
        below = height <= -rate + k * np.log(rate) - _lgamma(np.maximum(k, 0) + 1).astype(float)
        accepted = (k <= largest) & (inside | (~outside & below))
        result[open_[accepted]] = k[accepted]
        open_ = open_[~accepted]
    return result


def binomial(counter: Counter, key: Key, counts: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """One number of successes for each number of trials and probability: float64 `[count]`.

    Args:
        counts: numbers of trials, float64 `[count]`.
        probs: probabilities of a success, float64 `[count]`; outside [0, 1] they are certain.
    Returns: NaN or infinity where `counts` is so, NaN where `probs` is.
    """
    rare = np.where(probs > 0.5, 1 - probs, probs)
    is_few = counts * rare < _FEW
    blocks = np.where(is_few, _BLOCKS_OF_FEW_SUCCESSES, _BLOCKS)
    streams = Streams(counter, key, blocks * np.arange(len(counts)))
    result = np.zeros(len(counts))
    drawn = np.isfinite(counts) & (rare > 0)
    few = np.flatnonzero(drawn & is_few)
    result[few] = _few_successes(streams, few, counts[few], rare[few])
    many = np.flatnonzero(drawn & ~is_few)
    result[many] = _many_successes(streams, many, counts[many], rare[many])
    result = np.where(probs > 0.5, counts - result, result)
    return np.where(np.isfinite(counts), np.where(np.isnan(probs), probs, result), counts)


def _few_successes(
    streams: Streams, outputs: np.ndarray, counts: np.ndarray, probs: np.ndarray
) -> np.ndarray:
    """How many successes come before the trials are over, by the failures between them."""
    result, trials = np.zeros(len(outputs)), np.zeros(len(outputs))
    rate = np.log1p(-probs)
    open_ = np.arange(len(outputs))
    while len(open_):
        trials[open_] += np.ceil(np.log(streams.take(outputs[open_])) / rate[open_])
        open_ = open_[trials[open_] <= counts[open_]]
        result[open_] += 1
    return result


def _many_successes(
    streams: Streams, outputs: np.ndarray, counts: np.ndarray, probs: np.ndarray
) -> np.ndarray:
    result = np.empty(len(outputs))
    open_ = np.arange(len(outputs))
    while len(open_):
        u = streams.take(outputs[open_])
        v = streams.take(outputs[open_])
        k, accepted = _hat(u - 0.5, v, counts[open_], probs[open_])
        result[open_[accepted]] = k[accepted]
        open_ = open_[~accepted]
    return result


def _hat(
    u: np.ndarray, v: np.ndarray, n: np.ndarray, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A number of successes proposed by `u`, and whether `v` accepts it."""
    deviation = np.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = np.floor((n + 1) * p)
    shifted = 0.5 - np.abs(u)
    k = np.floor((2 * a / shifted + b) * u + n * p + 0.5)
    inside = (shifted >= 0.07) & (v <= 0.92 - 4.2 / b)
    possible = (k >= 0) & (k <= n)
    k_safe = np.where(possible, k, 0)
    bound = (
        (m + 0.5) * np.log((m + 1) / (odds * (n - m + 1)))
        + (n + 1) * np.log((n - m + 1) / (n - k_safe + 1))
        + (k_safe + 0.5) * np.log(odds * (n - k_safe + 1) / (k_safe + 1))
        + _tail(m)
        + _tail(n - m)
        - _tail(k_safe)
        - _tail(n - k_safe)
    )
    below = np.log(v * alpha / (a / (shifted * shifted) + b)) <= bound
    return k, inside | (possible & below)


def _tail(k: np.ndarray) -> np.ndarray:
    """What Stirling's formula for log k! leaves out."""
    exact = _EXACT_TAILS[np.minimum(k, len(_EXACT_TAILS) - 1).astype(np.int64)]
    square = (k + 1) ** 2
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    return np.where(k < len(_EXACT_TAILS), exact, series)


_EXACT_TAILS = np.array(
    [
        math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi)
        for k in range(10)
    ]
)
