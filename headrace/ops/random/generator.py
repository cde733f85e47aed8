"""`tf.random.Generator`: random numbers from a state that a variable holds.

The state is a counter of 128 bits and a key of 64. A draw takes the state, moves the counter by
256 for every number, and gives the old one to the stateless ops of `ops/random/stateless.py`.
"""

from __future__ import annotations

import math
import os

import numpy as np

from headrace.base import errors, nest
from headrace.base.dtypes import as_dtype, float32, int32, int64, uint64
from headrace.base.dtypes import resource as resource_dtype
from headrace.base.export import export
from headrace.core.context import state as thread
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.explain import with_op
from headrace.core.op import Kind, Op, Spec
from headrace.core.rng import BLOCKS_PER_NUMBER
from headrace.core.tensor import wrap
from headrace.core.variable import Variable
from headrace.ops.cast import cast
from headrace.ops.concat_pad import concat, stack
from headrace.ops.create import zeros, zeros_like
from headrace.ops.random.counts import (
    COUNTS,
    batch_shape,
    binomial_numbers,
    binomial_shape,
    samples_of,
)
from headrace.ops.random.stateful import (
    between,
    check_dtype,
    extent,
    limits,
    location_and_scale,
    named,
    stretched,
)
from headrace.ops.random.stateless import (
    Algorithm,
    StatelessRandomNormalV2,
    StatelessRandomUniformFullIntV2,
    StatelessRandomUniformIntV2,
    StatelessRandomUniformV2,
    StatelessTruncatedNormalV2,
    algorithm,
    drawn,
    unsupported,
)
from headrace.ops.reduce import reduce_prod
from headrace.ops.reshape import reshape
from headrace.ops.shapes import brackets
from headrace.ops.state import handle

_MASK64 = 0xFFFFFFFFFFFFFFFF
_MASK32 = 0xFFFFFFFF


def _words(alg):
    """How many int64 the state of an algorithm has."""
    if alg not in (1, 2, 3):
        raise unsupported(alg)
    return 2 if alg == Algorithm.THREEFRY.value else 3


def _as_state(value):
    """Integers, the upper half of uint64 included, as int64."""
    return cast(nest.map_structure(_signed, value), int64)


def _signed(number):
    return number - 2**64 if isinstance(number, int) and number >= 2**63 else number


def _require(shape, wanted):
    if not shape.is_compatible_with(wanted):
        raise ValueError(f"Shapes {shape} and {wanted} are incompatible")


@export("random.create_rng_state", "random.experimental.create_rng_state")
def create_rng_state(seed, alg):
    """The state of a generator from a seed.

    Args:
        seed: int of any size, or integers; the last of a vector is the key.
        alg: "philox" (a state `[3]`), "threefry" (`[2]`) or "auto_select" (`[3]`).
    Returns: int64 vector.
    Raises: ValueError: another algorithm.

    >>> tf.random.create_rng_state(7, "philox").numpy()
    array([7, 0, 0])
    """
    words = _words(algorithm(alg))
    if isinstance(seed, int):
        seed = [seed >> 64 * i & _MASK64 for i in range(words)]
    state = reshape(_as_state(seed), (-1,))[:words]
    missing = words - state.shape[0]
    return concat([zeros([missing], int64), state], 0) if missing else state


