"""Steps that fail when the run is told to: what else has happened must be the same.

Each computes its operand again, unless `state.bad` is 1. Read `exact_steps.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from tests.compile.cluster.exact import NUMBERS, Block, State, Step, settled
from tests.compile.cluster.exact_steps import (
    CONTROL,
    PLACES,
    PLAIN,
    assign,
    draw,
    gradient,
    read,
)


def gathered(bad: Any, x: Any) -> Any:
    return tf.gather(tf.stack([x, x]), [bad * 7, 1])[1]


def gathered_nd(bad: Any, x: Any) -> Any:
    return tf.gather_nd(tf.stack([x, x]), [[bad * -1]])[0]


def scattered(bad: Any, x: Any) -> Any:
    places = tf.stack([[bad * 2], [1]])
    return tf.scatter_nd(places, tf.stack([x, x]), [2, *x.shape])[1]


def added(bad: Any, x: Any) -> Any:
    return tf.math.unsorted_segment_sum(tf.stack([x, x]), [bad * 3, 1], 2)[1]


def divided(bad: Any, x: Any) -> Any:
    ones = 7 // (tf.constant([1, 1]) - bad)
    return x + tf.cast(ones[0] - 7, x.dtype)


def raised(bad: Any, x: Any) -> Any:
    return x + tf.cast(tf.pow(2, -bad) - 1, x.dtype)


def asserted(bad: Any, x: Any) -> Any:
    tf.debugging.Assert(tf.equal(bad, 0), [bad])
    return tf.identity(x)


def listed(bad: Any, x: Any) -> Any:
    made = tf.TensorArray(x.dtype, 2, element_shape=x.shape, clear_after_read=False)
    return made.unstack(tf.stack([x, x])).read(bad * 5)


def unread(bad: Any, x: Any) -> Any:
    """What fails is an element that nobody reads."""
    return tf.gather(tf.stack([x, x]), [0, bad * 2])[0]


TRAPS: tuple[Callable[[Any, Any], Any], ...] = (
    gathered,
    gathered_nd,
    scattered,
    added,
    divided,
    raised,
    listed,
    unread,
)


def trap(block: Block) -> Step | None:
    return trapped(block, block.one_of(TRAPS))


def assertion(block: Block) -> Step | None:
    return trapped(block, asserted)


def trapped(block: Block, function: Callable[[Any, Any], Any]) -> Step | None:
    k = block.pick(lambda x: x.dtype in NUMBERS and 0 not in x.shape)
    nested = block.depth < 2

    def step(state: State, x: Any) -> Any:
        found = settled(function(state.bad, x))
        if nested:  # what is computed inside may be left out where nobody asks for it
            variable = state.variables[1]
            total = tf.reduce_sum(tf.cast(tf.math.real(found), tf.int64))
            variable.assign(settled(variable + total))
        return found

    return None if k is None else Step(function.__name__, (k,), step)


def branch_trap(block: Block) -> Step | None:
    """A branch that is taken only where the run fails, and fails."""
    k = block.pick(lambda x: x.dtype in NUMBERS and 0 not in x.shape)
    function = block.one_of(TRAPS)
    if block.depth < 2:
        return None

    def step(state: State, x: Any) -> Any:
        def fails() -> Any:
            return settled(function(state.bad, x))

        return tf.cond(state.bad > 0, fails, lambda: tf.identity(x))

    return None if k is None else Step(f"cond {function.__name__}", (k,), step)


SOME = PLAIN[::3] + PLACES[::2] + [assign, assign, assign, read] + CONTROL + [gradient]
FAILING = SOME + [draw, trap, trap, branch_trap]
ASSERTING = SOME + [assertion, assertion]
"""Assertions stand between native parts: what has an effect is in order, checks are not."""
