"""Random numbers: the very numbers that TensorFlow draws for the same seeds.

Stateful ops (`tf.random.uniform`) take their place from `core/rng.py`; stateless ones from their
`seed` argument; `tf.random.Generator` keeps counter and key in a variable. The numbers come
from `core/philox.py`.
"""

from __future__ import annotations

import math
import os

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import (
    ALL,
    FLOATS,
    INTS,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int32,
    int64,
)
from headrace.base.export import export
from headrace.core import philox, rng
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply, create
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import wrap
from headrace.core.variable import Variable
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets

_UNIFORM = (float16, bfloat16, float32, float64, int32, int64)
_SEEDS = {"seed": 0, "seed2": 0}
_STATEFUL = "random, and stateful"
_NO_LOWER = "drawn by its kernel until the compiler has the generator"


def _dims(shape):
    """A shape as a tuple; refused in the words of the random ops."""
    dims = static(shape)
    if dims.__class__ is int:
        raise errors.invalid_argument("shape must be a vector of {int32,int64}, got shape []")
    for dim in dims or ():
        if dim is not None and dim < 0:
            raise errors.invalid_argument(f"Dimension {dim} must be >= 0")
    return dims


def _random(name, draw, doc):
    """A stateful op `(shape; dtype, seed, seed2)` that draws floats."""

    def infer(shape, dtype, seed=0, seed2=0):
        return Spec(_dims(shape), dtype)

    def kernel(shape, dtype, seed=0, seed2=0):
        dims = _dims(shape)
        count = math.prod(dims)
        counter, key = rng.start(name, seed, seed2, dtype, count * rng.BLOCKS_PER_NUMBER)
        return draw(counter, key, count, dtype).reshape(dims)

    rules = {
        "kind": Kind.RANDOM,
        "inputs": ("shape",),
        "static": ("shape",),
        "attrs": {"dtype": float32, **_SEEDS},
        "dtypes": FLOATS,
        "stateful": True,
        "no_grad": _STATEFUL,
        "no_lower": _NO_LOWER,
        "infer": infer,
        "kernel": kernel,
        "__doc__": doc,
        "__module__": __name__,
    }
    return type(name, (Op,), rules)


def _stateless(name, draw, doc, dtypes):
    """An op `(shape, seed; dtype)` whose numbers follow from its seed alone."""

    def infer(shape, seed, dtype):
        return Spec(_dims(shape), dtype)

    def kernel(shape, seed, dtype):
        dims = _dims(shape)
        count = math.prod(dims)
        counter, key = philox.scramble(seed)
        return draw(counter, key, count, dtype).reshape(dims)

    rules = {
        "kind": Kind.RANDOM,
        "inputs": ("shape", "seed"),
        "static": ("shape", "seed"),
        "attrs": {"dtype": float32},
        "dtypes": dtypes,
        "no_grad": "random",
        "no_lower": _NO_LOWER,
        "infer": infer,
        "kernel": kernel,
        "__doc__": doc,
        "__module__": __name__,
    }
    return type(name, (Op,), rules)


RandomUniform = _random("RandomUniform", philox.uniform, "Numbers in [0, 1).")
RandomStandardNormal = _random(
    "RandomStandardNormal", philox.normal, "Numbers of the standard normal distribution."
)
TruncatedNormal = _random(
    "TruncatedNormal", philox.truncated_normal, "Standard normals less than 2 from 0."
)
StatelessRandomUniform = _stateless(
    "StatelessRandomUniform", philox.uniform, "Numbers in [0, 1) from a seed.", FLOATS
)
StatelessRandomNormal = _stateless(
    "StatelessRandomNormal", philox.normal, "Standard normals from a seed.", FLOATS
)
StatelessTruncatedNormal = _stateless(
    "StatelessTruncatedNormal",
    philox.truncated_normal,
    "Standard normals less than 2 from 0, from a seed.",
    FLOATS,
)
StatelessRandomUniformFullInt = _stateless(
    "StatelessRandomUniformFullInt",
    philox.full_integers,
    "Integers from the whole range of their dtype, from a seed.",
    INTS,
)


