"""Random numbers that follow from an argument alone: `tf.random.stateless_uniform` and its kin.

A seed of two integers is scrambled into a counter and a key (`StatelessRandomGetKeyCounter`),
and the ops that draw take these. `tf.random.Generator` gives them counters and keys of its own.
Read `ops/random.py` before.
"""

from __future__ import annotations

import math
from enum import Enum

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
    uint32,
    uint64,
)
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.export import export
from headrace.core import philox
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Tensor
from headrace.ops.concat_pad import stack
from headrace.ops.random import loops
from headrace.ops.random.loops import Place
from headrace.ops.random.stateful import (
    INDEX,
    NO_LOWER,
    between,
    bounds,
    check_dtype,
    checked,
    classes,
    draws,
    draws_shape,
    extent,
    limits,
    location_and_scale,
    named,
    no_kernel,
    stretched,
)
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets

_ACCEPTED = (float16, bfloat16, float32, float64, int32, int64, uint32, uint64)
_FLOAT_NAMES = "half, bfloat16, float, double"
_INT_NAMES = "int32, int64, uint32, uint64"
_WIDE_INTS = frozenset({int32, int64, uint32, uint64})
_UINT64 = frozenset({uint64})
_KEYED = {"key": ("key", _UINT64), "counter": ("counter", _UINT64)}
_SAMPLE = ([5], [1, 2])
_TWICE = ("uint64", "uint64")


@export("random.Algorithm", "random.experimental.Algorithm")
class Algorithm(Enum):
    """The generators that TensorFlow names; on a CPU all draw with Philox.

    >>> tf.random.Algorithm.PHILOX.value
    1
    """

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


def algorithm(alg):
    """The number of an algorithm that is given by number, member, name or tensor.

    Raises: ValueError, TypeError: there is none of that name, or it is no name.
    """
    if isinstance(alg, int):
        return alg
    if isinstance(alg, Algorithm):
        return alg.value
    if isinstance(alg, Tensor):
        return static(alg)
    if not isinstance(alg, str):
        raise TypeError(
            f"Can't convert argument `alg` (of value {alg} and type {type(alg)}) to int."
        )
    name = alg.strip().lower().replace("-", "").replace("_", "")
    found = {"philox": 1, "threefry": 2, "autoselect": 3}.get(name)
    if found is None:
        raise unsupported(alg)
    return found


def unsupported(alg):
    """The error for an algorithm that does not exist."""
    names = [a.name.lower() if isinstance(alg, str) else a.value for a in Algorithm]
    return ValueError(
        f"Argument `alg` got unsupported value {alg}. Supported values are {names[0]} for the "
        f"Philox algorithm, {names[1]} for the ThreeFry algorithm, and {names[2]} for "
        "auto-selection."
    )


# Records


class StatelessRandomGetKeyCounter(Op):
    """A key `[1]` and a counter `[2]` from a seed `[2]`."""

    kind = Kind.RANDOM
    inputs = ("seed",)
    types = {"seed": ("Tseed", INDEX)}
    dtypes = INDEX
    no_grad = "integer result"
    samples = (
        S(values=([1, 2],), dtype="int32"),
        S(values=([-1, 2**40],), dtype="int64"),
        Bad(values=([1, 2, 3],), dtype="int64", match=r"seed must have shape \[2\], not \[3\]"),
    )

    def infer(seed):
        check_seed(seed.shape)
        return Spec((1,), uint64), Spec((2,), uint64)

    def kernel(seed):
        check_seed(seed.shape)
        counter, key = philox.scramble(*seed.tolist())
        high = counter >> 64
        return np.array([key], np.uint64), np.array([0, high], np.uint64)

    def lower(c, seed):
        place = loops.scrambled(c, seed)
        counter = c.map((2,), uint64, lambda i: c.where(i == 0, place().low, place().high))
        return c.map((1,), uint64, lambda i: place().key), counter


