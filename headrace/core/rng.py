"""Seeds: which counter and key a random op gets.

A stateful op has two seeds, the global one (`tf.random.set_seed`) and its own. An op without a
seed of its own gets, eagerly, the next number of a generator that starts from the global seed. An
op that runs again with the same pair of seeds goes on where it stopped. Read `core/philox.py`
before.
"""

from __future__ import annotations

import os
import random
import threading

from headrace.base.export import export

DEFAULT_GLOBAL_SEED = 87654321
BLOCKS_PER_NUMBER = 256
_LIMIT = 2**31 - 1


class _Seeds:
    """The process's seeds: the global one, the generator of op seeds, and where ops stand."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset(None)

    def reset(self, seed: int | None) -> None:
        self.seed = seed
        self.generator = random.Random(seed)
        self.positions: dict[tuple[object, ...], int] = {}


seeds = _Seeds()


@export("random.set_seed")
def set_seed(seed: int) -> None:
    """Set the global seed: from here on, the same program draws the same numbers.

    Args:
        seed: int.

    >>> tf.random.set_seed(42)
    >>> tf.random.uniform([2]).numpy()
    array([0.6645621 , 0.44100678], dtype=float32)
    """
    with seeds.lock:
        seeds.reset(int(seed))


def pair(op_seed: int | None) -> tuple[int, int]:
    """`(seed, seed2)` of a stateful op, as TensorFlow writes them into the op."""
    if seeds.seed is None:
        if op_seed is None:
            return 0, 0
        result = (DEFAULT_GLOBAL_SEED, int(op_seed))
    elif op_seed is None:
        with seeds.lock:
            result = (seeds.seed, seeds.generator.randint(0, _LIMIT))
    else:
        result = (seeds.seed, int(op_seed))
    result = (result[0] % _LIMIT, result[1] % _LIMIT)
    return (0, _LIMIT) if result == (0, 0) else result


def start(op: str, seed: int, seed2: int, kind: object, blocks: int) -> tuple[int, int]:
    """`(counter, key)` for an op with a pair of seeds that then moves on by some blocks.

    Args:
        op: the op's name; each op (and dtype: `kind`) keeps a place of its own.
    """
    if seed == 0 and seed2 == 0:
        entropy = int.from_bytes(os.urandom(24), "little")
        return entropy >> 64, entropy & 0xFFFFFFFFFFFFFFFF
    place = (op, seed, seed2, kind)
    with seeds.lock:
        position = seeds.positions.get(place, 0)
        seeds.positions[place] = position + blocks
    return (seed2 & 0xFFFFFFFFFFFFFFFF) << 64 | position, seed & 0xFFFFFFFFFFFFFFFF