class RandomUniformInt(Op):
    """Integers in [minval, maxval)."""

    kind = Kind.RANDOM
    inputs = ("shape", "minval", "maxval")
    static = ("shape",)
    attrs = _SEEDS
    dtypes = frozenset({int32, int64})
    stateful = True
    no_grad = _STATEFUL
    no_lower = _NO_LOWER
    samples = (
        Bad(values=(5, 1), dtype=("int32", "int32"), shape=(3,),
            match="Need minval < maxval, got 5 >= 1"),
    )

    def infer(minval, maxval, shape, seed=0, seed2=0):
        return Spec(_dims(shape), minval.dtype)

    def kernel(minval, maxval, shape, seed=0, seed2=0):
        dims, low, high = _dims(shape), *_bounds(minval, maxval)
        count, dtype = math.prod(dims), as_dtype(minval.dtype)
        blocks = count * rng.BLOCKS_PER_NUMBER
        counter, key = rng.start("RandomUniformInt", seed, seed2, dtype, blocks)
        return philox.integers(counter, key, count, dtype, low, high).reshape(dims)


class StatelessRandomUniformInt(Op):
    """Integers in [minval, maxval) from a seed."""

    kind = Kind.RANDOM
    inputs = ("shape", "seed", "minval", "maxval")
    static = ("shape", "seed")
    dtypes = INTS
    no_grad = "random"
    no_lower = _NO_LOWER
    samples = RandomUniformInt.samples[:0]

    def infer(minval, maxval, shape, seed):
        return Spec(_dims(shape), minval.dtype)

    def kernel(minval, maxval, shape, seed):
        dims, low, high = _dims(shape), *_bounds(minval, maxval)
        count, dtype = math.prod(dims), as_dtype(minval.dtype)
        counter, key = philox.scramble(seed)
        return philox.integers(counter, key, count, dtype, low, high).reshape(dims)


def _bounds(minval, maxval):
    for name, bound in (("minval", minval), ("maxval", maxval)):
        if bound.ndim:
            raise errors.invalid_argument(
                f"{name} must be 0-D, got shape {brackets(bound.shape)}"
            )
    if not minval < maxval:
        raise errors.invalid_argument(f"Need minval < maxval, got {minval} >= {maxval}")
    return int(minval), int(maxval)


