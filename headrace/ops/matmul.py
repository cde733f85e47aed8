"""Matrix products."""

from __future__ import annotations

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import (
    NUMERIC,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
)
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor
from headrace.ops.cast import cast, conj
from headrace.ops.reshape import expand_dims, squeeze
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, sum_to_like

_BATCHES = NUMERIC - {int8}
_MATRICES = _BATCHES - {int16}
_ULP = {float16: 4, bfloat16: 4, float32: 8, float64: 8}


def _no_matrix(a, b):
    """The error for an operand of rank 0 or 1."""
    which, ndim = (0, a.ndim) if a.ndim < 2 else (1, b.ndim)
    if max(a.ndim, b.ndim) > 2:
        return errors.invalid_argument(
            f"In[{which}] ndims must be >= 2: {ndim}", "BatchMatMulV2"
        )
    return errors.invalid_argument(f"In[{which}] ndims must be >= 2", "MatMul")


def _product(a, b):
    """a @ b; 16-bit floats are multiplied and summed in float32."""
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.matmul(a, b)


class MatMul(Op):
    """The product of two matrices."""

    kind = Kind.CONTRACT
    inputs = ("a", "b")
    attrs = {"transpose_a": False, "transpose_b": False}
    dtypes = _MATRICES
    ulp = _ULP
    samples = (
        S((3, 4), (4, 5)),
        S((4, 3), (4, 5), transpose_a=True),
        S((3, 4), (5, 4), transpose_b=True),
        S((4, 3), (5, 4), transpose_a=True, transpose_b=True),
        S((0, 4), (4, 5)),
        S((3, 0), (0, 5)),
        Bad(
            (3, 4),
            (5, 6),
            match=r"Matrix size-incompatible: In\[0\]: \[3,4\], In\[1\]: \[5,6\]",
        ),
    )

    def infer(a, b, transpose_a=False, transpose_b=False):
        m, k = _sides(a.shape, transpose_a)
        other, n = _sides(b.shape, transpose_b)
        if k is not None and other is not None and k != other:
            raise _incompatible(a.shape, b.shape)
        return Spec((m, n), a.dtype)

    def kernel(a, b, transpose_a=False, transpose_b=False):
        return _product(a.T if transpose_a else a, b.T if transpose_b else b)

    def lower(c, a, b, transpose_a=False, transpose_b=False):
        return c.contract(
            a, "ki" if transpose_a else "ik", b, "jk" if transpose_b else "kj", "ij"
        )

    def oracle(a, b, transpose_a=False, transpose_b=False):
        left, right = "ki" if transpose_a else "ik", "jk" if transpose_b else "kj"
        return np.einsum(f"{left},{right}->ij", a, b)

    grad = (
        lambda dy, y, a, b, transpose_a=False, transpose_b=False: _left(
            _matrices, dy, conj(b), transpose_a, transpose_b
        ),
        lambda dy, y, a, b, transpose_a=False, transpose_b=False: _right(
            _matrices, dy, conj(a), transpose_a, transpose_b
        ),
    )


