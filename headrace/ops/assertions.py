"""Checks of values: `tf.Assert` and `tf.debugging`.

An assertion that holds costs one comparison; what the error says is put together only when one
fails. Texts are TensorFlow's, its line breaks included.
"""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, FLOATS, as_dtype
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Tensor
from headrace.core.variable import Variable
from headrace.ops import compare
from headrace.ops.elementwise import absolute, subtract
from headrace.ops.host import deferred
from headrace.ops.reduce import reduce_all
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets


@export("Assert", "debugging.Assert")
def Assert(condition, data, summarize=None, name=None):
    """Raise an error unless a condition holds.

    Args:
        condition: bool scalar (of a larger tensor all elements must be true).
        data: list of what the error's text shows.
        summarize: int, how many elements of each tensor it shows (default 3, all for -1).
        name: of the operation in a graph.
    Raises: InvalidArgumentError: the condition is false.

    >>> tf.Assert(tf.reduce_max([0.2, 0.8]) <= 1., ["too large"])
    """

    given = condition

    def check(condition, *data):
        if bool(reduce_all(condition)):
            return
        condition = condition if hasattr(given, "node") else given
        shown = "\n".join(_elements(item, summarize) for item in data)
        raise errors.invalid_argument(
            f"Expected '{condition!s}' to be true. Summarized data: {shown}"
        )

    return deferred(check, [condition, *data], lambda condition, *_: reduce_all(condition))


def _elements(tensor, summarize):
    flat = tensor._array.reshape(-1)
    limit = 3 if summarize is None else summarize
    if 0 <= limit < flat.size:
        return "".join(f"{x}, " for x in flat[:limit]) + "..."
    return ", ".join(str(x) for x in flat)


class CheckNumerics(Op):
    """A tensor as it is; an error if it has an element that is infinite or no number."""

    kind = Kind.OPAQUE
    inputs = ("tensor",)
    attrs = {"message": ""}
    dtypes = FLOATS
    keep = ()
    no_lower = "raises an error that shows the message"
    samples = (
        S(3, 4, message="m"),
        S(message="m"),
        S(0),
        Bad(values=([1.0, float("nan")],), message="m", match="m : Tensor had NaN values"),
        Bad(values=([1.0, float("inf")],), message="m", match="m : Tensor had Inf values"),
    )

    def infer(tensor, message=""):
        return Spec(tensor.shape, tensor.dtype)

    def kernel(tensor, message=""):
        if not np.isfinite(tensor).all():
            found = [
                word
                for word, test in (("Inf", np.isinf), ("NaN", np.isnan))
                if test(tensor).any()
            ]
            raise errors.invalid_argument(
                f"{message} : Tensor had {' and '.join(found)} values", "CheckNumerics"
            )
        return tensor

    grad = (
        lambda dy, y, tensor, message="": apply(
            CheckNumerics,
            (dy,),
            {
                "message": f"Not a number (NaN) or infinity (Inf) values "
                f"detected in gradient. {message}"
            },
        ),
    )

    def oracle(tensor, message=""):
        return tensor.astype(np.float64)


@export("debugging.check_numerics")
def check_numerics(tensor, message, name=None):
    """`tensor` as it is, after a check that all its elements are finite.

    Args:
        tensor: float tensor, any shape.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: an element is infinite or no number.
    Source: TensorFlow's `CheckNumerics`.

    >>> tf.debugging.check_numerics([1., 2.], "loss").numpy()
    array([1., 2.], dtype=float32)
    """
    return apply(CheckNumerics, (tensor,), {"message": message}, name=name)


@export("debugging.assert_all_finite")
def assert_all_finite(x, message, name=None):
    """`check_numerics` under its older name; arguments as there.

    >>> tf.debugging.assert_all_finite([1.], "loss").numpy()
    array([1.], dtype=float32)
    """
    return check_numerics(x, message)


def _compare(sign, test, x, y, message, summarize):
    x = convert(x)
    y = convert(y, None, x.dtype)
    return deferred(
        lambda x, y: _compared(sign, test, x, y, message, summarize),
        [x, y],
        lambda x, y: reduce_all(test(x, y)),
    )


