"""Random counts: Poisson and binomial numbers, the very ones that TensorFlow draws.

The numbers come from `core/counts.py`. Read `ops/random/stateless.py` before.
"""

from __future__ import annotations

import math

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import as_dtype, float16, float32, float64, int32, int64
from headrace.base.export import export
from headrace.core import counts as core_counts
from headrace.core import philox, rng
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.random.stateful import (
    INDEX,
    NO_LOWER,
    check_dtype,
    checked,
    extent,
    named,
    no_kernel,
    seeds_of,
)
from headrace.ops.random.stateless import check_seed
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets

COUNTS = frozenset({float16, float32, float64, int32, int64})
_NAMES = "half, float, double, int32, int64"
_SEED = {"seed": ("Tseed", INDEX)}


def _poisson(place, rates, samples, dtype):
    """Numbers of events `[samples, *rates.shape]`; those of one rate are drawn in a row."""
    each = np.repeat(rates.astype(np.float64).reshape(-1), samples)
    drawn = core_counts.poisson(*place, each, float(dtype.max))
    return drawn.reshape(rates.size, samples).T.astype(dtype.np)


def binomial_numbers(place, counts, probs, samples, dtype):
    """Numbers of successes `[samples, batch]` of the broadcast batch."""
    both = np.broadcast_arrays(counts.astype(np.float64), probs.astype(np.float64))
    each = [np.repeat(array.reshape(-1), samples) for array in both]
    drawn = core_counts.binomial(*place, *each)
    return drawn.reshape(both[0].size, samples).T.astype(dtype.np)


def samples_of(shape, batch):
    """How many samples of each element of a batch a shape asks for.

    Raises: InvalidArgumentError: the shape does not end with the batch's.
    """
    lead = len(shape) - len(batch)
    if lead < 0 or tuple(shape[lead:]) != tuple(batch):
        raise errors.invalid_argument("Shape passed in must end with broadcasted shape.")
    return math.prod(shape[:lead])


def batch_shape(counts, probs):
    """The shape that counts and probabilities have together."""
    try:
        return shapes.broadcast(counts, probs)
    except ValueError:
        raise errors.invalid_argument(
            "counts and probs must have compatible batch dimensions: "
            f"{brackets(counts)} vs. {brackets(probs)}"
        ) from None


