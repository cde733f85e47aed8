"""Random programs whose arithmetic is exact: native code must give the kernels' bits.

All floats in them are small integers (each step that may leave that range brings its result
back), so that no order of a sum changes it. That lets programs mix all dtypes, decide by what
they computed, and nest branches and loops as they like, and be compared bit for bit.
The steps that they consist of are in `exact_steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import headrace as tf

FLOATS = (tf.float32, tf.float64, tf.float16, tf.bfloat16)
SIGNED = (tf.int32, tf.int64, tf.int8, tf.int16)
UNSIGNED = (tf.uint8, tf.uint16, tf.uint32, tf.uint64)
COMPLEX = (tf.complex64, tf.complex128)
NUMBERS = FLOATS + SIGNED + UNSIGNED + COMPLEX
DTYPES = (*NUMBERS, tf.bool)
LARGEST = 3000
SMALL, LARGE = (1, 2, 3, 4, 5, 17), (3, 33, 64, 129, 260, 512)


class Step(NamedTuple):
    """`function(state, *values)` of earlier values, by their numbers, gives the next one."""

    name: str
    operands: tuple[int, ...]
    function: Callable[..., Any]


Maker = Callable[["Block"], "Step | None"]


def settled(x: Any) -> Any:
    """A number of any dtype brought back to where floats are exact: -8 to 7, or 0 to 15."""
    if x.dtype in COMPLEX:
        return tf.complex(settled(tf.math.real(x)), settled(tf.math.imag(x)))
    if x.dtype in FLOATS or x.dtype in SIGNED:
        return x % 16 - 8
    return x % 16 if x.dtype in UNSIGNED else x


def drawn(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Any:
    """A tensor of small integers."""
    low = 0 if dtype in UNSIGNED else -8
    whole = rng.integers(low, 8, tuple(shape))
    if dtype in COMPLEX:
        whole = whole + 1j * rng.integers(-8, 8, tuple(shape))
    return tf.cast(tf.constant(whole), dtype)


class State:
    """The variables of one run, and whether it is to fail: the number 1, else 0."""

    def __init__(self) -> None:
        self.bad: Any = tf.constant(0)
        shapes = {
            tf.float32: (4, 3),
            tf.int64: (5,),
            tf.float16: (3,),
            tf.complex64: (2, 1),
            tf.uint8: (),
            tf.bool: (2,),
        }
        rng = np.random.default_rng(0)
        self.variables = [tf.Variable(drawn(rng, shape, d)) for d, shape in shapes.items()]


class Block:
    """Random steps on some values; `block(state, *values)` gives these and the new ones.

    Args:
        rng: what decides.
        values: tensors, of which shapes and dtypes count.
        count: so many steps.
        makers: what draws a step.
        depth: how deep blocks in it may nest.
        largest: a step that gives more elements is not taken.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        values: Sequence[Any],
        count: int,
        makers: Sequence[Maker],
        depth: int,
        largest: int = LARGEST,
    ) -> None:
        self.rng, self.makers, self.depth, self.largest = rng, makers, depth, largest
        self.given = len(values)
        self.values = list(values)
        self.steps: list[Step] = []
        state = State()
        while len(self.steps) < count:
            step = makers[rng.integers(len(makers))](self)
            if step is None:
                continue
            found = step.function(state, *[self.values[k] for k in step.operands])
            if int(tf.size(found)) <= largest:
                self.values.append(found)
                self.steps.append(step)

    def __call__(self, state: State, *values: Any) -> list[Any]:
        found = list(values)
        for step in self.steps:
            found.append(step.function(state, *[found[k] for k in step.operands]))
        return found

    def __repr__(self) -> str:
        lines = []
        for k, step in enumerate(self.steps, self.given):
            x = self.values[k]
            lines.append(
                f"{k}: {step.name} {step.operands} {x.dtype.name}{list(x.shape)}".replace(
                    "\n", "\n    "
                )
            )
        return "\n".join(lines)

    # For makers

    def chance(self, share: float = 0.5) -> bool:
        return bool(self.rng.random() < share)

    def number(self, low: int, high: int) -> int:
        """An integer from low to high - 1."""
        return int(self.rng.integers(low, high))

    def one_of(self, options: Sequence[Any]) -> Any:
        return options[self.number(0, len(options))]

    def pick(self, test: Callable[[Any], bool]) -> int | None:
        """The number of one of the latest values that pass a test."""
        good = [k for k, x in enumerate(self.values) if test(x)][-8:]
        return self.one_of(good) if good else None

    def of(self, dtypes: Sequence[Any], rank: int = 0) -> int | None:
        """The number of a value of one of these dtypes, of at least that rank."""
        return self.pick(lambda x: x.dtype in dtypes and len(x.shape) >= rank)

    def inner(self, values: Sequence[Any], most: int = 5) -> Block:
        """A block for a branch or a loop."""
        count, depth = self.number(1, most), self.depth - 1
        return Block(self.rng, values, count, self.makers, depth, self.largest)

    def like(self, x: Any) -> int:
        """The number of the last value with the shape and dtype of another."""
        alike = [
            k for k, y in enumerate(self.values) if y.dtype == x.dtype and y.shape == x.shape
        ]
        return alike[-1]