@export("random.Generator", "random.experimental.Generator")
class Generator:
    """A source of random numbers with a state of its own.

    Args:
        copy_from: another generator, whose state and algorithm are copied.
        state: integer vector `[3]`: the counter's lower and upper half, the key. A variable is
            used as it is and shared.
        alg: "philox", "auto_select", a number or a `tf.random.Algorithm`; needed with `state`.
    Raises:
        AssertionError: neither `copy_from` nor both of the others, or too much.
        ValueError: the state has another shape, or there is no such algorithm.

    >>> g = tf.random.Generator.from_seed(7)
    >>> g.normal([3]).numpy().round(4)
    array([-1.324 ,  0.2879, -0.8758], dtype=float32)
    """

    def __init__(self, copy_from=None, state=None, alg=None):
        if copy_from is not None:
            assert (alg or state) is None
            self._alg, state = copy_from.algorithm, wrap(copy_from.state.numpy())
        else:
            assert alg is not None and state is not None
            self._alg = algorithm(alg)
            state = state if isinstance(state, Variable) else _as_state(state)
            _require(state.shape, [_words(self._alg)])
        if not isinstance(state, Variable):
            state = Variable(state, dtype=int64, trainable=False, name="StateVar")
        self._state_var = state

    @classmethod
    def from_state(cls, state, alg):
        """A generator with a given state; arguments as those of the class."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_seed(cls, seed, alg=None):
        """A generator that begins from a seed (see `tf.random.create_rng_state`)."""
        number = algorithm(Algorithm.PHILOX if alg is None else alg)
        return cls(state=create_rng_state(seed, number), alg=number)

    @classmethod
    def from_non_deterministic_state(cls, alg=None):
        """A generator with a state that nobody can know before."""
        number = algorithm(Algorithm.PHILOX if alg is None else alg)
        state = np.frombuffer(os.urandom(8 * _words(number)), np.int64)
        return cls(state=state, alg=number)

    @classmethod
    def from_key_counter(cls, key, counter, alg):
        """A generator with a given key (scalar) and counter (vector `[2]`)."""
        number = algorithm(alg)
        return cls(state=_joined(key, counter, number), alg=number)

    @property
    def state(self):
        """The state, an int64 variable `[3]`."""
        return self._state_var

    @property
    def algorithm(self):
        """The algorithm's number."""
        return self._alg

    @property
    def key(self):
        """The key, an int64 scalar."""
        return self._state_var[-1]

    def reset(self, state):
        """Give it another state `[3]`."""
        state = _as_state(state)
        _require(state.shape, [_words(self._alg)])
        self._state_var.assign(state)

    def reset_from_seed(self, seed):
        """Begin again from a seed."""
        self._state_var.assign(create_rng_state(seed, self._alg))

    def reset_from_key_counter(self, key, counter):
        """Give it another key (scalar) and counter (vector `[2]`)."""
        self._state_var.assign(_joined(key, counter, self._alg))

    def skip(self, delta):
        """Pass over `delta` numbers; returns the state as it was."""
        if thread.graph is not None:
            return self._advance(delta)
        delta = cast(delta, int64)
        if delta.shape.rank:
            raise errors.invalid_argument(
                f"input 2 (0-based) must have shape [], not {brackets(delta.shape)}",
                "RngReadAndSkip",
            )
        return wrap(self._advance(int(delta)))

    def _advance(self, numbers):
        """Move on by so many numbers: the state as it was, an array, or a graph's tensor."""
        if thread.graph is None:
            return skipped(self._state_var, numbers, self._alg)
        place = handle(self._state_var, "RngReadAndSkip/resource")
        count = cast(numbers, uint64)
        return add_node(RngReadAndSkip, [place, count], {"alg": self._alg}, None)

    def _draw(self, op, shape, inputs=(), **attrs):
        """What a stateless op draws from the state, which moves on."""
        dims, _ = extent(shape)
        if thread.graph is not None:
            words = cast(self._advance(reduce_prod(convert(dims, None, int64))), uint64)
        else:
            numbers = int(np.prod(np.array(dims, np.int64)))
            words = wrap(self._advance(numbers).view(np.uint64))
        return drawn(op, shape, (words[2:], words[:2], self._alg), inputs, **attrs)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Numbers from a normal distribution; arguments as in `tf.random.normal`."""
        wanted, mean, stddev = location_and_scale(mean, stddev, dtype)
        return stretched(self._draw(StatelessRandomNormalV2, shape, dtype=wanted), stddev, mean)

    def truncated_normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Normals less than 2 deviations from the mean; arguments as in `tf.random.normal`."""
        wanted, mean, stddev = location_and_scale(mean, stddev, dtype)
        numbers = self._draw(StatelessTruncatedNormalV2, shape, dtype=wanted)
        return stretched(numbers, stddev, mean)

    def uniform(self, shape, minval=0, maxval=None, dtype=float32, name=None):
        """Numbers in [minval, maxval), or of an integer dtype's whole range.

        Args:
            shape: integer vector, the result's shape.
            minval: lower bound, included.
            maxval: upper bound, excluded (default 1 for floats). With integers both bounds may
                be None, for the whole range.
            dtype: a float dtype, int32, int64, or uint32, uint64 with the whole range.
            name: of the operation in a graph.
        """
        wanted = as_dtype(dtype)
        if wanted.is_integer:
            return self._uniform_int(shape, minval, maxval, wanted)
        low, high = limits(minval, 1 if maxval is None else maxval, wanted)
        return between(self._draw(StatelessRandomUniformV2, shape, dtype=wanted), low, high)

    def _uniform_int(self, shape, minval, maxval, dtype):
        if (minval is None) != (maxval is None):
            raise ValueError(
                f"For integer dtype {dtype}, minval and maxval must be both `None` or both "
                f"non-`None`; got minval={minval} and maxval={maxval}"
            )
        if minval is None:
            return self.uniform_full_int(shape, dtype)
        inputs = named(minval, dtype, "min"), named(maxval, dtype, "max")
        return self._draw(StatelessRandomUniformIntV2, shape, inputs)

    def uniform_full_int(self, shape, dtype=uint64, name=None):
        """Integers from the whole range of int32, int64, uint32 or uint64."""
        return self._draw(StatelessRandomUniformFullIntV2, shape, dtype=as_dtype(dtype))

    def binomial(self, shape, counts, probs, dtype=int32, name=None):
        """Numbers of successes; arguments as in `tf.random.stateless_binomial`."""
        counts, probs = convert(counts), convert(probs)
        try:
            return wrap(self._binomial(shape, counts, probs, as_dtype(dtype)))
        except errors.OpError as error:
            raise with_op(error, "StatefulRandomBinomial") from None

    def _binomial(self, shape, counts, probs, dtype):
        check_dtype(dtype, COUNTS, "half, float, double, int32, int64")
        dims = binomial_shape(*extent(shape))
        samples = samples_of(dims, batch_shape(counts.shape, probs.shape))
        if self._alg == Algorithm.THREEFRY.value:
            raise errors.invalid_argument(f"Unsupported algorithm id: {self._alg}")
        low, high, key = self._advance(math.prod(dims) * 80).view(np.uint64).tolist()
        place = low | high << 64, key
        drawn = binomial_numbers(place, counts._array, probs._array, samples, dtype)
        return drawn.reshape(dims)

    def make_seeds(self, count=1):
        """`count` seeds for stateless ops, an int64 tensor `[2, count]`."""
        keys = self.uniform_full_int([count], int64)
        return stack([keys, zeros_like(keys)])

    def split(self, count=1):
        """`count` new generators whose keys are drawn from this one."""
        keys = self.uniform_full_int([count], int64).numpy().tolist()
        empty = [0] * (_words(self._alg) - 1)
        return [Generator(state=[*empty, key], alg=self._alg) for key in keys]