class RandomPoissonV2(Op):
    """Numbers of events with given rates."""

    kind = Kind.RANDOM
    inputs = ("shape", "rate")
    static = ("shape",)
    attrs = {"seed": 0, "seed2": 0, "dtype": int64, "S": int32}
    types = {"rate": ("R", COUNTS)}
    dtypes = COUNTS
    stateful = True
    no_grad = "random, and stateful"
    no_lower = NO_LOWER
    samples = (
        S(values=[3.0, 40.0], shape=(4,), seed=1, seed2=2, dtype="float32"),
        Bad(values=[3.0], shape=(-1,), dtype="float32", match="Dimension -1 must be >= 0"),
    )

    def infer(rate, shape, seed=0, seed2=0, dtype=int64, S=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        dims = checked(shape, S, "S")
        known = dims is not None and rate.shape is not None
        return Spec((*dims, *rate.shape) if known else None, dtype)

    def kernel(rate, shape, seed=0, seed2=0, dtype=int64, S=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        dims = checked(shape, S, "S")
        samples = math.prod(dims)
        blocks = samples * rate.size * rng.BLOCKS_PER_NUMBER
        place = rng.start(("RandomPoissonV2", rate.dtype, dtype, S), seed, seed2, blocks)
        return _poisson(place, rate, samples, dtype).reshape(*dims, *rate.shape)


class StatelessRandomPoisson(Op):
    """Numbers of events with given rates, from a seed."""

    kind = Kind.RANDOM
    inputs = ("shape", "seed", "lam")
    static = ("shape",)
    attrs = {"dtype": int32, "T": int32}
    types = {**_SEED, "lam": ("Rtype", COUNTS)}
    dtypes = COUNTS
    no_grad = "random"
    no_lower = NO_LOWER
    samples = (S(values=([1, 2], [3.0, 40.0]), dtype=("int32", "float32"), shape=(4, 2)),)

    def infer(seed, lam, shape, dtype=int32, T=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        check_seed(seed.shape)
        return Spec(checked(shape, T, "T"), dtype)

    def kernel(seed, lam, shape, dtype=int32, T=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        dims = checked(shape, T, "T")
        check_seed(seed.shape)
        samples = samples_of(dims, lam.shape)
        return _poisson(philox.scramble(*seed.tolist()), lam, samples, dtype).reshape(dims)


class StatelessRandomBinomial(Op):
    """Numbers of successes in given numbers of trials, from a seed."""

    kind = Kind.RANDOM
    inputs = ("shape", "seed", "counts", "probs")
    static = ("shape",)
    attrs = {"dtype": int64, "S": int32}
    types = {**_SEED, "counts": ("T", COUNTS), "probs": ("T", COUNTS)}
    dtypes = COUNTS
    no_grad = "random"
    no_lower = NO_LOWER
    samples = (
        S(
            values=([1, 2], 9.0, [0.3, 0.7]),
            dtype=("int32", "float32", "float32"),
            shape=(4, 2),
        ),
    )

    def infer(seed, counts, probs, shape, dtype=int64, S=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        check_seed(seed.shape)
        batch_shape(counts.shape, probs.shape)
        return Spec(binomial_shape(shape, S), dtype)

    def kernel(seed, counts, probs, shape, dtype=int64, S=int32):
        check_dtype(dtype, COUNTS, _NAMES)
        dims = binomial_shape(shape, S)
        check_seed(seed.shape)
        samples = samples_of(dims, batch_shape(counts.shape, probs.shape))
        if counts.dtype.kind == "i":
            raise no_kernel(
                "StatelessRandomBinomial", S=S, T=as_dtype(counts.dtype), dtype=dtype
            )
        place = philox.scramble(*seed.tolist())
        return binomial_numbers(place, counts, probs, samples, dtype).reshape(dims)


def binomial_shape(shape, index):
    """The shape of binomial numbers; refused in their own words if it is no vector."""
    if shape is not None and (shape.__class__ is not tuple or np.ndim(shape) != 1):
        raise errors.invalid_argument(
            f"Input shape should be a vector, got shape: {brackets(np.shape(shape))}"
        )
    return checked(shape, index, "S")


@export("random.poisson")
def poisson(shape, lam, dtype=float32, seed=None, name=None):
    """Numbers of events that happen independently at given rates.

    Args:
        shape: int32 vector: how many to draw for each rate.
        lam: tensor of rates, any shape.
        dtype: float16, float32, float64, int32 or int64.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor `[*shape, *lam.shape]`.
    Source: TensorFlow's `RandomPoissonV2`.

    >>> tf.random.set_seed(7)
    >>> tf.random.poisson([5], [1., 100.], seed=5).numpy().T
    array([[  0.,   2.,   2.,   1.,   1.],
           [ 94., 114., 110., 101.,  88.]], dtype=float32)
    """
    dims, index = extent(named(shape, int32, "shape"))
    attrs = {"shape": dims, "S": index, "dtype": as_dtype(dtype), **seeds_of(seed)}
    return apply(RandomPoissonV2, (lam,), attrs, name=name)


@export("random.stateless_poisson")
def stateless_poisson(shape, seed, lam, dtype=int32, name=None):
    """Numbers of events that happen at given rates; they follow from `seed` alone.

    Args:
        shape: integer vector, the result's shape, which ends with that of `lam`.
        seed: int32 or int64 vector `[2]`.
        lam: tensor of rates, any shape.
        dtype: float16, float32, float64, int32 or int64.
        name: of the operation in a graph.
    Returns: tensor of the shape and dtype.
    Source: TensorFlow's `StatelessRandomPoisson`.

    >>> tf.random.stateless_poisson([5], seed=[1, 2], lam=9.).numpy()
    array([13,  9, 14, 11, 11], dtype=int32)
    """
    dims, index = extent(shape)
    attrs = {"shape": dims, "T": index, "dtype": as_dtype(dtype)}
    return apply(StatelessRandomPoisson, (convert(seed, None, int64), lam), attrs, name=name)


@export("random.stateless_binomial")
def stateless_binomial(shape, seed, counts, probs, output_dtype=int32, name=None):
    """Numbers of successes in independent trials; they follow from `seed` alone.

    Args:
        shape: integer vector, the result's shape, which ends with that of the broadcast
            `counts` and `probs`.
        seed: int32 or int64 vector `[2]`.
        counts: tensor of numbers of trials, of the dtype of `probs`.
        probs: tensor of probabilities: float16, float32 or float64.
        output_dtype: float16, float32, float64, int32 or int64.
        name: of the operation in a graph.
    Returns: tensor of the shape and dtype.
    Source: TensorFlow's `StatelessRandomBinomial`.

    >>> tf.random.stateless_binomial([5], seed=[1, 2], counts=10., probs=0.5).numpy()
    array([6, 6, 7, 7, 6], dtype=int32)
    """
    dims, index = extent(shape)
    probs = convert(probs, None, float32)
    inputs = convert(seed, None, int64), convert(counts, None, probs.dtype), probs
    attrs = {"shape": dims, "S": index, "dtype": as_dtype(output_dtype)}
    return apply(StatelessRandomBinomial, inputs, attrs, name=name)
