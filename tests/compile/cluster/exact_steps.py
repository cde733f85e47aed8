"""The steps of which exact random programs consist: each function draws one for a block.

A maker returns None where the block has no fitting value. Read `exact.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import headrace as tf
from tests.compile.cluster.exact import (
    COMPLEX,
    DTYPES,
    FLOATS,
    NUMBERS,
    SIGNED,
    UNSIGNED,
    Block,
    State,
    Step,
    settled,
)

REAL = FLOATS + SIGNED + UNSIGNED
INDICES = (tf.int32, tf.int64)


def step(name: str, operands: tuple[int, ...], function: Callable[..., Any]) -> Step:
    """A step of a function that knows of no state."""
    return Step(name, operands, lambda _, *values: function(*values))


def growing(name: str, operands: tuple[int, ...], function: Callable[..., Any]) -> Step:
    """A step whose result is brought back to small numbers."""
    return step(name, operands, lambda *values: settled(function(*values)))


# Elementwise


def not_zero(x: Any) -> Any:
    return tf.where(x == tf.zeros_like(x), tf.ones_like(x), x)


UNARY: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "neg": (FLOATS + SIGNED + COMPLEX, lambda x: -x),
    "abs": (FLOATS + SIGNED, tf.abs),
    "sign": (FLOATS + SIGNED, tf.sign),
    "square": (NUMBERS, tf.square),
    "line": (NUMBERS, lambda x: x * 3 + 1),
    "third": (REAL, lambda x: x // 3),
    "rest": (REAL, lambda x: x % 5),
    "root": (FLOATS, lambda x: tf.floor(tf.sqrt(tf.abs(x)))),
    "relu": (FLOATS + SIGNED, tf.nn.relu),
    "xor": (SIGNED + UNSIGNED, lambda x: tf.bitwise.bitwise_xor(x, x // 2)),
    "invert": (SIGNED + UNSIGNED, tf.bitwise.invert),
    "conj": (COMPLEX, tf.math.conj),
    "real": (COMPLEX, tf.math.real),
    "imag": (COMPLEX, tf.math.imag),
    "pair": ((tf.float32, tf.float64), lambda x: tf.complex(x, -x)),
    "not": ((tf.bool,), tf.logical_not),
}
BINARY: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "add": (NUMBERS, lambda x, y: x + y),
    "sub": (NUMBERS, lambda x, y: x - y),
    "mul": (NUMBERS, lambda x, y: x * y),
    "max": (REAL, tf.maximum),
    "min": (REAL, tf.minimum),
    "floordiv": (REAL, lambda x, y: x // not_zero(y)),
    "mod": (REAL, lambda x, y: x % not_zero(y)),
    "div": (FLOATS, lambda x, y: tf.floor(x / not_zero(y))),
    "truncdiv": (SIGNED, lambda x, y: tf.truncatediv(x, not_zero(y))),
    "and": (SIGNED + UNSIGNED, tf.bitwise.bitwise_and),
    "or": (SIGNED + UNSIGNED, tf.bitwise.bitwise_or),
    "less": (REAL, lambda x, y: x < y),
    "equal": (DTYPES, lambda x, y: x == y),
    "both": ((tf.bool,), tf.logical_and),
    "either": ((tf.bool,), tf.logical_or),
    "larger": (REAL, lambda x, y: tf.where(x > y, x, y)),
    "clip": (REAL, lambda x, y: tf.clip_by_value(x + y, tf.minimum(y, y // 2), y)),
}


def unary(block: Block) -> Step | None:
    name = block.one_of(list(UNARY))
    dtypes, function = UNARY[name]
    k = block.of(dtypes)
    return None if k is None else growing(name, (k,), function)


def binary(block: Block) -> Step | None:
    name = block.one_of(list(BINARY))
    dtypes, function = BINARY[name]
    k = block.of(dtypes)
    if k is None:
        return None
    return growing(name, (k, fitting(block, k)), function)


def fitting(block: Block, k: int) -> int:
    """A value of the dtype of another, of a shape that broadcasts with it."""
    x = block.values[k]

    def fits(y: Any) -> bool:
        try:
            np.broadcast_shapes(tuple(x.shape), tuple(y.shape))
        except ValueError:
            return False
        return y.dtype == x.dtype

    found = block.pick(fits)
    assert found is not None
    return found


def cast(block: Block) -> Step | None:
    k, dtype = block.of(DTYPES), block.one_of(DTYPES)
    assert k is not None
    signed = block.values[k].dtype in FLOATS + COMPLEX and dtype in UNSIGNED

    def change(x: Any) -> Any:
        return tf.cast(tf.cast(x, tf.int32) if signed else x, dtype)

    return growing(f"cast to {dtype.name}", (k,), change)


def where(block: Block) -> Step | None:
    condition, k = block.of((tf.bool,)), block.of(DTYPES)
    if condition is None or k is None:
        return None
    other = fitting(block, k)
    shapes = [tuple(block.values[j].shape) for j in (condition, k, other)]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return None
    return step("where", (condition, k, other), tf.where)


# Reductions, products and scans


def reduce(block: Block) -> Step | None:
    k = block.of(DTYPES, 1)
    if k is None:
        return None
    x = block.values[k]
    axes = [a for a in range(len(x.shape)) if block.chance()]
    keep = block.chance()
    names = (
        ["reduce_any", "reduce_all"] if x.dtype == tf.bool else ["reduce_sum", "reduce_prod"]
    )
    names += ["reduce_max", "reduce_min"] if x.dtype in REAL else []
    name = block.one_of(names)
    small = name == "reduce_prod" and x.dtype in FLOATS

    def found(x: Any) -> Any:
        return getattr(tf, name)(tf.sign(x) if small else x, axis=axes, keepdims=keep)

    return growing(f"{name} {axes}", (k,), found) if x.dtype not in COMPLEX else None


def arg_reduce(block: Block) -> Step | None:
    k = block.pick(lambda x: x.dtype in REAL and len(x.shape) > 0 and 0 not in x.shape)
    if k is None:
        return None
    name, dtype = block.one_of(["argmax", "argmin"]), block.one_of(INDICES)
    axis = block.number(0, len(block.values[k].shape))
    return step(f"{name} {axis}", (k,), lambda x: getattr(tf, name)(x, axis, dtype))


def matmul(block: Block) -> Step | None:
    k = block.pick(
        lambda x: x.dtype in (*FLOATS, tf.int32, tf.int64, *COMPLEX) and 1 < len(x.shape) < 4
    )
    flip = block.chance()

    def product(x: Any) -> Any:
        return tf.matmul(x, x + 1, transpose_a=flip, transpose_b=not flip)

    return None if k is None else growing("matmul", (k,), product)


def scan(block: Block) -> Step | None:
    k = block.of(NUMBERS, 1)
    if k is None:
        return None
    x = block.values[k]
    axis, exclusive, reverse = block.number(0, len(x.shape)), block.chance(), block.chance()
    product = block.chance(0.3) and x.dtype not in COMPLEX + UNSIGNED

    def found(x: Any) -> Any:
        if product:
            return tf.math.cumprod(tf.sign(x), axis, exclusive, reverse)
        return tf.cumsum(x, axis, exclusive, reverse)

    return growing(f"{'cumprod' if product else 'cumsum'} {axis}", (k,), found)


# Movement


def move(block: Block) -> Step | None:
    k = block.of(DTYPES, 1)
    if k is None:
        return None
    x = block.values[k]
    rank, shape = len(x.shape), tuple(x.shape)
    order = [int(a) for a in block.rng.permutation(rank)]
    axis = block.number(0, rank)
    moves = {
        "transpose": lambda x: tf.transpose(x, order),
        "reshape": lambda x: tf.reshape(x, [-1]),
        "reversed": lambda x: tf.reshape(x, shape[::-1]),
        "flip": lambda x: tf.reverse(x, [axis]),
        "tile": lambda x: tf.tile(x, [2 if a == axis else 1 for a in range(rank)]),
        "concat": lambda x: tf.concat([x, tf.reverse(x, [axis]), x], axis),
        "stack": lambda x: tf.stack([x, tf.zeros_like(x)], axis),
        "unstack": lambda x: tf.unstack(x, axis=axis)[-1] if shape[axis] else x,
        "expand": lambda x: tf.expand_dims(x, axis),
        "squeeze": tf.squeeze,
        "broadcast": lambda x: tf.broadcast_to(x, (2, *shape)),
    }
    name = block.one_of(list(moves))
    return step(f"{name} {axis}", (k,), moves[name])


def part(block: Block) -> Step | None:
    k = block.of(DTYPES, 1)
    if k is None:
        return None
    slices = []
    for n in block.values[k].shape:
        first, stride = block.number(0, n + 1), block.one_of([1, 1, 2, -1, -2])
        slices.append(block.one_of([slice(None), slice(first, None, stride)]))
    return step(f"slice {slices}", (k,), lambda x: x[tuple(slices)])


def pad(block: Block) -> Step | None:
    k = block.of(NUMBERS, 1)
    if k is None:
        return None
    paddings = [[block.number(0, 3), block.number(0, 3)] for _ in block.values[k].shape]

    def padded(x: Any) -> Any:
        return tf.pad(x, paddings, constant_values=tf.cast(5, x.dtype))

    return step("pad", (k,), padded)


def one_hot(block: Block) -> Step | None:
    k, dtype = block.of((*INDICES, tf.uint8)), block.one_of((*FLOATS, *SIGNED, tf.bool))
    on, off = (True, False) if dtype == tf.bool else (3, 1)

    def hot(i: Any) -> Any:
        return tf.one_hot(i, 4, on, off, dtype=dtype)

    return None if k is None else step(f"one_hot {dtype.name}", (k,), hot)


# Reading and writing at computed places


def gather(block: Block) -> Step | None:
    k = block.pick(lambda x: len(x.shape) > 0 and 0 not in x.shape)
    i = block.of(INDICES)
    if k is None or i is None:
        return None
    axis = block.number(0, len(block.values[k].shape))
    n = block.values[k].shape[axis]
    if int(tf.size(block.values[k])) // n * int(tf.size(block.values[i])) > block.largest:
        return None
    return step(f"gather {axis}", (k, i), lambda x, i: tf.gather(x, i % n, axis=axis))


def gather_nd(block: Block) -> Step | None:
    k = block.pick(lambda x: len(x.shape) > 1 and 0 not in x.shape)
    i = block.of(INDICES)
    if k is None or i is None:
        return None
    rows, columns = block.values[k].shape[:2]
    size = int(tf.size(block.values[k])) // (rows * columns) * int(tf.size(block.values[i]))
    if size > block.largest:
        return None

    def found(x: Any, i: Any) -> Any:
        return tf.gather_nd(x, tf.stack([i % rows, (i + 1) % columns], -1))

    return step("gather_nd", (k, i), found)


def rows_of(x: Any, i: Any) -> Any:
    """Places among the rows of a tensor, one for each of its rows."""
    n = x.shape[0]
    return (tf.range(n, dtype=i.dtype) * (tf.reduce_sum(i) % 5) + 1) % n


def scatter(block: Block) -> Step | None:
    k = block.pick(lambda x: x.dtype in NUMBERS and len(x.shape) > 0 and 0 not in x.shape)
    i = block.of(INDICES)
    if k is None or i is None:
        return None
    real = block.values[k].dtype in REAL
    name = block.one_of(["nd", "add", "update", "sub"] + (["max", "min"] if real else []))

    def found(x: Any, i: Any) -> Any:
        places = rows_of(x, i)[:, tf.newaxis]
        if name == "nd":
            return tf.scatter_nd(places, x, x.shape)
        return getattr(tf, f"tensor_scatter_nd_{name}")(x + 1, places, x)

    return growing(f"scatter {name}", (k, i), found)


def segment(block: Block) -> Step | None:
    k = block.pick(lambda x: x.dtype in REAL and len(x.shape) > 0 and 0 not in x.shape)
    i = block.of(INDICES)
    if k is None or i is None:
        return None
    name = block.one_of(["sum", "max", "min"])

    def found(x: Any, i: Any) -> Any:
        ids = rows_of(x, i) - 1
        return getattr(tf.math, f"unsorted_segment_{name}")(x, ids, x.shape[0] + 1)

    return growing(f"segment {name}", (k, i), found)


# Variables


def assign(block: Block) -> Step | None:
    """A variable changes by a number that was computed; its value is read before or after."""
    place = block.number(0, len(State().variables))
    dtype = State().variables[place].dtype
    k = block.of((dtype,))
    if k is None:
        return None
    how = block.one_of(["assign", "assign_add", "assign_sub"])
    how = "assign" if dtype == tf.bool else how
    before = block.chance()

    def change(state: State, x: Any) -> Any:
        variable = state.variables[place]
        old = variable.read_value()
        total = tf.reduce_any(x) if dtype == tf.bool else tf.reduce_sum(x)
        new = settled(tf.zeros_like(variable) + total) if dtype != tf.bool else total ^ old
        getattr(variable, how)(new)
        if dtype in FLOATS + COMPLEX:
            variable.assign(settled(variable.read_value()))
        return old if before else variable.read_value()

    return Step(f"{how} {dtype.name}", (k,), change)


def read(block: Block) -> Step | None:
    place = block.number(0, len(State().variables))
    return Step("read", (), lambda state: state.variables[place].read_value())


# Branches and loops


def few(block: Block, k: int) -> tuple[int, ...]:
    """The numbers of some values beside one."""
    others = [block.of(DTYPES) for _ in range(3)]
    return (k, *[j for j in others if j is not None])


def branch(block: Block) -> Step | None:
    k, p = block.of(DTYPES), block.of((tf.bool, *INDICES))
    if block.depth == 0 or k is None or p is None:
        return None
    places = few(block, k)
    values = [block.values[j] for j in places]
    sides = [block.inner(values) for _ in range(2)]
    last = [side.like(values[0]) for side in sides]

    def choose(state: State, p: Any, *values: Any) -> Any:
        flag = tf.reduce_any(p) if p.dtype == tf.bool else tf.reduce_sum(p) % 2 == 0
        return tf.cond(
            flag,
            lambda: tf.identity(sides[0](state, *values)[last[0]]),
            lambda: tf.identity(sides[1](state, *values)[last[1]]),
        )

    return Step(f"cond\n{sides[0]}\nelse\n{sides[1]}", (p, *places), choose)


def switch(block: Block) -> Step | None:
    k, p = block.of(DTYPES), block.of((tf.int32,))
    if block.depth == 0 or k is None or p is None:
        return None
    places = few(block, k)
    values = [block.values[j] for j in places]
    sides = [block.inner(values, 3) for _ in range(3)]

    def choose(state: State, p: Any, *values: Any) -> Any:
        def side(block: Block) -> Any:
            return tf.identity(block(state, *values)[block.like(block.values[0])])

        return tf.switch_case(tf.reduce_sum(p) % 4, [partial(side, b) for b in sides])

    text = "\nor\n".join(map(repr, sides))
    return Step(f"switch\n{text}", (p, *places), choose)


def loop(block: Block) -> Step | None:
    """A loop of a number of rounds that is known, or computed."""
    k, n = block.of(DTYPES), block.of((tf.int32,))
    if block.depth == 0 or k is None or n is None:
        return None
    rounds, fixed = block.number(0, 5), block.chance()
    places = few(block, k)
    inner = block.inner([tf.constant(0), *[block.values[j] for j in places]])
    last = inner.like(block.values[k])

    def run(state: State, n: Any, x: Any, *values: Any) -> Any:
        most = rounds if fixed else tf.reduce_sum(n) % 5

        def body(i: Any, y: Any) -> Any:
            return i + 1, inner(state, i, y, *values)[last]

        return tf.while_loop(lambda i, y: i < most, body, (tf.constant(0), x))[1]

    return Step(f"while {rounds if fixed else '?'}\n{inner}", (n, *places), run)


def until(block: Block) -> Step | None:
    """A loop of two variables that change places, until what it computes says so."""
    k = block.of(REAL)
    if block.depth == 0 or k is None:
        return None
    x = block.values[k]
    places = few(block, k)
    inner = block.inner([x, x, *[block.values[j] for j in places[1:]]])
    last = inner.like(x)

    def run(state: State, x: Any, *values: Any) -> Any:
        def more(i: Any, a: Any, b: Any) -> Any:
            return (i < 6) & (tf.reduce_sum(tf.cast(settled(a), tf.int32)) % 4 != 1)

        def body(i: Any, a: Any, b: Any) -> Any:
            return i + 1, inner(state, b, a, *values)[last], a

        _, a, b = tf.while_loop(more, body, (tf.constant(0), x, tf.ones_like(x)))
        return settled(a - b)

    return Step(f"until\n{inner}", places, run)


def mapped(block: Block) -> Step | None:
    """A function of each row: a map, a running or a last result."""
    k = block.pick(lambda x: len(x.shape) > 0 and 0 < x.shape[0] < 6)
    if block.depth == 0 or k is None:
        return None
    row = block.values[k][0]
    places = few(block, k)
    inner = block.inner([row, row, *[block.values[j] for j in places[1:]]])
    last, how = inner.like(row), block.one_of(["map_fn", "scan", "foldl", "array"])

    def run(state: State, x: Any, *values: Any) -> Any:
        def each(a: Any, b: Any) -> Any:
            return tf.identity(inner(state, a, b, *values)[last])

        if how == "map_fn":
            return tf.map_fn(lambda row: each(row, row), x)
        if how == "array":
            return through_array(x, each)
        return getattr(tf, how)(each, x, initializer=tf.zeros_like(x[0]))

    return Step(f"{how}\n{inner}", places, run)


def through_array(x: Any, each: Callable[[Any, Any], Any]) -> Any:
    """The rows of a tensor go through two TensorArrays, one of which is read and written."""
    count = x.shape[0]
    rows = tf.TensorArray(x.dtype, count, element_shape=x.shape[1:], clear_after_read=False)
    kept = tf.TensorArray(x.dtype, count, element_shape=x.shape[1:], clear_after_read=False)

    def body(i: Any, kept: Any, last: Any) -> Any:
        row = each(last, rows.read(count - 1 - i))
        return i + 1, kept.write(i, row), row

    rows = rows.unstack(x)
    _, kept, last = tf.while_loop(
        lambda i, *_: i < count, body, (tf.constant(0), kept, tf.zeros_like(x[0]))
    )
    return tf.concat([kept.stack(), last[tf.newaxis]], 0)


# Gradients


def gradient(block: Block) -> Step | None:
    """The slope of what a block computes, by one of its operands."""
    k = block.of((tf.float32, tf.float64))
    if block.depth == 0 or k is None:
        return None
    x = tf.cast(block.values[k], tf.float64)
    places = few(block, k)
    inner = block.inner([x, *[block.values[j] for j in places[1:]]], 8)
    targets = [j for j, y in enumerate(inner.values) if y.dtype == tf.float64]

    def slope(state: State, x: Any, *values: Any) -> Any:
        wide = tf.cast(x, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(wide)
            found = inner(state, wide, *values)
            loss = tf.add_n([tf.reduce_sum(found[j]) for j in targets])
        back = tape.gradient(loss, wide, unconnected_gradients="zero")
        # Where a maximum has several places they share the slope: that is the only fraction.
        return tf.cast(settled(tf.round(back + 0.317)), x.dtype)

    return Step(f"gradient\n{inner}", places, slope)


# Random numbers


def draw(block: Block) -> Step | None:
    dtype, seed = (
        block.one_of([tf.int32, tf.int64, tf.float32, tf.float64]),
        block.number(0, 99),
    )
    shape = tuple(block.number(1, 5) for _ in range(block.number(0, 3)))
    stateful = block.chance()

    def numbers() -> Any:
        if stateful:
            found = tf.random.uniform(shape, 0, 16, dtype, seed=seed)
        else:
            found = tf.random.stateless_uniform(shape, [seed, 2], 0, 16, dtype)
        return tf.floor(found) if dtype.is_floating else found

    return growing(f"random {dtype.name}", (), numbers)


# Kernels between clusters


def island(block: Block) -> Step | None:
    """What can't be lowered, so that its kernel runs between two clusters."""
    k = block.of((*FLOATS[:3], *SIGNED), 1)
    if k is None:
        return None
    dtype, shape = block.values[k].dtype, block.values[k].shape

    def python(x: Any) -> Any:
        found = tf.numpy_function(lambda a: np.sort(a, axis=-1), [x], dtype)
        return tf.ensure_shape(found, shape)

    def masked(x: Any) -> Any:
        return settled(tf.reduce_sum(tf.boolean_mask(x, x > 0)))

    islands = {
        "sort": python,
        "shuffle": lambda x: tf.random.shuffle(x, seed=3),
        "mask": masked,
        "where": lambda x: settled(tf.reduce_sum(tf.where(x > 0))),
    }
    name = block.one_of(list(islands))
    return step(name, (k,), islands[name])


PLAIN = [unary] * 6 + [binary] * 7 + [cast] * 2 + [where, reduce, reduce, reduce]
PLAIN += [arg_reduce, matmul, scan, move, move, move, part, pad, one_hot]
PLACES = [gather, gather_nd, scatter, segment]
STATEFUL = [assign, assign, read, draw]
CONTROL = [branch, branch, switch, loop, loop, until, mapped, mapped]
EVERYTHING = PLAIN + PLACES + STATEFUL + CONTROL + [gradient, gradient, island]
ROWS = (
    PLAIN + PLACES + STATEFUL + CONTROL + [move, matmul, matmul, scan, reduce, reduce, gradient]
)
