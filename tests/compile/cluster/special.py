"""Steps on numbers of any bits: infinities, NaN, zeros of both signs, denormals, the largest.

Only what is exact to the last bit stands here, so that native code gives the kernels' bits
however many steps a program has. Read `exact.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as tf
from tests.compile.cluster.exact import DTYPES, FLOATS, SIGNED, UNSIGNED, Block, Step
from tests.compile.cluster.exact_steps import (
    branch,
    fitting,
    loop,
    move,
    not_zero,
    part,
    step,
    where,
)

REAL = FLOATS + SIGNED + UNSIGNED
INTEGERS = SIGNED + UNSIGNED
UNARY: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "neg": (FLOATS + SIGNED, lambda x: -x),
    "abs": (FLOATS + SIGNED, tf.abs),
    "sign": (FLOATS + SIGNED, tf.sign),
    "half": (FLOATS, lambda x: x * 0.5),
    "tiny": (FLOATS, lambda x: x * 1e-30),
    "huge": (FLOATS, lambda x: x * 1e30),
    "square": (REAL, tf.square),
    "sqrt": (FLOATS, tf.sqrt),
    "floor": (FLOATS, tf.floor),
    "ceil": (FLOATS, tf.math.ceil),
    "round": (FLOATS, tf.round),
    "relu": (FLOATS + SIGNED, tf.nn.relu),
    "reciprocal": (FLOATS, lambda x: 1.0 / x),
    "invert": (INTEGERS, tf.bitwise.invert),
    "isnan": (FLOATS, lambda x: tf.cast(tf.math.is_nan(x), x.dtype)),
    "isfinite": (FLOATS, lambda x: tf.cast(tf.math.is_finite(x), x.dtype)),
}
BINARY: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "add": (REAL, lambda x, y: x + y),
    "sub": (REAL, lambda x, y: x - y),
    "mul": (REAL, lambda x, y: x * y),
    "div": (FLOATS, lambda x, y: x / y),
    "floordiv": (REAL, lambda x, y: x // (y if y.dtype in FLOATS else not_zero(y))),
    "mod": (REAL, lambda x, y: x % (y if y.dtype in FLOATS else not_zero(y))),
    "truncdiv": (SIGNED, lambda x, y: tf.truncatediv(x, not_zero(y))),
    "max": (REAL, tf.maximum),
    "min": (REAL, tf.minimum),
    "smaller": (REAL, lambda x, y: tf.where(x < y, x, y)),
    "other": (REAL, lambda x, y: tf.where(tf.not_equal(x, y), x, y)),
    "no nan": (FLOATS[:2], tf.math.divide_no_nan),
    "or": (INTEGERS, tf.bitwise.bitwise_or),
}


def unary(block: Block) -> Step | None:
    name = block.one_of(list(UNARY))
    dtypes, function = UNARY[name]
    k = block.of(dtypes)
    return None if k is None else step(name, (k,), function)


def binary(block: Block) -> Step | None:
    name = block.one_of(list(BINARY))
    dtypes, function = BINARY[name]
    k = block.of(dtypes)
    return None if k is None else step(name, (k, fitting(block, k)), function)


def cast(block: Block) -> Step | None:
    k, dtype = block.of(DTYPES), block.one_of((*REAL, tf.bool))
    return (
        None if k is None else step(f"cast to {dtype.name}", (k,), lambda x: tf.cast(x, dtype))
    )


def extreme(block: Block) -> Step | None:
    k = block.of(REAL, 1)
    if k is None:
        return None
    reduce, axis = block.one_of([tf.reduce_max, tf.reduce_min]), block.chance()
    return step("extreme", (k,), lambda x: reduce(x, axis=0 if axis else None))


SPECIAL = [unary] * 4 + [binary] * 6 + [cast, cast, where, move, part, extreme, branch, loop]