class RandomShuffle(Op):
    """The rows of a tensor in random order."""

    kind = Kind.RANDOM
    inputs = ("value",)
    attrs = _SEEDS
    dtypes = ALL
    stateful = True
    no_grad = _STATEFUL
    no_lower = _NO_LOWER

    def infer(value, seed=0, seed2=0):
        return Spec(value.shape, value.dtype)

    def kernel(value, seed=0, seed2=0):
        rows = value.shape[0] if value.ndim else 1
        if rows < 2:
            return value
        counter, key = rng.start("RandomShuffle", seed, seed2, value.dtype, -(-(rows - 1) // 4))
        return value[philox.permutation(counter, key, rows)]


def _seeds(seed):
    first, second = rng.pair(seed)
    return {"seed": first, "seed2": second}


def _checked_dtype(dtype):
    wanted = as_dtype(dtype)
    if wanted not in _UNIFORM:
        raise ValueError(
            f"Argument `dtype` got invalid value {wanted}. Accepted dtypes are {_UNIFORM}."
        )
    return wanted


@export("random.uniform")
def uniform(shape, minval=0, maxval=None, dtype=float32, seed=None, name=None):
    """Numbers from the uniform distribution on [minval, maxval).

    Args:
        shape: integer vector, the result's shape.
        minval: lower bound, included.
        maxval: upper bound, excluded (default 1; must be given for integers).
        dtype: float16, bfloat16, float32, float64, int32 or int64.
        seed: int, the op's own seed beside the global one.
        name: not used eagerly.
    Raises: ValueError: another dtype, or integers without `maxval`.
    Source: TensorFlow's `RandomUniform` and `RandomUniformInt`.

    >>> tf.random.set_seed(1)
    >>> tf.random.uniform([2], 0, 10, tf.int32).shape
    TensorShape([2])
    """
    wanted = _checked_dtype(dtype)
    if maxval is None:
        if wanted.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {wanted!r}")
        maxval = 1
    if wanted.is_integer:
        bounds = convert(minval, wanted), convert(maxval, wanted)
        return apply(RandomUniformInt, bounds, {"shape": static(shape), **_seeds(seed)})
    return _scaled(
        create(RandomUniform, {"shape": static(shape), "dtype": wanted, **_seeds(seed)}),
        minval,
        maxval,
        wanted,
    )


def _scaled(numbers, minval, maxval, dtype):
    low, high = convert(minval, dtype), convert(maxval, dtype)
    return numbers * (high - low) + low


@export("random.normal")
def normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Numbers from a normal distribution.

    Args:
        shape: integer vector, the result's shape.
        mean: the mean; broadcasts with the result.
        stddev: the standard deviation; broadcasts with the result.
        dtype: float16, bfloat16, float32 or float64.
        seed: int, the op's own seed beside the global one.
        name: not used eagerly.
    Source: TensorFlow's `RandomStandardNormal`.

    >>> tf.random.set_seed(42)
    >>> tf.random.normal([2]).numpy()
    array([ 0.3274685, -0.8426258], dtype=float32)
    """
    wanted = as_dtype(dtype)
    center, spread = convert(mean, wanted), convert(stddev, wanted)
    attrs = {"shape": static(shape), "dtype": wanted, **_seeds(seed)}
    return create(RandomStandardNormal, attrs) * spread + center


@export("random.truncated_normal")
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Numbers from a normal distribution, none of them 2 deviations or more from the mean.

    Args:
        shape: integer vector, the result's shape.
        mean: the mean before truncation.
        stddev: the standard deviation before truncation.
        dtype: float16, bfloat16, float32 or float64.
        seed: int, the op's own seed beside the global one.
        name: not used eagerly.
    Source: TensorFlow's `TruncatedNormal`.

    >>> tf.random.set_seed(42)
    >>> tf.random.truncated_normal([2]).numpy()
    array([ 0.3274685, -0.8426258], dtype=float32)
    """
    wanted = as_dtype(dtype)
    center, spread = convert(mean, wanted), convert(stddev, wanted)
    attrs = {"shape": static(shape), "dtype": wanted, **_seeds(seed)}
    return create(TruncatedNormal, attrs) * spread + center


@export("random.shuffle")
def shuffle(value, seed=None, name=None):
    """The rows of a tensor in random order.

    Args:
        value: tensor of any dtype and shape.
        seed: int, the op's own seed beside the global one.
        name: not used eagerly.
    Source: TensorFlow's `RandomShuffle`.

    >>> tf.random.set_seed(42)
    >>> tf.random.shuffle(tf.range(10)).numpy()
    array([7, 6, 3, 0, 8, 9, 5, 4, 1, 2], dtype=int32)
    """
    return apply(RandomShuffle, (value,), _seeds(seed))


def _seed_pair(seed):
    """A stateless op's seed as two ints."""
    array = np.asarray(seed)
    if array.shape != (2,):
        raise errors.invalid_argument(
            f"seed must have shape [2], not {brackets(array.shape)}", "StatelessRandomGetKeyCounter"
        )
    return static(convert(seed))


def _check_algorithm(alg):
    name = str(getattr(alg, "value", alg)).lower()
    if name not in ("auto_select", "philox", "3", "1"):
        raise ValueError(f"Unsupported algorithm {alg!r}: Headrace draws with Philox only.")


@export("random.stateless_uniform")
def stateless_uniform(
    shape, seed, minval=0, maxval=None, dtype=float32, name=None, alg="auto_select"
):
    """Numbers from the uniform distribution on [minval, maxval) that follow from `seed` alone.

    Args:
        shape: integer vector, the result's shape.
        seed: integer vector `[2]`.
        minval: lower bound, included; None with integers: their whole range.
        maxval: upper bound, excluded (default 1 for floats).
        dtype: a float dtype, int32, int64, or uint32, uint64 with the whole range.
        name: not used eagerly.
        alg: "auto_select" or "philox".
    Raises: ValueError: another dtype or algorithm, or one bound of two.
    Source: TensorFlow's `StatelessRandomUniformV2` and its relatives.

    >>> tf.random.stateless_uniform([2], seed=[1, 2]).numpy()
    array([0.8440604 , 0.19204533], dtype=float32)
    """
    _check_algorithm(alg)
    wanted = as_dtype(dtype)
    attrs = {"shape": static(shape), "seed": _seed_pair(seed)}
    accepted = (*_UNIFORM, as_dtype("uint32"), as_dtype("uint64"))
    if wanted not in accepted:
        raise ValueError(
            f"Argument `dtype` got invalid value {wanted}. Accepted dtypes are {accepted}."
        )
    if not wanted.is_integer:
        numbers = create(StatelessRandomUniform, {**attrs, "dtype": wanted})
        return _scaled(numbers, minval, 1 if maxval is None else maxval, wanted)
    if (minval is None) != (maxval is None):
        raise ValueError(
            f"For integer `dtype` argument {wanted}, argument `minval` and `maxval` must be both "
            f"None or not None. Got `minval`={minval} and `maxval`={maxval}."
        )
    if minval is None:
        return create(StatelessRandomUniformFullInt, {**attrs, "dtype": wanted})
    bounds = convert(minval, wanted), convert(maxval, wanted)
    return apply(StatelessRandomUniformInt, bounds, attrs)


@export("random.stateless_normal")
def stateless_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """Numbers from a normal distribution that follow from `seed` alone.

    Args:
        shape: integer vector, the result's shape.
        seed: integer vector `[2]`.
        mean, stddev: of the distribution.
        dtype: a float dtype.
        name: not used eagerly.
        alg: "auto_select" or "philox".
    Source: TensorFlow's `StatelessRandomNormalV2`.

    >>> tf.random.stateless_normal([2], seed=[1, 2]).shape
    TensorShape([2])
    """
    _check_algorithm(alg)
    return _stateless_scaled(StatelessRandomNormal, shape, seed, mean, stddev, dtype)


@export("random.stateless_truncated_normal")
def stateless_truncated_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """As `stateless_normal`, none of the numbers 2 deviations or more from the mean.

    >>> tf.random.stateless_truncated_normal([2], seed=[1, 2]).shape
    TensorShape([2])
    """
    _check_algorithm(alg)
    return _stateless_scaled(StatelessTruncatedNormal, shape, seed, mean, stddev, dtype)


def _stateless_scaled(op, shape, seed, mean, stddev, dtype):
    wanted = as_dtype(dtype)
    center, spread = convert(mean, wanted), convert(stddev, wanted)
    attrs = {"shape": static(shape), "seed": _seed_pair(seed), "dtype": wanted}
    return create(op, attrs) * spread + center


@export("random.split", "random.experimental.stateless_split")
def stateless_split(seed, num=2, alg="auto_select"):
    """`num` new seeds from one.

    Args:
        seed: int32 or int64 vector `[2]`.
        num: int, how many.
        alg: "auto_select" or "philox".
    Returns: integer tensor `[num, 2]`.

    >>> tf.random.split([1, 2], 2).shape
    TensorShape([2, 2])
    """
    seed = convert(seed)
    return stateless_uniform(
        [static(num), 2], seed, minval=None, maxval=None, dtype=seed.dtype, alg=alg
    )


@export("random.fold_in", "random.experimental.stateless_fold_in")
def stateless_fold_in(seed, data, alg="auto_select"):
    """A new seed from a seed and a number, a step count say.

    Args:
        seed: int32 or int64 vector `[2]`.
        data: integer scalar.
        alg: "auto_select" or "philox".
    Returns: integer vector `[2]`.

    >>> tf.random.fold_in([1, 2], 3).numpy()
    array([1105988140,          3], dtype=int32)
    """
    seed = convert(seed)
    first = stateless_uniform([1], seed, minval=None, maxval=None, dtype=seed.dtype, alg=alg)
    number = convert(data, seed.dtype) if not hasattr(data, "dtype") else convert(data)
    return wrap(np.array([first._array[0], number._array.astype(seed.dtype.np)], seed.dtype.np))


@export("random.Algorithm")
class Algorithm:
    """The generators that TensorFlow names; Headrace has Philox."""

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


@export("random.Generator", "random.experimental.Generator")
class Generator:
    """A source of random numbers with a state of its own.

    Args:
        copy_from: another generator.
        state: integer vector `[3]`: the counter's lower and upper half, the key.
        alg: "philox" (or 1); needed with `state`.

    >>> g = tf.random.Generator.from_seed(7)
    >>> g.normal([3]).numpy().round(4)
    array([-1.324 ,  0.2879, -0.8758], dtype=float32)
    """

    def __init__(self, copy_from=None, state=None, alg=None):
        if copy_from is not None:
            if state is not None or alg is not None:
                raise ValueError("Give either copy_from, or state and alg.")
            state = copy_from.state
        else:
            if state is None or alg is None:
                raise ValueError("Generator needs either copy_from, or state and alg.")
            _check_algorithm(alg)
        value = np.asarray(convert(state)).astype(np.int64)
        if value.shape != (3,):
            raise ValueError(
                "For the Philox algorithm, the size of state must be at least 3; got shape "
                f"{value.shape}"
            )
        self._state = Variable(value, dtype=int64, trainable=False, name="StateVar")

    @classmethod
    def from_state(cls, state, alg):
        """A generator with a given state `[3]`."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_seed(cls, seed, alg=None):
        """A generator whose state is `[seed, 0, 0]`."""
        value = int(seed) & 0xFFFFFFFFFFFFFFFF
        return cls(state=np.array([value, 0, 0], np.uint64).astype(np.int64), alg=alg or "philox")

    @classmethod
    def from_non_deterministic_state(cls, alg=None):
        """A generator with a state that nobody can know before."""
        return cls(state=np.frombuffer(os.urandom(24), np.int64), alg=alg or "philox")

    @classmethod
    def from_key_counter(cls, key, counter, alg):
        """A generator with a given key and counter `[2]`."""
        low, high = (int(c) for c in np.asarray(counter))
        return cls(state=np.array([low, high, int(key)], np.int64), alg=alg)

    @property
    def state(self):
        """The state, a variable `[3]`."""
        return self._state

    @property
    def algorithm(self):
        """The algorithm's number: 1, Philox."""
        return 1

    @property
    def key(self):
        """The key, an int64 scalar."""
        return self._state[2]

    def reset(self, state):
        """Give it another state `[3]`."""
        self._state.assign(np.asarray(convert(state)).astype(np.int64))

    def reset_from_seed(self, seed):
        """Begin again from a seed."""
        self._state.assign(Generator.from_seed(seed).state)

    def reset_from_key_counter(self, key, counter):
        """Give it another key and counter `[2]`."""
        self._state.assign(Generator.from_key_counter(key, counter, "philox").state)

    def skip(self, delta):
        """Pass over `delta` numbers; returns the state as it was, `[3]`."""
        with self._state._lock:
            before = self._state.numpy()
            self._advance(before, int(static(delta)))
        return wrap(before)

    def _advance(self, state, numbers):
        words = [int(word) & 0xFFFFFFFFFFFFFFFF for word in state]
        counter = (words[0] | words[1] << 64) + numbers * rng.BLOCKS_PER_NUMBER
        words[0], words[1] = counter & 0xFFFFFFFFFFFFFFFF, counter >> 64 & 0xFFFFFFFFFFFFFFFF
        self._state.assign(np.array(words, np.uint64).astype(np.int64), read_value=False)

    def _draw(self, function, shape, dtype, *bounds):
        dims = _dims(shape)
        count = math.prod(dims)
        with self._state._lock:
            state = self._state.numpy()
            self._advance(state, count)
        words = [int(word) & 0xFFFFFFFFFFFFFFFF for word in state]
        numbers = function(words[0] | words[1] << 64, words[2], count, dtype, *bounds)
        return wrap(numbers.reshape(dims))

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Numbers from a normal distribution; arguments as in `tf.random.normal`."""
        wanted = as_dtype(dtype)
        center, spread = convert(mean, wanted), convert(stddev, wanted)
        return self._draw(philox.normal, shape, wanted) * spread + center

    def truncated_normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Normals less than 2 deviations from the mean."""
        wanted = as_dtype(dtype)
        center, spread = convert(mean, wanted), convert(stddev, wanted)
        return self._draw(philox.truncated_normal, shape, wanted) * spread + center

    def uniform(self, shape, minval=0, maxval=None, dtype=float32, name=None):
        """Numbers in [minval, maxval); arguments as in `tf.random.uniform`."""
        wanted = as_dtype(dtype)
        if not wanted.is_integer:
            numbers = self._draw(philox.uniform, shape, wanted)
            return _scaled(numbers, minval, 1 if maxval is None else maxval, wanted)
        if (minval is None) != (maxval is None):
            raise ValueError(
                f"For integer dtype {wanted}, minval and maxval must be both `None` or both "
                f"non-`None`; got minval={minval} and maxval={maxval}"
            )
        if minval is None:
            return self.uniform_full_int(shape, wanted)
        low, high = _bounds(convert(minval, wanted)._array, convert(maxval, wanted)._array)
        return self._draw(philox.integers, shape, wanted, low, high)

    def uniform_full_int(self, shape, dtype=as_dtype("uint64"), name=None):
        """Integers from the whole range of a dtype."""
        return self._draw(philox.full_integers, shape, as_dtype(dtype))

    def make_seeds(self, count=1):
        """`count` seeds for stateless ops, an int64 tensor `[2, count]`."""
        seeds = self.uniform_full_int([static(count)], int64)._array
        return wrap(np.stack([seeds, np.zeros_like(seeds)]))

    def split(self, count=1):
        """`count` new generators whose keys are drawn from this one."""
        keys = self.uniform_full_int([static(count)], int64)._array
        return [Generator(state=np.array([0, 0, key], np.int64), alg="philox") for key in keys]


_GLOBAL = []


@export("random.get_global_generator", "random.experimental.get_global_generator")
def get_global_generator():
    """The generator that programs share; made when it is first asked for.

    >>> tf.random.get_global_generator().state.shape
    TensorShape([3])
    """
    if not _GLOBAL:
        _GLOBAL.append(Generator.from_non_deterministic_state())
    return _GLOBAL[0]


@export("random.set_global_generator", "random.experimental.set_global_generator")
def set_global_generator(generator):
    """Make `generator` the one that programs share."""
    _GLOBAL[:] = [generator]


@export("random.create_rng_state", "random.experimental.create_rng_state")
def create_rng_state(seed, alg):
    """The state `[3]` of a generator from a seed.

    >>> tf.random.create_rng_state(7, "philox").numpy()
    array([7, 0, 0])
    """
    _check_algorithm(alg)
    return wrap(Generator.from_seed(seed).state.numpy())


def _categories(logits, count, counter, key):
    """Classes drawn by their unnormalised log-probabilities: `[rows, count]`."""
    rows, classes = logits.shape
    wide = logits.astype(np.float64)
    draws = philox.uniform(counter, key, rows * count, float64).reshape(rows, count)
    result = np.empty((rows, count), np.int64)
    for row in range(rows):
        finite = np.where(np.isfinite(wide[row]), wide[row], -np.inf)
        totals = np.cumsum(np.exp(finite - finite.max(initial=-np.inf)))
        picks = draws[row] * (totals[-1] if classes else 0)
        result[row] = np.searchsorted(totals, picks, side="right")
    return result


class Multinomial(Op):
    """Classes drawn by their unnormalised log-probabilities."""

    kind = Kind.RANDOM
    inputs = ("logits", "num_samples")
    static = ("num_samples",)
    attrs = {**_SEEDS, "output_dtype": int64}
    dtypes = FLOATS
    stateful = True
    no_grad = _STATEFUL
    no_lower = _NO_LOWER

    def infer(logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        if logits.shape is not None and len(logits.shape) != 2:
            raise errors.invalid_argument(
                f"logits should be a matrix, got shape {brackets(logits.shape)}"
            )
        if num_samples is not None and num_samples < 0:
            raise errors.invalid_argument(
                f"num_samples should be nonnegative, got {num_samples}"
            )
        rows = None if logits.shape is None else logits.shape[0]
        return Spec((rows, num_samples), output_dtype)

    def kernel(logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        rows, _ = logits.shape
        if num_samples < 0:
            raise ValueError
        blocks = rows * (-(-num_samples // 4) * 4) * 2 * rng.BLOCKS_PER_NUMBER
        counter, key = rng.start("Multinomial", seed, seed2, logits.dtype, blocks)
        return _categories(logits, num_samples, counter, key).astype(output_dtype.np)


@export("random.categorical")
def categorical(logits, num_samples, dtype=None, seed=None, name=None):
    """Classes drawn by their unnormalised log-probabilities.

    Args:
        logits: float tensor `[batch, classes]`.
        num_samples: int, how many to draw for each row.
        dtype: int64 (default) or int32.
        seed: int, the op's own seed beside the global one.
        name: not used eagerly.
    Returns: integer tensor `[batch, num_samples]`.
    Source: TensorFlow's `Multinomial`.

    >>> tf.random.categorical([[0., -1e9]], 3).numpy()
    array([[0, 0, 0]])
    """
    attrs = {
        "num_samples": static(num_samples),
        "output_dtype": int64 if dtype is None else as_dtype(dtype),
        **_seeds(seed),
    }
    return apply(Multinomial, (logits,), attrs)
