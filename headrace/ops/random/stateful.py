"""Random numbers: the very numbers that TensorFlow draws for the same seeds.

Here stand the stateful ops (`tf.random.uniform`), which take their place from `core/rng.py`,
and what all random ops share. The ops whose numbers follow from an argument are in
`stateless.py`, `tf.random.Generator` is in `generator.py`; the numbers themselves
come from `core/philox.py`.
"""

from __future__ import annotations

import math

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
    kernel_name,
)
from headrace.base.export import export
from headrace.core import philox, rng
from headrace.core.context import modes, state
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply, create
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor
from headrace.ops.random import loops
from headrace.ops.random.loops import Place
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets

INDEX = frozenset({int32, int64})
NO_LOWER = "how many blocks a result takes depends on the numbers: drawn by its kernel"
_NO_GRAD = "random, and stateful"
_SEEDS = {"seed": 0, "seed2": 0}
_UNIFORM = (float16, bfloat16, float32, float64, int32, int64)
_FLOAT_NAMES = "half, bfloat16, float, double"
_MOST = 2**63 - 1


# What all random ops share


def extent(shape):
    """A shape as a user gives it: the static input, and the dtype that it has as a tensor.

    Raises: TypeError, ValueError: it cannot be a tensor.
    """
    if shape.__class__ in (list, tuple) and all(dim.__class__ is int for dim in shape):
        wide = any(not -(2**31) <= dim < 2**31 for dim in shape)
        return tuple(shape), int64 if wide else int32
    if state.graph is not None and not _has_none(shape):
        return static(shape), getattr(shape, "dtype", int32)
    tensor = convert(shape)
    return static(tensor), tensor.dtype


def _has_none(shape):
    return shape is None or (isinstance(shape, (list, tuple)) and None in shape)


def checked(shape, dtype, attr):
    """The shape as a tuple, or None while a graph does not know it.

    Args:
        shape: static input. dtype: what it has as a tensor. attr: the name of that attribute.
    Raises: InvalidArgumentError: no vector of integers, or not of sizes.
    """
    if dtype not in INDEX:
        raise _not_allowed(attr, dtype, "int32, int64")
    if shape is None:
        return None
    if shape.__class__ is not tuple or any(dim.__class__ in (tuple, list) for dim in shape):
        raise errors.invalid_argument(
            f"shape must be a vector of {{int32,int64}}, got shape {brackets(np.shape(shape))}"
        )
    count = 1
    for dim in shape:
        if dim is not None:
            if dim < 0:
                raise errors.invalid_argument(f"Dimension {dim} must be >= 0")
            count *= dim
            if count > _MOST:
                raise errors.invalid_argument(
                    f"Shape {brackets(shape)} would have more than 2**63 - 1 elements"
                )
    return shape


def check_dtype(dtype, allowed, names):
    """Refuse a `dtype` attribute that an op does not take."""
    if dtype not in allowed:
        raise _not_allowed("dtype", dtype, names)


def _not_allowed(attr, dtype, names):
    return errors.invalid_argument(
        f"Value for attr '{attr}' of {kernel_name(dtype)} is not in the list of allowed "
        f"values: {names}"
    )


def bounds(minval, maxval, count):
    """The bounds of a draw of integers as ints; an empty draw takes any."""
    for name, bound in (("minval", minval), ("maxval", maxval)):
        if bound.ndim:
            raise errors.invalid_argument(
                f"{name} must be 0-D, got shape {brackets(bound.shape)}"
            )
    if not minval < maxval and count:
        raise errors.invalid_argument(f"Need minval < maxval, got {minval} >= {maxval}")
    return int(minval), int(maxval)


def named(value, dtype, name):
    """`value` converted; an error of dtypes says for which argument."""
    try:
        return convert(value, dtype)
    except ValueError as error:
        if isinstance(value, Tensor):
            raise ValueError(f"{name}: {error}") from None
        raise


def plain(*numbers):
    """Whether all of them are Python's numbers."""
    return all(number.__class__ in (float, int) for number in numbers)