def _compared(sign, test, x, y, message, summarize):
    held = convert(test(x, y))
    if bool(reduce_all(held)):
        return
    limit = 3 if summarize is None else summarize
    lines = [] if message is None else [message]
    lines.append(f"Condition x {sign} y did not hold.")
    if held._array.ndim:
        where = np.argwhere(~held._array)
        shown = where if limit < 0 else where[:limit]
        wide = [np.broadcast_to(t._array, held._array.shape) for t in (x, y)]
        lines += [f"Indices of first {len(shown)} different values:", str(shown)]
        for label, array in zip("xy", wide, strict=True):
            lines += [f"Corresponding {label} values:", str(array[tuple(shown.T)])]
    for label, tensor in (("x", x), ("y", y)):
        flat = tensor._array.reshape(-1)
        flat = flat if limit < 0 else flat[:limit]
        lines += [f"First {len(flat)} elements of {label}:", str(flat)]
    raise errors.invalid_argument("\n".join(lines))


@export("debugging.assert_equal", "assert_equal")
def assert_equal(x, y, message=None, summarize=None, name=None):
    """Raise an error unless `x == y` everywhere.

    Args:
        x, y: tensors of one dtype whose shapes broadcast.
        message: how the error's text begins.
        summarize: int, how many elements it shows (default 3, all for -1).
        name: of the operation in a graph.
    Raises: InvalidArgumentError: an element for which it does not hold.

    >>> tf.debugging.assert_equal([1, 2], [1, 2])
    """
    return _compare("==", compare.equal, x, y, message, summarize)


@export("debugging.assert_none_equal")
def assert_none_equal(x, y, summarize=None, message=None, name=None):
    """Raise an error unless `x != y` everywhere; arguments as in `assert_equal`.

    >>> tf.debugging.assert_none_equal([1, 2], [2, 1])
    """
    return _compare("!=", compare.not_equal, x, y, message, summarize)


@export("debugging.assert_less", "assert_less")
def assert_less(x, y, message=None, summarize=None, name=None):
    """Raise an error unless `x < y` everywhere; arguments as in `assert_equal`.

    >>> tf.debugging.assert_less([1, 2], 3)
    """
    return _compare("<", compare.less, x, y, message, summarize)


@export("debugging.assert_less_equal")
def assert_less_equal(x, y, message=None, summarize=None, name=None):
    """Raise an error unless `x <= y` everywhere; arguments as in `assert_equal`.

    >>> tf.debugging.assert_less_equal([1, 2], 2)
    """
    return _compare("<=", compare.less_equal, x, y, message, summarize)


@export("debugging.assert_greater", "assert_greater")
def assert_greater(x, y, message=None, summarize=None, name=None):
    """Raise an error unless `x > y` everywhere; arguments as in `assert_equal`.

    >>> tf.debugging.assert_greater([1, 2], 0)
    """
    return _compare(">", compare.greater, x, y, message, summarize)


@export("debugging.assert_greater_equal")
def assert_greater_equal(x, y, message=None, summarize=None, name=None):
    """Raise an error unless `x >= y` everywhere; arguments as in `assert_equal`.

    >>> tf.debugging.assert_greater_equal([1, 2], 1)
    """
    return _compare(">=", compare.greater_equal, x, y, message, summarize)


def _against_zero(sign, test, x, message, summarize, gap="\n"):
    return deferred(
        lambda x: _compared_with_zero(sign, test, x, message, summarize, gap),
        [x],
        lambda x: reduce_all(test(x, convert(0, x.dtype))),
    )


def _compared_with_zero(sign, test, x, message, summarize, gap):
    if bool(reduce_all(test(x, convert(0, x.dtype)))):
        return
    limit = 3 if summarize is None else summarize
    flat = x._array.reshape(-1)
    shown = [str(item) for item in (flat if limit < 0 else flat[:limit])]
    dots = ["..."] if len(shown) < flat.size else []
    raise errors.invalid_argument(
        f"{message or ''}\nCondition x {sign} 0 did not hold element-wise:{gap}"
        f"x (shape={x.shape} dtype={x.dtype.name}) = \n{shown + dots}"
    )