class BatchMatMulV2(Op):
    """Products of matrices in the last two axes; the leading ones broadcast."""

    kind = Kind.CONTRACT
    inputs = ("x", "y")
    attrs = {"adj_x": False, "adj_y": False}
    dtypes = _BATCHES
    ulp = _ULP
    samples = (
        S((2, 3, 4), (2, 4, 5)),
        S((2, 1, 3, 4), (6, 4, 5)),
        S((2, 4, 3), (4, 5), adj_x=True),
        S((3, 4), (2, 5, 4), adj_y=True),
        S((0, 3, 4), (4, 5)),
        Bad(
            (2, 3, 4),
            (2, 5, 6),
            match=r"Matrix size-incompatible: In\[0\]: \[2,3,4\], In\[1\]: \[2,5,6\] 0 0",
        ),
        Bad(
            (2, 3, 4),
            (3, 4, 6),
            match=r"must have compatible batch dimensions: \[2,3,4\] vs. \[3,4,6\]",
        ),
    )

    def infer(x, y, adj_x=False, adj_y=False):
        if x.shape is None or y.shape is None:
            return Spec(None, x.dtype)
        m, k = _sides(x.shape, adj_x)
        other, n = _sides(y.shape, adj_y)
        if k is not None and other is not None and k != other:
            raise _incompatible(x.shape, y.shape, f" {int(adj_x)} {int(adj_y)}")
        try:
            batch = shapes.broadcast(x.shape[:-2], y.shape[:-2])
        except ValueError:
            raise errors.invalid_argument(
                "In[0] and In[1] must have compatible batch dimensions: "
                f"{brackets(x.shape)} vs. {brackets(y.shape)}"
            ) from None
        return Spec((*batch, m, n), x.dtype)

    def kernel(x, y, adj_x=False, adj_y=False):
        x = np.conjugate(np.swapaxes(x, -1, -2)) if adj_x else x
        y = np.conjugate(np.swapaxes(y, -1, -2)) if adj_y else y
        return _product(x, y)

    def lower(c, x, y, adj_x=False, adj_y=False):
        letters = "abcdefgh"[: max(x.rank, y.rank) - 2]
        left = letters[len(letters) - x.rank + 2 :] + ("ki" if adj_x else "ik")
        right = letters[len(letters) - y.rank + 2 :] + ("jk" if adj_y else "kj")
        return c.contract(
            _conjugated(c, x, adj_x), left, _conjugated(c, y, adj_y), right, letters + "ij"
        )

    def oracle(x, y, adj_x=False, adj_y=False):
        left, right = "...ki" if adj_x else "...ik", "...jk" if adj_y else "...kj"
        return np.einsum(
            f"{left},{right}->...ij", x.conj() if adj_x else x, y.conj() if adj_y else y
        )

    grad = (
        lambda dy, z, x, y, adj_x=False, adj_y=False: sum_to_like(
            _left(_batches, dy, y, adj_x, adj_y), x
        ),
        lambda dy, z, x, y, adj_x=False, adj_y=False: sum_to_like(
            _right(_batches, dy, x, adj_x, adj_y), y
        ),
    )


def _conjugated(c, x, adjoint):
    if not (adjoint and x.dtype.is_complex):
        return x
    return c.map(x.shape, x.dtype, lambda *i: c.conj(x[i]))


def _matrices(a, b, transpose_a=False, transpose_b=False, name=None):
    return apply(MatMul, (a, b), {"transpose_a": transpose_a, "transpose_b": transpose_b}, name)


def _batches(x, y, adj_x=False, adj_y=False, name=None):
    """`x @ y` with adjoints, in such a way that gradients need no conjugates of their own."""
    return apply(BatchMatMulV2, (x, y), {"adj_x": adj_x, "adj_y": adj_y}, name)


def _left(product, dy, b, flip_a, flip_b):
    """The gradient of the first factor."""
    if flip_a:
        return product(b, dy, flip_b, True)
    return product(dy, b, False, not flip_b)


def _right(product, dy, a, flip_a, flip_b):
    """The gradient of the second factor."""
    if flip_b:
        return product(dy, a, True, flip_a)
    return product(a, dy, not flip_a, False)


def _sides(shape, flipped):
    if shape is None:
        return None, None
    if len(shape) < 2:
        raise errors.invalid_argument(
            f"In[0] and In[1] has different ndims or are no matrices: {brackets(shape)}"
        )
    return (shape[-1], shape[-2]) if flipped else (shape[-2], shape[-1])


def _incompatible(a, b, more=""):
    return errors.invalid_argument(
        f"Matrix size-incompatible: In[0]: {brackets(a)}, In[1]: {brackets(b)}{more}"
    )