def times(numbers, factor):
    """`numbers * factor`; in place where nobody can tell.

    Args:
        numbers: fresh float tensor, which nobody else holds.
        factor: tensor of its dtype, or a plain number.
    """
    if modes or not plain(factor) or numbers.__class__ is not EagerTensor:
        return numbers * factor
    if factor != 1:
        numbers._array *= numbers._array.dtype.type(factor)
    return numbers


def stretched(numbers, factor, term):
    """`numbers * factor + term`; arguments as those of `times`."""
    numbers = times(numbers, factor)
    if modes or not plain(factor, term) or numbers.__class__ is not EagerTensor:
        return numbers + term
    if term != 0 or factor < 0:
        numbers._array += numbers._array.dtype.type(term)
    return numbers


def between(numbers, low, high):
    """Uniform numbers of [0, 1) moved to [low, high); arguments as those of `times`."""
    if modes or not plain(low, high) or numbers.__class__ is not EagerTensor:
        low, high = convert(low, numbers.dtype), convert(high, numbers.dtype)
        return numbers * (high - low) + low
    kind = numbers._array.dtype.type
    numbers._array *= kind(high) - kind(low)
    if low != 0:
        numbers._array += kind(low)
    return numbers


def limits(minval, maxval, dtype):
    """The bounds of a uniform distribution over floats: plain numbers stay so."""
    if plain(minval, maxval):
        return minval, maxval
    return named(minval, dtype, "min"), named(maxval, dtype, "max")


# The stateful ops


def _stateful(name, draw, doc, loops=None):
    """An op `(shape; dtype, seed, seed2)` that draws floats."""

    def infer(shape, dtype=float32, seed=0, seed2=0, T=int32):
        check_dtype(dtype, FLOATS, _FLOAT_NAMES)
        return Spec(checked(shape, T, "T"), dtype)

    def draws(shape, dtype=float32, seed=0, seed2=0, T=int32):
        return (name, dtype, T), math.prod(shape) * rng.BLOCKS_PER_NUMBER

    def kernel(shape, dtype=float32, seed=0, seed2=0, T=int32):
        check_dtype(dtype, FLOATS, _FLOAT_NAMES)
        dims = checked(shape, T, "T")
        place, blocks = draws(dims, dtype, seed, seed2, T)
        counter, key = rng.start(place, seed, seed2, blocks)
        return draw(counter, key, math.prod(dims), dtype).reshape(dims)

    def lower(c, state, shape, dtype=float32, seed=0, seed2=0, T=int32):
        return loops(c, place_of(state), shape, dtype)

    rules = {
        "kind": Kind.RANDOM,
        "inputs": ("shape",),
        "static": ("shape",),
        "attrs": {**_SEEDS, "dtype": float32, "T": int32},
        "dtypes": FLOATS,
        "stateful": True,
        "no_grad": _NO_GRAD,
        "infer": infer,
        "kernel": kernel,
        "samples": (
            S(shape=(3, 4), seed=1, seed2=2),
            S(shape=(), seed=1, seed2=2),
            S(shape=(0,), dtype=float64, seed=1, seed2=2),
            Bad(shape=(2, -3), match="Dimension -3 must be >= 0"),
            Bad(shape=3, match=r"shape must be a vector of {int32,int64}, got shape \[\]"),
        ),
        "__doc__": doc,
        "__module__": __name__,
    }
    rules |= {"lower": lower, "draws": draws} if loops else {"no_lower": NO_LOWER}
    return type(name, (Op,), rules)


def place_of(state):
    """The place that a view of three words holds, as a function for `loops`."""
    return lambda: Place(state[0], state[1], state[2])


RandomUniform = _stateful("RandomUniform", philox.uniform, "Numbers in [0, 1).", loops.uniform)
RandomStandardNormal = _stateful(
    "RandomStandardNormal",
    philox.normal,
    "Numbers of the standard normal distribution.",
    loops.normal,
)
TruncatedNormal = _stateful(
    "TruncatedNormal", philox.truncated_normal, "Standard normals less than 2 from 0."
)