class RngReadAndSkip(Op):
    """The state of a generator, which moves on by `delta` numbers."""

    kind = Kind.STATE
    inputs = ("resource", "alg", "delta")
    static = ("alg",)
    types = {
        "resource": ("resource", frozenset({resource_dtype})),
        "delta": ("delta", frozenset({uint64})),
    }
    dtypes = frozenset({int64})
    stateful = True
    no_grad = "integer result"

    def infer(resource, delta, alg):
        return Spec(resource.value.shape, int64)

    def kernel(resource, delta, alg):
        return skipped(resource, int(delta), alg)

    def lower(c, resource, delta, alg):
        if alg == Algorithm.THREEFRY.value or resource.shape != (3,):
            c.refuse("an algorithm that only fails")
        before = c.copied(c.read(resource))
        blocks = delta[()] * BLOCKS_PER_NUMBER

        def moved(k):
            low, high = _moved(*(c.cast(before[i], uint64) for i in (0, 1)), blocks)
            words = c.where(k == 0, low, high)
            return c.where(k == 2, before[2], c.cast(words, int64))

        c.assign(resource, c.map((3,), int64, moved))
        return before


def _moved(low, high, blocks):
    """The words of a counter after so many blocks, as TensorFlow counts in halves of words.

    A carry into a half of `blocks` that is all ones is lost, so that going back is possible.
    """
    first = (low & _MASK32) + (blocks & _MASK32)
    rest = ((blocks >> 32) + (first >> 32)) & _MASK32
    second = (low >> 32) + rest
    return ((second & _MASK32) << 32) | (first & _MASK32), high + (second >> 32)


def skipped(variable, numbers, alg):
    """The state in a variable as an array; it moves on by so many numbers."""
    if alg == Algorithm.THREEFRY.value:
        raise errors.unimplemented(
            "Non-XLA devices don't support the ThreeFry algorithm.", "RngReadAndSkip"
        )
    with variable._lock:
        buffer = variable._array  # held: see Variable
        before = buffer.copy()
        low, high, key = (word & _MASK64 for word in before.tolist())
        low, high = _moved(low, high, numbers * BLOCKS_PER_NUMBER & _MASK64)
        after = np.array([low, high & _MASK64, key], np.uint64).view(np.int64)
        variable.assign(wrap(after), read_value=False)
    return before


def _joined(key, counter, alg):
    """A state from a key and a counter."""
    key, counter = _as_state(key), _as_state(counter)
    _require(counter.shape, [_words(alg) - 1])
    _require(key.shape, [])
    return concat([counter, reshape(key, (1,))], 0)


_global: list[Generator] = []


@export("random.get_global_generator", "random.experimental.get_global_generator")
def get_global_generator():
    """The generator that programs share; made when it is first asked for.

    >>> tf.random.get_global_generator().state.shape
    TensorShape([3])
    """
    if not _global:
        _global.append(Generator.from_non_deterministic_state())
    return _global[0]


@export("random.set_global_generator", "random.experimental.set_global_generator")
def set_global_generator(generator):
    """Make `generator` the one that programs share.

    >>> tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    >>> tf.random.get_global_generator().state.numpy()
    array([1, 0, 0])
    """
    _global[:] = [generator]