@export("linalg.matmul", "matmul")
def matmul(
    a,
    b,
    transpose_a=False,
    transpose_b=False,
    adjoint_a=False,
    adjoint_b=False,
    a_is_sparse=False,
    b_is_sparse=False,
    output_type=None,
    grad_a=False,
    grad_b=False,
    name=None,
):
    """The product of matrices: `a @ b`; leading dimensions are batches and broadcast.

    Args:
        a: number tensor `[..., m, k]` (`[..., k, m]` if transposed).
        b: tensor of a's dtype, `[..., k, n]`.
        transpose_a, transpose_b: whether to transpose the last two dimensions first.
        adjoint_a, adjoint_b: whether to conjugate and transpose them first.
        a_is_sparse, b_is_sparse: hints that change nothing in the result.
        output_type: dtype of the result (default: that of a).
        grad_a, grad_b: hints that change nothing in the result.
        name: of the operation in a graph.
    Returns: tensor `[..., m, n]`.
    Raises: InvalidArgumentError: sizes that do not fit, or vectors. ValueError: both a
        transpose and an adjoint.
    Source: TensorFlow's `MatMul` and `BatchMatMulV2`.

    >>> tf.matmul([[1., 2.], [3., 4.]], [[1.], [1.]]).numpy()
    array([[3.],
           [7.]], dtype=float32)
    """
    if transpose_a and adjoint_a:
        raise ValueError(
            "Only one of `transpose_a` and `adjoint_a` can be True. Received "
            "`transpose_a`=True, "
            "`adjoint_a`=True."
        )
    if transpose_b and adjoint_b:
        raise ValueError(
            "Only one of `transpose_b` and `adjoint_b` can be True. Received "
            "`transpose_b`=True, "
            "`adjoint_b`=True."
        )
    if a.__class__ is not EagerTensor:
        a = convert(a)
    if b.__class__ is not EagerTensor:
        b = convert(b, None, a.dtype)
    if output_type is not None:
        a, b = cast(a, as_dtype(output_type)), cast(b, as_dtype(output_type))
    if a.ndim == 2 and b.ndim == 2:
        if a.dtype.is_complex:
            a, b = conj(a) if adjoint_a else a, conj(b) if adjoint_b else b
        return _matrices(a, b, transpose_a or adjoint_a, transpose_b or adjoint_b, name)
    if 0 <= min(-1 if x.ndim is None else x.ndim for x in (a, b)) < 2:
        raise _no_matrix(a, b)
    if (transpose_a or transpose_b) and a.dtype.is_complex:
        a, b = conj(a) if transpose_a else a, conj(b) if transpose_b else b
    return _batches(a, b, transpose_a or adjoint_a, transpose_b or adjoint_b, name or "MatMul")


@export("linalg.matvec")
def matvec(
    a,
    b,
    transpose_a=False,
    adjoint_a=False,
    a_is_sparse=False,
    b_is_sparse=False,
    name=None,
):
    """The product of matrices and vectors; leading dimensions are batches and broadcast.

    Args:
        a: number tensor `[..., m, k]` (`[..., k, m]` if transposed).
        b: tensor of a's dtype, `[..., k]`.
        transpose_a: whether to transpose the last two dimensions first.
        adjoint_a: whether to conjugate and transpose them first.
        a_is_sparse, b_is_sparse: hints that change nothing in the result.
        name: of the operation in a graph.
    Returns: tensor `[..., m]`.
    Raises: InvalidArgumentError: sizes that do not fit. ValueError: transpose and adjoint.

    >>> tf.linalg.matvec([[1., 2.], [3., 4.]], [1., 1.]).numpy()
    array([3., 7.], dtype=float32)
    """
    if a.__class__ is not EagerTensor:
        a = convert(a)
    columns = expand_dims(convert(b, None, a.dtype), -1)
    product = matmul(a, columns, transpose_a=transpose_a, adjoint_a=adjoint_a, name=name)
    return squeeze(product, (-1,))