class RandomUniformInt(Op):
    """Integers in [minval, maxval)."""

    kind = Kind.RANDOM
    inputs = ("shape", "minval", "maxval")
    static = ("shape",)
    attrs = {**_SEEDS, "Tout": int32, "T": int32}
    dtypes = INDEX
    stateful = True
    no_grad = _NO_GRAD
    samples = (
        S(values=(-3, 5), dtype="int32", shape=(2, 3), seed=1, seed2=2),
        S(values=(-3, 5), dtype="int64", shape=(2, 3), seed=1, seed2=2, Tout=int64),
        Bad(values=(5, 1), shape=(3,), match="Need minval < maxval, got 5 >= 1"),
    )

    def infer(minval, maxval, shape, seed=0, seed2=0, Tout=int32, T=int32):
        return Spec(checked(shape, T, "T"), minval.dtype)

    def draws(minval, maxval, shape, seed=0, seed2=0, Tout=int32, T=int32):
        return ("RandomUniformInt", Tout, T), math.prod(shape) * rng.BLOCKS_PER_NUMBER

    def kernel(minval, maxval, shape, seed=0, seed2=0, Tout=int32, T=int32):
        dims, dtype = checked(shape, T, "T"), as_dtype(minval.dtype)
        count = math.prod(dims)
        low, high = bounds(minval, maxval, count)
        place, blocks = RandomUniformInt.draws(minval, maxval, dims, seed, seed2, dtype, T)
        counter, key = rng.start(place, seed, seed2, blocks)
        return philox.integers(counter, key, count, dtype, low, high).reshape(dims)

    def lower(c, state, minval, maxval, shape, seed=0, seed2=0, Tout=int32, T=int32):
        return loops.integers(c, place_of(state), shape, minval, maxval)