def check_seed(shape):
    """Refuse a seed that is not two numbers."""
    if shape is not None and shape not in ((2,), (None,)):
        raise errors.invalid_argument(f"seed must have shape [2], not {brackets(shape)}")


def _refusal(key, counter, alg):
    """What is wrong with the shapes of a key and a counter, or with an algorithm; or None."""
    if key != (1,):
        return (
            f"key must have shape [1], not {brackets(key)}. (Note that batched keys are not "
            "supported yet.)"
        )
    if len(counter) != 1 or counter[0] < 2:
        return (
            "counter must be a vector with length at least 2; got shape: "
            f"{brackets(counter)}. (Note that batched counters are not supported yet.)"
        )
    if alg not in (Algorithm.PHILOX.value, Algorithm.AUTO_SELECT.value):
        return f"Unsupported algorithm id: {alg}"
    return None


def _place(key, counter, alg):
    """The counter and key as integers, after checking them."""
    problem = _refusal(key.shape, counter.shape, alg)
    if problem is not None:
        raise errors.invalid_argument(problem)
    low, high = counter[:2].tolist()
    return low | high << 64, int(key[0])


def _lowered(draw, c, key, counter, alg, shape, *arguments):
    """What a rule of `loops` draws at a place, or a check that fails."""
    problem = _refusal(key.shape, counter.shape, alg)
    if problem is None:
        place = lambda: Place(counter[0], counter[1], key[0])  # noqa: E731
        return draw(c, place, shape, *arguments)
    c.check(c.const(False, bool_dtype), problem)
    first = arguments[0]
    return c.fill(shape, getattr(first, "dtype", first), 0)


def _keyed(name, draw, doc, allowed, names, dtype, loops=None):
    """An op `(shape, key, counter, alg; dtype)`."""

    def infer(key, counter, shape, alg, dtype=dtype, Tshape=int32):
        check_dtype(dtype, allowed, names)
        return Spec(checked(shape, Tshape, "Tshape"), dtype)

    def kernel(key, counter, shape, alg, dtype=dtype, Tshape=int32):
        check_dtype(dtype, allowed, names)
        dims = checked(shape, Tshape, "Tshape")
        count = math.prod(dims)
        return draw(*_place(key, counter, alg), count, dtype).reshape(dims)

    def lower(c, key, counter, shape, alg, dtype=dtype, Tshape=int32):
        return _lowered(loops, c, key, counter, alg, shape, dtype)

    rules = {
        "kind": Kind.RANDOM,
        "inputs": ("shape", "key", "counter", "alg"),
        "static": ("shape", "alg"),
        "attrs": {"dtype": dtype, "Tshape": int32},
        "types": _KEYED,
        "dtypes": allowed,
        "no_grad": "random",
        "infer": infer,
        "kernel": kernel,
        "samples": (
            S(values=_SAMPLE, dtype=_TWICE, shape=(3, 4), alg=1),
            S(values=_SAMPLE, dtype=_TWICE, shape=(), alg=3),
            Bad(values=_SAMPLE, dtype=_TWICE, shape=(-1,), alg=1, match="-1 must be >= 0"),
        ),
        "__doc__": doc,
        "__module__": __name__,
    }
    rules |= {"lower": lower} if loops else {"no_lower": NO_LOWER}
    return type(name, (Op,), rules)


StatelessRandomUniformV2 = _keyed(
    "StatelessRandomUniformV2",
    philox.uniform,
    "Numbers in [0, 1) from a key and a counter.",
    FLOATS,
    _FLOAT_NAMES,
    float32,
    loops.uniform,
)
StatelessRandomNormalV2 = _keyed(
    "StatelessRandomNormalV2",
    philox.normal,
    "Standard normals from a key and a counter.",
    FLOATS,
    _FLOAT_NAMES,
    float32,
    loops.normal,
)
StatelessTruncatedNormalV2 = _keyed(
    "StatelessTruncatedNormalV2",
    philox.truncated_normal,
    "Standard normals less than 2 from 0, from a key and a counter.",
    FLOATS,
    _FLOAT_NAMES,
    float32,
)
StatelessRandomUniformFullIntV2 = _keyed(
    "StatelessRandomUniformFullIntV2",
    philox.full_integers,
    "Integers from the whole range of their dtype, from a key and a counter.",
    _WIDE_INTS,
    _INT_NAMES,
    uint64,
    loops.full_integers,
)


