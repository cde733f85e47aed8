"""Seeds: which counter and key a random op gets.

A stateful op has two seeds, the global one (`tf.random.set_seed`) and its own. An op without a
seed of its own gets, eagerly, the next number of a generator that starts from the global seed;
in a graph, the number of random ops that were added to that graph before it. An op that runs
again with the same seeds goes on where it stopped: eagerly there is one place for each op with
its seeds and dtypes, and each node of a graph that runs has one of its own (`running`). Setting
the global seed sends them all back to the beginning. Read `core/philox.py` before.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from headrace.base.export import export
from headrace.core.context import state
from headrace.core.philox import Counter, Key

DEFAULT_GLOBAL_SEED = 87654321
BLOCKS_PER_NUMBER = 256
_LIMIT = 2**31 - 1
_MASK64 = 0xFFFFFFFFFFFFFFFF


class Seeds:
    """The process's seeds: the global one, the generator of op seeds, and how far ops are."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_graph: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self.set(None, random.Random())

    def set(self, seed: int | None, generator: random.Random) -> None:
        """Begin from a global seed (None: from nowhere in particular)."""
        with self.lock:
            self.seed = seed
            self.generator = generator
            self.places: dict[Hashable, int] = {}
            self.places_of: WeakKeyDictionary[Any, dict[Hashable, int]] = WeakKeyDictionary()

    def next(self) -> int:
        """The own seed of an op that was given none."""
        graph = state.graph
        with self.lock:
            if graph is None:
                return self.generator.randint(0, _LIMIT) % _LIMIT
            before = self.in_graph.get(graph, 0)
            self.in_graph[graph] = before + 1
            return before


class Owner:
    """Stands for one node of one executable, which draws on where it stopped."""


def owner_of(graph: Any, name: str) -> Owner:
    """The owner for the node of a name in what runs a graph, the same for all that runs it."""
    if graph is None:
        return Owner()
    with seeds.lock:
        return _owners.setdefault(graph, {}).setdefault(name, Owner())


class _Owner(threading.local):
    """Whose ops this thread runs: None eagerly."""

    current: Any = None


seeds = Seeds()
_owner = _Owner()
_owners: WeakKeyDictionary[Any, dict[str, Owner]] = WeakKeyDictionary()


class running:
    """Context manager: the random op inside runs for `owner` and goes on where that stopped.

    An executor wraps the stateful node of a graph in it.

    Args:
        owner: what stands for one node of one executable; it is referred to weakly.
    """

    __slots__ = ("owner", "previous")

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __enter__(self) -> None:
        self.previous, _owner.current = _owner.current, self.owner

    def __exit__(self, *exc: object) -> None:
        _owner.current = self.previous


@export("random.set_seed")
def set_seed(seed: Any) -> None:
    """Set the global seed: from here on, the same program draws the same numbers.

    Args:
        seed: int, or None to be without a global seed again.
    Raises: TypeError: something that is no number; the seed stays as it was.

    >>> tf.random.set_seed(42)
    >>> tf.random.uniform([2]).numpy()
    array([0.6645621 , 0.44100678], dtype=float32)
    """
    if not isinstance(seed, (int, float, type(None))):
        seed = seed if isinstance(seed, str) else int(np.array(seed))
    number = None if seed is None else int(seed % _LIMIT)
    seeds.set(number, random.Random(seed))


def pair(op_seed: Any) -> tuple[int, int]:
    """`(seed, seed2)` of a stateful op, as TensorFlow writes them into the op.

    Args:
        op_seed: the op's own seed, or None.
    Returns: `(0, 0)` for an op that nobody gave a seed.
    """
    first = seeds.seed
    if first is None:
        if op_seed is None:
            return 0, 0
        first = DEFAULT_GLOBAL_SEED
    second = seeds.next() if op_seed is None else int(op_seed % _LIMIT)
    return (0, _LIMIT) if first == second == 0 else (first, second)


def start(place: Hashable, seed: int, seed2: int, blocks: int) -> tuple[Counter, Key]:
    """The counter and key for an op with a pair of seeds, which moves on by some blocks.

    Args:
        place: what else tells apart ops with the same seeds: the op's name and dtypes.
        seed, seed2: from `pair`; `(0, 0)` draws from the operating system's randomness.
        blocks: how far the place moves.
    """
    if seed == 0 and seed2 == 0:
        entropy = int.from_bytes(os.urandom(24), "little")
        return entropy >> 64, entropy & _MASK64
    place = (place, seed, seed2)
    owner = _owner.current
    with seeds.lock:
        places = seeds.places if owner is None else seeds.places_of.setdefault(owner, {})
        position = places.get(place, 0)
        places[place] = position + blocks
    return ((seed2 & _MASK64) << 64) + position, seed & _MASK64