@export("debugging.assert_positive")
def assert_positive(x, message=None, summarize=None, name=None):
    """Raise an error unless `x > 0` everywhere.

    Args:
        x: real tensor, any shape.
        message: how the error's text begins.
        summarize: int, how many elements it shows (default 3, all for -1).
        name: of the operation in a graph.
    Raises: InvalidArgumentError: an element for which it does not hold.

    >>> tf.debugging.assert_positive([1, 2])
    """
    return _against_zero(">", compare.greater, x, message, summarize)


@export("debugging.assert_negative")
def assert_negative(x, message=None, summarize=None, name=None):
    """Raise an error unless `x < 0` everywhere; arguments as in `assert_positive`.

    >>> tf.debugging.assert_negative([-1, -2])
    """
    return _against_zero("<", compare.less, x, message, summarize)


@export("debugging.assert_non_negative")
def assert_non_negative(x, message=None, summarize=None, name=None):
    """Raise an error unless `x >= 0` everywhere; arguments as in `assert_positive`.

    >>> tf.debugging.assert_non_negative([0, 2])
    """
    return _against_zero(">=", compare.greater_equal, x, message, summarize)


@export("debugging.assert_non_positive")
def assert_non_positive(x, message=None, summarize=None, name=None):
    """Raise an error unless `x <= 0` everywhere; arguments as in `assert_positive`.

    >>> tf.debugging.assert_non_positive([0, -2])
    """
    return _against_zero("<=", compare.less_equal, x, message, summarize, gap="")


@export("debugging.assert_near")
def assert_near(x, y, rtol=None, atol=None, message=None, summarize=None, name=None):
    """Raise an error unless `|x - y| <= atol + rtol * |y|` everywhere.

    Args:
        x, y: float or complex tensors of one dtype whose shapes broadcast.
        rtol, atol: scalars (default: ten times the dtype's epsilon).
        message: how the error's text begins.
        summarize: int, how many elements it shows (default 3, all for -1).
        name: of the operation in a graph.
    Raises: InvalidArgumentError: two elements that differ by more.

    >>> tf.debugging.assert_near([1.], [1.0000001])
    """
    x = convert(x)
    y = convert(y, x.dtype)
    real = x.dtype.real_dtype if x.dtype.is_complex else x.dtype
    epsilon = 10 * np.finfo(real.np).eps if real.np.kind == "f" else 10 * 2.0**-7
    rtol = convert(epsilon if rtol is None else rtol, real)
    atol = convert(epsilon if atol is None else atol, real)
    return deferred(
        lambda *values: _near(*values, message=message, summarize=summarize),
        [x, y, rtol, atol],
        lambda *values: reduce_all(_are_near(*values)),
    )


def _are_near(x, y, rtol, atol):
    return compare.less_equal(absolute(subtract(x, y)), atol + rtol * absolute(y))


def _near(x, y, rtol, atol, message, summarize):
    condition = _are_near(x, y, rtol, atol)
    if bool(reduce_all(condition)):
        return
    named = [f"{n} (shape={t.shape} dtype={t.dtype.name}) = " for n, t in (("x", x), ("y", y))]
    Assert(
        reduce_all(condition),
        [
            message or "",
            f"x and y not equal to tolerance rtol = {rtol!s}, atol = {atol!s}",
            named[0],
            x,
            named[1],
            y,
        ],
        summarize,
    )


def _check_rank(tensor, fits, wanted, message):
    shape = convert(tensor).shape
    if shape.rank is not None and not fits(shape.rank):
        lead = f"{message}.  " if message else ""
        raise ValueError(
            f"{lead}Tensor  must have rank {wanted}.  Received rank {shape.rank}, shape {shape}"
        )


@export("debugging.assert_rank", "assert_rank")
def assert_rank(x, rank, message=None, name=None):
    """Raise an error unless a tensor has the given rank.

    Args:
        x: tensor.
        rank: int.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: ValueError: another rank.

    >>> tf.debugging.assert_rank([1, 2], 1)
    """
    rank = static(rank)
    _check_rank(x, lambda found: found == rank, rank, message)


@export("debugging.assert_rank_at_least")
def assert_rank_at_least(x, rank, message=None, name=None):
    """Raise an error unless a tensor has at least the given rank; arguments as `assert_rank`.

    >>> tf.debugging.assert_rank_at_least([[1, 2]], 1)
    """
    rank = static(rank)
    _check_rank(x, lambda found: found >= rank, f"at least {rank}", message)