class Program:
    """A random program of a number; it runs on `inputs[0]`, and on `inputs[1]` as well.

    Args:
        number: the seed.
        makers: what draws its steps.
        share: so large a part of the values are results, beside the last ones.
        fill: what draws inputs.
        large: whether dimensions are large enough for blocks, strips, chunks and threads.
    """

    def __init__(
        self,
        number: int,
        makers: Sequence[Maker],
        share: float = 0.15,
        fill: Callable[..., Any] = drawn,
        large: bool = False,
    ) -> None:
        rng = np.random.default_rng(number)
        self.number = number
        sizes = LARGE if large else SMALL if rng.random() < 0.8 else (0, *SMALL)
        specs = [
            (
                tuple(
                    map(
                        int,
                        rng.choice(sizes, rng.integers(1, 3) if large else rng.integers(0, 4)),
                    )
                ),
                dtype,
            )
            for dtype in (tf.float32, tf.int32, *[DTYPES[k] for k in rng.integers(0, 15, 3)])
        ]
        self.inputs = [[fill(rng, *spec) for spec in specs] for _ in range(2)]
        count, largest = (
            int(rng.integers(3, 10 if large else 25)),
            200_000 if large else LARGEST,
        )
        self.block = Block(rng, self.inputs[0], count, makers, 2, largest)
        total = len(self.block.values)
        last = [total - 1 - k for k in range(int(rng.integers(1, 4)))]
        others = [k for k in range(len(specs), total) if rng.random() < share]
        self.results = [*last, *others]

    def __repr__(self) -> str:
        inputs = ", ".join(f"{x.dtype.name}{list(x.shape)}" for x in self.inputs[0])
        return f"program {self.number} of {inputs}\n{self.block}\nresults {self.results}"

    def run(self, wrap: Callable[[Any], Any], fails: bool = False) -> list[np.ndarray]:
        """The results of three calls and the variables after each; the second one may fail."""
        tf.random.set_seed(self.number)
        state = State()

        def call(bad: Any, *values: Any) -> list[Any]:
            state.bad = bad
            found = self.block(state, *values)
            return [found[k] for k in self.results]

        function, arrays = wrap(call), []
        for k in (0, 1, 0):
            arrays += outcome(function, tf.constant(int(fails and k)), *self.inputs[k])
            arrays += [v.numpy() for v in state.variables]
        return arrays


def outcome(function: Callable[..., Any], *values: Any) -> list[np.ndarray]:
    """The results of a call, or how it failed."""
    try:
        return [x.numpy() for x in function(*values)]
    except tf.errors.InvalidArgumentError as error:
        text = str(error).split("\t [[")[0].strip()
        return [np.array(text.splitlines()[-1].encode())]


def assert_same(found: np.ndarray, expected: np.ndarray, text: str) -> None:
    """Two arrays have the same bits; a NaN is a NaN."""
    found, expected = np.asarray(found), np.asarray(expected)
    if "S" in (found.dtype.kind, expected.dtype.kind):
        assert found.tolist() == expected.tolist(), text
        return
    assert found.dtype == expected.dtype and found.shape == expected.shape, text
    if found.dtype.kind == "c":
        assert_same(found.real, expected.real, text)
        assert_same(found.imag, expected.imag, text)
        return
    wrong = found != expected
    if found.dtype.kind not in "iub":
        bits = f"u{found.dtype.itemsize}"
        differ = np.ascontiguousarray(found).view(bits) != np.ascontiguousarray(expected).view(
            bits
        )
        wrong = differ & ~(np.isnan(found) & np.isnan(expected))
    assert not wrong.any(), f"{found[wrong][:4]} is not {expected[wrong][:4]}\n{text}"