class StatelessRandomUniformIntV2(Op):
    """Integers in [minval, maxval) from a key and a counter."""

    kind = Kind.RANDOM
    inputs = ("shape", "key", "counter", "alg", "minval", "maxval")
    static = ("shape", "alg")
    attrs = {"Tshape": int32}
    types = {**_KEYED, "minval": ("dtype", _WIDE_INTS), "maxval": ("dtype", _WIDE_INTS)}
    dtypes = _WIDE_INTS
    no_grad = "random"
    samples = (
        S(
            values=(*_SAMPLE, -3, 5),
            dtype=(*_TWICE, "int32", "int32"),
            shape=(2, 3),
            alg=1,
        ),
    )

    def infer(key, counter, minval, maxval, shape, alg, Tshape=int32):
        return Spec(checked(shape, Tshape, "Tshape"), minval.dtype)

    def kernel(key, counter, minval, maxval, shape, alg, Tshape=int32):
        dims, dtype = checked(shape, Tshape, "Tshape"), as_dtype(minval.dtype)
        count = math.prod(dims)
        low, high = bounds(minval, maxval, count)
        if dtype not in INDEX:
            raise no_kernel("StatelessRandomUniformIntV2", Tshape=Tshape, dtype=dtype)
        place = _place(key, counter, alg)
        return philox.integers(*place, count, dtype, low, high).reshape(dims)

    def lower(c, key, counter, minval, maxval, shape, alg, Tshape=int32):
        return _lowered(loops.integers, c, key, counter, alg, shape, minval, maxval)


class StatelessShuffle(Op):
    """The rows of a tensor in an order that follows from a key and a counter."""

    kind = Kind.RANDOM
    inputs = ("value", "key", "counter", "alg")
    static = ("alg",)
    types = _KEYED
    dtypes = ALL
    no_grad = "random"
    no_lower = "rows change places one after another: drawn by its kernel"
    samples = (S(values=([1.0, 2.0, 3.0], *_SAMPLE), dtype=("float32", *_TWICE), alg=1),)

    def infer(value, key, counter, alg):
        return Spec(value.shape, value.dtype)

    def kernel(value, key, counter, alg):
        place = _place(key, counter, alg)
        if value.ndim == 0 or len(value) < 2:
            return value
        return value[philox.permutation(*place, len(value))]


class StatelessMultinomial(Op):
    """Classes drawn by their unnormalised log-probabilities, from a seed."""

    kind = Kind.RANDOM
    inputs = ("logits", "num_samples", "seed")
    static = ("num_samples",)
    types = {"seed": ("Tseed", INDEX)}
    attrs = {"output_dtype": int64}
    dtypes = FLOATS | INTS
    no_grad = "random"
    samples = (
        S(values=([[0.0, 1.0], [2.0, 1.0]], [1, 2]), dtype=("float32", "int32"), num_samples=3),
    )

    def infer(logits, seed, num_samples, output_dtype=int64):
        check_seed(seed.shape)
        return Spec(draws_shape(logits.shape, num_samples), output_dtype)

    def kernel(logits, seed, num_samples, output_dtype=int64):
        check_seed(seed.shape)
        _, samples = draws_shape(logits.shape, num_samples)
        drawn = classes(logits, samples, *philox.scramble(*seed.tolist()))
        return drawn.astype(output_dtype.np)

    def lower(c, logits, seed, num_samples, output_dtype=int64):
        place = loops.scrambled(c, seed)
        return loops.classes(c, place, logits, num_samples, output_dtype)


# Public functions