@export("debugging.assert_rank_in")
def assert_rank_in(x, ranks, message=None, name=None):
    """Raise an error unless a tensor has one of the given ranks; arguments as `assert_rank`.

    >>> tf.debugging.assert_rank_in([[1, 2]], (1, 2))
    """
    ranks = tuple(static(rank) for rank in ranks)
    _check_rank(x, lambda found: found in ranks, f"in {ranks}", message)


@export("debugging.assert_type")
def assert_type(tensor, tf_type, message=None, name=None):
    """Raise an error unless a tensor has the given dtype.

    Args:
        tensor: tensor.
        tf_type: dtype.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: TypeError: another dtype.

    >>> tf.debugging.assert_type(tf.constant(1.), tf.float32)
    """
    tensor, wanted = convert(tensor), as_dtype(tf_type)
    if tensor.dtype != wanted:
        lead = f"{message}.  " if message else ""
        raise TypeError(f"{lead}tensor must be of type {wanted!r}; got {tensor.dtype!r}")


@export("debugging.assert_integer")
def assert_integer(x, message=None, name=None):
    """Raise an error unless a tensor's dtype is one of integers.

    Args:
        x: tensor.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: TypeError: another dtype.

    >>> tf.debugging.assert_integer([1, 2])
    """
    dtype = convert(x).dtype
    if not dtype.is_integer:
        lead = f"{message}  " if message else ""
        raise TypeError(
            f'{lead}Expected "x" to be integer type.  Found: tensor of dtype {dtype}'
        )


@export("debugging.assert_scalar")
def assert_scalar(tensor, message=None, name=None):
    """Raise an error unless a tensor is a scalar.

    Args:
        tensor: tensor.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: ValueError: a rank above 0.

    >>> tf.debugging.assert_scalar(1.)
    """
    tensor = convert(tensor)
    if tensor.shape.rank not in (0, None):
        lead = f"{message}. " if message else ""
        raise ValueError(f"{lead}Expected scalar shape, saw shape: {tensor.shape}.")


@export("debugging.assert_same_float_dtype")
def assert_same_float_dtype(tensors=None, dtype=None):
    """The float dtype that all tensors have.

    Args:
        tensors: list of tensors.
        dtype: the dtype that they must have (default: that of the first, else float32).
    Raises: ValueError: different dtypes, or one that is not of floats.

    >>> tf.debugging.assert_same_float_dtype([tf.constant(1.), tf.constant(2.)])
    tf.float32
    """
    shared = None if dtype is None else as_dtype(dtype)
    first = None
    for tensor in tensors or ():
        if shared is None:
            shared, first = tensor.dtype, tensor
        elif tensor.dtype != shared:
            against = "" if first is None else f" as {first!s}"
            raise ValueError(
                f"{tensor!s}, type={tensor.dtype}, must be of the same type ({shared})"
                f"{against}."
            )
    shared = shared or as_dtype("float32")
    if not shared.is_floating:
        raise ValueError(f"Expected floating point type, got {shared}.")
    return shared


@export("debugging.assert_shapes")
def assert_shapes(shapes, data=None, summarize=None, message=None, name=None):
    """Raise an error unless tensors have shapes in which equal letters are equal sizes.

    Args:
        shapes: list of `(tensor, shape)`; a shape is a tuple (or text) of ints, names of sizes,
            and `"."` or None for any size; `...` or `"*"` first or last stands for any number.
        data, summarize: not used.
        message: how the error's text begins.
        name: of the operation in a graph.
    Raises: ValueError: a shape that does not fit.

    >>> tf.debugging.assert_shapes([(tf.ones([2, 3]), "NM"), (tf.ones([3]), ("M",))])
    """
    pairs = shapes.items() if isinstance(shapes, dict) else shapes
    sizes = {}
    lead = f"{message}.  " if message else ""
    for value, symbols in pairs:
        tensor = convert(value)
        for axis, symbol in _axes(tensor, symbols, lead):
            size, where = tensor.shape[axis], _described(tensor, axis)
            if symbol in (None, ".") or size is None:
                continue
            if isinstance(symbol, str):
                wanted, origin = sizes.setdefault(symbol, (size, where))
                origin = f"Specified by {origin}"
            else:
                wanted, origin = int(symbol), "Specified explicitly"
            if wanted != size:
                raise ValueError(
                    f"{lead}{origin}.  {where[0].upper()}{where[1:]} must have size {wanted}.  "
                    f"Received size {size}, shape {tensor.shape}"
                )


