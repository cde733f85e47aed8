"""Dropout: some elements become 0, the others grow by as much (Srivastava et al. 2014)."""

from __future__ import annotations

from numbers import Real

from headrace.base.export import export
from headrace.core import rng
from headrace.core.convert import convert, static
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops.compare import greater_equal, where
from headrace.ops.random.stateful import uniform
from headrace.ops.random.stateless import stateless_uniform
from headrace.ops.shapes import shape_of


@export("nn.dropout")
def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """Sets elements to 0 at random, and scales up the rest so that sums stay about the same.

    Args:
        x: float tensor.
        rate: number in [0, 1) or scalar tensor of x's dtype: the share that is dropped.
        noise_shape: integer vector, the shape of the mask; it broadcasts to x, and None in it
            is the size of x there.
        seed: int, the op's own seed beside the global one.
        name: of the operation in a graph.
    Returns: tensor of x's shape and dtype; x itself for a rate that is the number 0.
    Raises: ValueError: another rate, or no floats.

    >>> tf.random.set_seed(0)
    >>> tf.nn.dropout(tf.ones([2, 3]), rate=0.5).shape
    TensorShape([2, 3])
    """

    def draw(shape, dtype):
        return uniform(shape, dtype=dtype, seed=seed)

    return _dropped(x, rate, noise_shape, draw, lambda: rng.pair(seed))


@export("nn.experimental.stateless_dropout")
def stateless_dropout(x, rate, seed, rng_alg=None, noise_shape=None, name=None):
    """As `tf.nn.dropout`; what is dropped follows from `seed` alone.

    Args:
        x, rate, noise_shape, name: as there.
        seed: int32 or int64 vector `[2]`.
        rng_alg: "philox" or "auto_select", which are the same on a CPU.

    >>> tf.nn.experimental.stateless_dropout(tf.ones([6]), 0.4, seed=[1, 2]).numpy()
    array([1.6666666, 0.       , 1.6666666, 0.       , 0.       , 1.6666666],
          dtype=float32)
    """

    def draw(shape, dtype):
        return stateless_uniform(shape, seed, dtype=dtype, alg=rng_alg or "auto_select")

    return _dropped(x, rate, noise_shape, draw, lambda: None)


@export("nn.experimental.general_dropout")
def general_dropout(x, rate, uniform_sampler, noise_shape=None, name=None):
    """As `tf.nn.dropout`, with numbers from a function.

    Args:
        x, rate, noise_shape, name: as there.
        uniform_sampler: function `(shape, dtype)` that gives numbers in [0, 1).

    >>> halves = lambda shape, dtype: tf.fill(shape, tf.cast(0.5, dtype))
    >>> tf.nn.experimental.general_dropout([1., 2.], 0.5, halves).numpy()
    array([2., 4.], dtype=float32)
    """

    def draw(shape, dtype):
        return uniform_sampler(shape=shape, dtype=dtype)

    return _dropped(x, rate, noise_shape, draw, lambda: None)


def _dropped(x, rate, noise_shape, draw, skip):
    """What all three do; `skip` takes the place of a draw that is not needed."""
    number = isinstance(rate, Real)
    if number and not 0 <= rate < 1:
        raise ValueError(
            "`rate` must be a scalar tensor or a float in the range [0, 1). Received: "
            f"rate={rate}"
        )
    x = convert(x)
    if not x.dtype.is_floating:
        raise ValueError(
            "`x.dtype` must be a floating point tensor as `x` will be scaled. Received: "
            f"x_dtype={x.dtype}"
        )
    if number and rate == 0:
        skip()
        return x
    kept = x * (1 / (1 - rate)) if number else x / (1 - _scalar(rate, x.dtype))
    mask = greater_equal(draw(_mask_shape(x, noise_shape), x.dtype), rate)
    return where(mask, kept, convert(0, x.dtype))


def _scalar(rate, dtype):
    """A rate that is no number, checked."""
    if not isinstance(rate, (Tensor, Variable)):
        raise ValueError(f"`rate` must be a scalar or scalar tensor. Received: rate={rate}")
    rate = convert(rate)
    rate.shape.assert_has_rank(0)
    if rate.dtype != dtype:
        raise ValueError(
            "`x.dtype` must be compatible with `rate.dtype`. Received: "
            f"x.dtype={dtype} and rate.dtype={rate.dtype}"
        )
    return rate


def _mask_shape(x, noise_shape):
    if noise_shape is None:
        return shape_of(x)
    wanted, dims = static(noise_shape), shape_of(x)
    if wanted.__class__ is tuple and dims.__class__ is tuple and len(wanted) == len(dims):
        return tuple(n if dim is None else dim for dim, n in zip(wanted, dims, strict=True))
    return wanted