def key_counter(seed, alg):
    """The key, counter and number of the algorithm for a seed `[2]`."""
    number = algorithm("auto_select" if alg is None else alg)
    if number not in (1, 2, 3):
        raise unsupported(number)
    key, counter = apply(StatelessRandomGetKeyCounter, (convert(seed, None, int64),))
    if number == Algorithm.THREEFRY.value:
        counter = counter[:1]
    return key, counter, number


def drawn(op, shape, place, inputs=(), **attrs):
    """What `op` draws at a place: a key, a counter and the number of an algorithm."""
    dims, index = extent(shape)
    key, counter, alg = place
    return apply(
        op, (key, counter, *inputs), {"shape": dims, "alg": alg, "Tshape": index, **attrs}
    )


@export("random.stateless_uniform")
def stateless_uniform(
    shape, seed, minval=0, maxval=None, dtype=float32, name=None, alg="auto_select"
):
    """Numbers from the uniform distribution on [minval, maxval) that follow from `seed` alone.

    Args:
        shape: integer vector, the result's shape.
        seed: int32 or int64 vector `[2]`.
        minval: lower bound, included; None with integers: their whole range.
        maxval: upper bound, excluded (default 1 for floats).
        dtype: a float dtype, int32, int64, or uint32, uint64 with the whole range.
        name: of the operation in a graph.
        alg: "philox" or "auto_select", which are the same on a CPU.
    Returns: tensor of the shape and dtype.
    Raises: ValueError: another dtype or algorithm, or one bound of two.
    Source: TensorFlow's `StatelessRandomUniformV2` and its relatives.

    >>> tf.random.stateless_uniform([2], seed=[1, 2]).numpy()
    array([0.8440604 , 0.19204533], dtype=float32)
    """
    wanted = as_dtype(dtype)
    if wanted not in _ACCEPTED:
        raise ValueError(
            f"Argument `dtype` got invalid value {wanted}. Accepted dtypes are {_ACCEPTED}."
        )
    if wanted.is_integer:
        return _stateless_int(shape, seed, minval, maxval, wanted, alg)
    low, high = limits(minval, 1 if maxval is None else maxval, wanted)
    place = key_counter(seed, alg)
    return between(drawn(StatelessRandomUniformV2, shape, place, dtype=wanted), low, high)


def _stateless_int(shape, seed, minval, maxval, dtype, alg):
    if (minval is None) != (maxval is None):
        raise ValueError(
            f"For integer `dtype` argument {dtype}, argument `minval` and `maxval` must be "
            f"both None or not None. Got `minval`={minval} and `maxval`={maxval}."
        )
    if minval is None:
        place = key_counter(seed, alg)
        return drawn(StatelessRandomUniformFullIntV2, shape, place, dtype=dtype)
    if dtype in (uint32, uint64):
        raise ValueError(
            f"Argument `dtype` got invalid value {dtype} when argument `minval` is not None. "
            "Please don't use unsigned integers in this case."
        )
    inputs = named(minval, dtype, "min"), named(maxval, dtype, "max")
    return drawn(StatelessRandomUniformIntV2, shape, key_counter(seed, alg), inputs)


@export("random.stateless_normal")
def stateless_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """Numbers from a normal distribution that follow from `seed` alone.

    Args:
        shape: integer vector, the shape of what is drawn.
        seed: int32 or int64 vector `[2]`.
        mean: the mean; broadcasts with the result.
        stddev: the standard deviation; broadcasts with the result.
        dtype: float16, bfloat16, float32 or float64.
        name: of the operation in a graph.
        alg: "philox" or "auto_select", which are the same on a CPU.
    Returns: tensor of the shape (broadcast with `mean` and `stddev`) and dtype.
    Source: TensorFlow's `StatelessRandomNormalV2`.

    >>> tf.random.stateless_normal([2], seed=[1, 2]).numpy()
    array([0.5441101 , 0.20738031], dtype=float32)
    """
    return _stateless_normal(StatelessRandomNormalV2, shape, seed, mean, stddev, dtype, alg)