def _described(tensor, axis):
    return f"tensor shape={tensor.shape} dtype={tensor.dtype.name} dimension {axis}"


def _axes(tensor, symbols, lead):
    """`(axis, symbol)` of all axes that `symbols` names."""
    if not isinstance(symbols, (str, list, tuple)):
        symbols = (symbols,)
    symbols = list(symbols)
    rank = tensor.shape.rank
    loose = [i for i, s in enumerate(symbols) if s is Ellipsis or s == "*"]
    if any(0 < i < len(symbols) - 1 for i in loose) or len(loose) > 1:
        raise ValueError(
            f"{lead}Tensor specified shape {symbols}: only the first or the last entry may "
            "stand for any number of sizes."
        )
    named = [s for i, s in enumerate(symbols) if i not in loose]
    if rank is None or (len(named) != rank if not loose else len(named) > rank):
        raise ValueError(
            f"{lead}Tensor shape={tensor.shape} dtype={tensor.dtype.name} must have rank "
            f"{'at least ' if loose else ''}{len(named)}.  Received rank {rank}, shape "
            f"{tensor.shape}"
        )
    first = rank - len(named) if loose == [0] else 0
    return [(first + i, s) for i, s in enumerate(named)]


@export("debugging.assert_proper_iterable")
def assert_proper_iterable(values):
    """Raise an error unless `values` can be looped over and is neither tensor, array nor text.

    Raises: TypeError: it is, or cannot.

    >>> tf.debugging.assert_proper_iterable([1, 2])
    """
    improper = isinstance(values, (Tensor, Variable, np.ndarray, bytes, str))
    if improper or not hasattr(values, "__iter__"):
        raise TypeError(
            f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}'
        )


@export("debugging.is_numeric_tensor")
def is_numeric_tensor(tensor):
    """Whether `tensor` is a tensor of numbers.

    >>> tf.debugging.is_numeric_tensor(tf.constant(1)), tf.debugging.is_numeric_tensor(1)
    (True, False)
    """
    if not isinstance(tensor, (Tensor, Variable)):
        return False
    dtype = tensor.dtype
    return dtype.is_floating or dtype.is_integer or dtype.is_complex


class EnsureShape(Op):
    """A tensor as it is, after a check of its shape."""

    kind = Kind.OPAQUE
    inputs = ("input",)
    attrs = {"shape": None}
    dtypes = ALL
    no_lower = "known when compiled: the tensor itself"
    keep = ()
    samples = (
        S(3, 4, shape=(None, 4)),
        S(shape=()),
        S(0, shape=(None,)),
        Bad(
            3, shape=(4,), match=r"Shape of tensor input \[3\] is not compatible with expected"
        ),
    )

    def infer(input, shape=None):
        wanted = TensorShape(shape)
        if not TensorShape(input.shape).is_compatible_with(wanted):
            raise errors.invalid_argument(
                f"Shape of tensor input {brackets(input.shape)} is not compatible with "
                f"expected shape {brackets(shape)}."
            )
        merged = TensorShape(input.shape).merge_with(wanted)
        return Spec(None if merged.rank is None else tuple(merged.as_list()), input.dtype)

    def kernel(input, shape=None):
        if not TensorShape(input.shape).is_compatible_with(shape):
            raise ValueError
        return input

    grad = (lambda dy, y, input, shape=None: dy,)

    def oracle(input, shape=None):
        return input


@export("ensure_shape")
def ensure_shape(x, shape, name=None):
    """`x` as it is, after a check that its shape fits.

    Args:
        x: tensor of any dtype.
        shape: the shape; None is a size that is not checked.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: the shape does not fit.
    Source: TensorFlow's `EnsureShape`.

    >>> tf.ensure_shape([[1., 2.]], [None, 2]).shape
    TensorShape([1, 2])
    """
    dims = TensorShape(shape)
    attr = None if dims.rank is None else tuple(dims.as_list())
    return apply(EnsureShape, (x,), {"shape": attr}, name=name)