class RandomShuffle(Op):
    """The rows of a tensor in random order."""

    kind = Kind.RANDOM
    inputs = ("value",)
    attrs = _SEEDS
    dtypes = ALL
    stateful = True
    no_grad = _NO_GRAD
    no_lower = "rows change places one after another: drawn by its kernel"
    samples = (S(5, 2, seed=1, seed2=2), S(seed=1, seed2=2), S(0, seed=1, seed2=2))

    def infer(value, seed=0, seed2=0):
        return Spec(value.shape, value.dtype)

    def kernel(value, seed=0, seed2=0):
        if value.ndim == 0 or len(value) < 2:
            return value
        place, rows = ("RandomShuffle", value.dtype), len(value)
        counter, key = rng.start(place, seed, seed2, -(-(rows - 1) // 4))
        return value[philox.permutation(counter, key, rows)]


class Multinomial(Op):
    """Classes drawn by their unnormalised log-probabilities."""

    kind = Kind.RANDOM
    inputs = ("logits", "num_samples")
    static = ("num_samples",)
    attrs = {**_SEEDS, "output_dtype": int64}
    dtypes = FLOATS | INTS
    stateful = True
    no_grad = _NO_GRAD
    samples = (
        S(2, 5, num_samples=3, seed=1, seed2=2, dtype="float32"),
        Bad(5, num_samples=3, match=r"logits should be a matrix, got shape \[5\]"),
    )

    def infer(logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        return Spec(draws_shape(logits.shape, num_samples), output_dtype)

    def kernel(logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        rows, samples = draws_shape(logits.shape, num_samples)
        if logits.dtype.kind in "iu":
            attrs = {"output_dtype": output_dtype, "seed": seed, "seed2": seed2}
            raise no_kernel("Multinomial", T=logits.dtype, **attrs)
        spec = Spec(logits.shape, as_dtype(logits.dtype))
        place, blocks = Multinomial.draws(spec, samples, seed, seed2, output_dtype)
        counter, key = rng.start(place, seed, seed2, blocks)
        return classes(logits, samples, counter, key).astype(output_dtype.np)

    def draws(logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        numbers = logits.shape[0] * (-(-num_samples // 4) * 4) * 2
        place = ("Multinomial", logits.dtype, output_dtype)
        return place, numbers * rng.BLOCKS_PER_NUMBER

    def lower(c, state, logits, num_samples, seed=0, seed2=0, output_dtype=int64):
        return loops.classes(c, place_of(state), logits, num_samples, output_dtype)


def draws_shape(logits, num_samples):
    """The shape `(rows, samples)` of classes that are drawn from logits of a shape."""
    if logits is not None and len(logits) != 2:
        raise errors.invalid_argument(
            f"logits should be a matrix, got shape {brackets(logits)}"
        )
    if isinstance(num_samples, tuple):
        raise errors.invalid_argument(
            f"num_samples should be a scalar, got shape {brackets(np.shape(num_samples))}"
        )
    if num_samples is not None and num_samples < 0:
        raise errors.invalid_argument(f"num_samples should be non-negative, got {num_samples}")
    if logits is not None and logits[1] == 0:
        raise errors.invalid_argument("num_classes should be positive, got 0")
    return None if logits is None else logits[0], num_samples


def no_kernel(op, **attrs):
    """The error for attributes that an op may have, but that nothing computes."""
    shown = ", ".join(
        f"{name}=DT_{value.name.upper()}" if hasattr(value, "name") else f"{name}={value}"
        for name, value in attrs.items()
    )
    return errors.not_found(
        f"Could not find device for node: {{{{node {op}}}}} = {op}[{shown}]"
    )


def classes(logits, samples, counter, key):
    """The classes drawn for each row by inverting its cumulative sums: `[rows, samples]`."""
    rows, count = logits.shape
    wide = logits.astype(np.float64)
    finite = np.isfinite(wide)
    highest = np.where(finite, wide, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    weights = np.where(finite, np.exp(np.where(finite, wide - highest, 0)), 0)
    totals = np.cumsum(weights, axis=1)
    draws = philox.uniform(counter, key, rows * samples, float64).reshape(rows, samples)
    picks = draws * totals[:, -1:]
    if samples == 1:
        return (totals <= picks).sum(axis=1, keepdims=True)
    result = np.empty((rows, samples), np.int64)
    for row in range(rows):
        result[row] = np.searchsorted(totals[row], picks[row], side="right")
    return result


def seeds_of(seed):
    """The two seeds of a stateful op as attributes."""
    first, second = rng.pair(seed)
    return {"seed": first, "seed2": second}


def _draw(op, shape, dtype, seed):
    dims, index = extent(shape)
    return create(op, {"shape": dims, "dtype": dtype, "T": index, **seeds_of(seed)})


@export("random.uniform")
def uniform(shape, minval=0, maxval=None, dtype=float32, seed=None, name=None):
    """Numbers from the uniform distribution on [minval, maxval).

    Args:
        shape: integer vector, the result's shape.
        minval: lower bound, included; broadcasts with the result (a scalar for integers).
        maxval: upper bound, excluded (default 1; must be given for integers).
        dtype: float16, bfloat16, float32, float64, int32 or int64.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor of the shape and dtype.
    Raises: ValueError: another dtype, or integers without `maxval`.
    Source: TensorFlow's `RandomUniform` and `RandomUniformInt`.

    >>> tf.random.set_seed(1)
    >>> tf.random.uniform([2], 0, 10, tf.int32).shape
    TensorShape([2])
    """
    wanted = as_dtype(dtype)
    if wanted not in _UNIFORM:
        raise ValueError(
            f"Argument `dtype` got invalid value {wanted}. Accepted dtypes are {_UNIFORM}."
        )
    if wanted.is_integer:
        return _uniform_int(shape, minval, maxval, wanted, seed)
    if maxval is None:
        maxval = 1
    low, high = limits(minval, maxval, wanted)
    numbers = _draw(RandomUniform, shape, wanted, seed)
    if not isinstance(minval, int) or minval != 0:
        return between(numbers, low, high)
    return numbers if isinstance(maxval, int) and maxval == 1 else times(numbers, high)


def _uniform_int(shape, minval, maxval, dtype, seed):
    if maxval is None:
        raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
    dims, index = extent(shape)
    limits = named(minval, dtype, "min"), named(maxval, dtype, "max")
    return apply(
        RandomUniformInt, limits, {"shape": dims, "Tout": dtype, "T": index, **seeds_of(seed)}
    )


@export("random.normal")
def normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Numbers from a normal distribution.

    Args:
        shape: integer vector, the shape of what is drawn.
        mean: the mean; broadcasts with the result.
        stddev: the standard deviation; broadcasts with the result.
        dtype: float16, bfloat16, float32 or float64.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor of the shape (broadcast with `mean` and `stddev`) and dtype.
    Source: TensorFlow's `RandomStandardNormal`.

    >>> tf.random.set_seed(42)
    >>> tf.random.normal([2]).numpy()
    array([ 0.3274685, -0.8426258], dtype=float32)
    """
    return _normal(RandomStandardNormal, shape, mean, stddev, dtype, seed)


@export("random.truncated_normal")
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Numbers from a normal distribution, none of them 2 deviations or more from the mean.

    Args:
        shape: integer vector, the shape of what is drawn.
        mean: the mean before truncation; broadcasts with the result.
        stddev: the standard deviation before truncation; broadcasts with the result.
        dtype: float16, bfloat16, float32 or float64.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor of the shape (broadcast with `mean` and `stddev`) and dtype.
    Source: TensorFlow's `TruncatedNormal`.

    >>> tf.random.set_seed(42)
    >>> tf.random.truncated_normal([2]).numpy()
    array([ 0.3274685, -0.8426258], dtype=float32)
    """
    return _normal(TruncatedNormal, shape, mean, stddev, dtype, seed)


def _normal(op, shape, mean, stddev, dtype, seed):
    wanted, mean, stddev = location_and_scale(mean, stddev, dtype)
    return stretched(_draw(op, shape, wanted, seed), stddev, mean)


def location_and_scale(mean, stddev, dtype):
    """The arguments of a normal distribution: plain numbers stay so for a float dtype."""
    wanted = as_dtype(dtype)
    if wanted in FLOATS and plain(mean, stddev):
        return wanted, mean, stddev
    return wanted, named(mean, wanted, "mean"), named(stddev, wanted, "stddev")


@export("random.shuffle")
def shuffle(value, seed=None, name=None):
    """The rows of a tensor in random order.

    Args:
        value: tensor of any dtype and shape.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor of the shape and dtype of `value`.
    Source: TensorFlow's `RandomShuffle`.

    >>> tf.random.set_seed(42)
    >>> tf.random.shuffle(tf.range(10)).numpy()
    array([7, 6, 3, 0, 8, 9, 5, 4, 1, 2], dtype=int32)
    """
    return apply(RandomShuffle, (value,), seeds_of(seed), name=name)


@export("random.categorical")
def categorical(logits, num_samples, dtype=None, seed=None, name=None):
    """Classes drawn by their unnormalised log-probabilities.

    Args:
        logits: float tensor `[batch, classes]`.
        num_samples: int, how many to draw for each row.
        dtype: int64 (default) or int32.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: integer tensor `[batch, num_samples]`.
    Raises: ValueError: another dtype.
    Source: TensorFlow's `Multinomial`.

    >>> tf.random.categorical([[0., -1e9]], 3).numpy()
    array([[0, 0, 0]])
    """
    inputs, attrs = draws(logits, num_samples, dtype)
    return apply(Multinomial, inputs, {**attrs, **seeds_of(seed)}, name=name)


def draws(logits, num_samples, dtype):
    """The inputs and attributes of an op that draws classes."""
    inputs = (convert(logits),)
    wanted = int64 if dtype is None else as_dtype(dtype)
    if wanted not in INDEX:
        raise ValueError(
            f"Argument `dtype` got invalid value {wanted}. Accepted dtypes are "
            f"{(int32, int64)}."
        )
    samples = num_samples if num_samples.__class__ is int else convert(num_samples, int32)
    return inputs, {"num_samples": static(samples), "output_dtype": wanted}