@export("random.stateless_truncated_normal")
def stateless_truncated_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"
):
    """As `tf.random.stateless_normal`, none of the numbers 2 deviations or more from the mean.

    Args:
        shape, seed, mean, stddev, dtype, name, alg: as there.
    Returns: tensor of the shape (broadcast with `mean` and `stddev`) and dtype.
    Source: TensorFlow's `StatelessTruncatedNormalV2`.

    >>> tf.random.stateless_truncated_normal([2], seed=[1, 2]).numpy()
    array([0.5441101 , 0.20738031], dtype=float32)
    """
    return _stateless_normal(StatelessTruncatedNormalV2, shape, seed, mean, stddev, dtype, alg)


def _stateless_normal(op, shape, seed, mean, stddev, dtype, alg):
    wanted, mean, stddev = location_and_scale(mean, stddev, dtype)
    return stretched(drawn(op, shape, key_counter(seed, alg), dtype=wanted), stddev, mean)


@export("random.stateless_categorical")
def stateless_categorical(logits, num_samples, seed, dtype=int64, name=None):
    """Classes drawn by their unnormalised log-probabilities; they follow from `seed` alone.

    Args:
        logits: float tensor `[batch, classes]`.
        num_samples: int, how many to draw for each row.
        seed: int32 or int64 vector `[2]`.
        dtype: int64 or int32.
        name: of the operation in a graph.
    Returns: integer tensor `[batch, num_samples]`.
    Raises: ValueError: another dtype.
    Source: TensorFlow's `StatelessMultinomial`.

    >>> tf.random.stateless_categorical([[0., 1., 2.]], 5, seed=[1, 2]).numpy()
    array([[2, 2, 1, 2, 2]])
    """
    inputs, attrs = draws(logits, num_samples, dtype)
    return apply(StatelessMultinomial, (*inputs, convert(seed, None, int64)), attrs, name=name)


@export("random.experimental.stateless_shuffle")
def stateless_shuffle(value, seed, alg="auto_select", name=None):
    """The rows of a tensor in an order that follows from `seed` alone.

    Args:
        value: tensor of any dtype and shape.
        seed: int32 or int64 vector `[2]`.
        alg: "philox" or "auto_select", which are the same on a CPU.
        name: of the operation in a graph.
    Returns: tensor of the shape and dtype of `value`.
    Source: TensorFlow's `StatelessShuffle`.

    >>> tf.random.experimental.stateless_shuffle([1, 2, 3, 4, 5], seed=[1, 2]).numpy()
    array([1, 3, 2, 5, 4], dtype=int32)
    """
    key, counter, number = key_counter(seed, alg)
    return apply(StatelessShuffle, (value, key, counter), {"alg": number}, name=name)


@export("random.split", "random.experimental.stateless_split")
def stateless_split(seed, num=2, alg="auto_select"):
    """`num` new seeds from one.

    Args:
        seed: int32 or int64 vector `[2]`.
        num: int, how many.
        alg: "philox" or "auto_select", which are the same on a CPU.
    Returns: integer tensor `[num, 2]` of the seed's dtype.

    >>> tf.random.split([1, 2], 2).shape
    TensorShape([2, 2])
    """
    seed = convert(seed)
    return stateless_uniform([num, 2], seed, None, None, seed.dtype, alg=alg)


@export("random.fold_in", "random.experimental.stateless_fold_in")
def stateless_fold_in(seed, data, alg="auto_select"):
    """A new seed from a seed and a number, a step count say.

    Args:
        seed: int32 or int64 vector `[2]`.
        data: int32 or int64 scalar.
        alg: "philox" or "auto_select", which are the same on a CPU.
    Returns: integer vector `[2]` of the dtype of `data`.

    >>> tf.random.fold_in([1, 2], 3).numpy()
    array([1105988140,          3], dtype=int32)
    """
    data = convert(data)
    return stack([stateless_uniform([], seed, None, None, data.dtype, alg=alg), data])
