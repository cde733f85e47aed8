"""Einstein sums: products of tensors, summed over the labels that the result lacks.

`Einsum` is one record for one or two operands, TensorFlow's; `tf.einsum` of more operands is a
chain of them. An equation is read once into labels (one character a dimension), in which the
dimensions of an ellipsis have Greek letters. What the record computes is: diagonals of repeated
labels, sums over labels that only one operand has, one product of (batches of) matrices, and
the result's order. Read `ops/matmul.py` before.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import (
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int32,
    int64,
)
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import conj
from headrace.ops.reshape import reshape
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, broadcast_to, dims_of

_DOTS = "..."
_SPREAD = "αβγδεζηθικλμνξοπρστυφχψω"
_FORMAT = re.compile("(?:[a-zA-Z0]*,)*[a-zA-Z0]*(?:->[a-zA-Z0]*)?")
_DTYPES = frozenset({bfloat16, float16, float32, float64, int32, int64, complex64, complex128})


class Labels(NamedTuple):
    """An equation for operands of known ranks: a string for each operand, and the result's."""

    operands: tuple[str, ...]
    result: str


@lru_cache(maxsize=512)
def labels_of(equation: str, ranks: tuple[int, ...]) -> Labels:
    """The labels of an equation's operands and of its result.

    Raises: InvalidArgumentError: a rank that does not fit.
    """
    left, _, right = equation.partition("->")
    terms = left.split(",")
    found, most = [], 0
    for position, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        named = len(term) - (3 if _DOTS in term else 0)
        if _DOTS not in term and rank != named:
            raise errors.invalid_argument(
                f"Expected input {position} to have rank {named} but got: {rank}"
            )
        if rank < named:
            raise errors.invalid_argument(
                f"Expected input {position} to have rank at least {named} but got: {rank}"
            )
        most = max(most, rank - named)
        found.append(term.replace(_DOTS, _SPREAD[len(_SPREAD) - (rank - named) :]))
    if most and _DOTS not in right:
        raise errors.invalid_argument(
            f"Output contains {most} broadcasting dimension(s) but no ellipsis (...) was found "
            "in the output subscripts."
        )
    return Labels(tuple(found), right.replace(_DOTS, _SPREAD[len(_SPREAD) - most :]))


def _sizes(labels, dims):
    """The size of each label; dimensions of an ellipsis broadcast, the others do not.

    Raises: InvalidArgumentError: a label that has two sizes.
    """
    sizes: dict[str, int | None] = {}
    for term, shape in zip(labels.operands, dims, strict=True):
        for axis, (label, size) in enumerate(zip(term, shape, strict=True)):
            known = sizes.setdefault(label, size)
            if label in _SPREAD and (1 in (known, size) or None in (known, size)):
                sizes[label] = _stretched(known, size)
            elif None in (known, size):
                sizes[label] = size if known is None else known
            elif known != size and label in _SPREAD:
                raise _no_batch(labels, dims)
            elif known != size:
                raise errors.invalid_argument(
                    f"Expected dimension {known} at axis {axis} of the input shaped "
                    f"{brackets(shape)} but got dimension {size}"
                )
    return sizes


def _stretched(m, n):
    """The size that two broadcast to, of which one is 1 or unknown."""
    return n if m == 1 else m if n == 1 or n is None else n


def _no_batch(labels, dims):
    """The error for ellipses that do not broadcast."""
    texts = []
    for term, shape in zip(labels.operands, dims, strict=True):
        size = dict(zip(term, shape, strict=True))
        groups = _groups(labels, labels.operands.index(term))
        summed, free = (math.prod(size[label] for label in g) for g in groups[1:])
        texts.append(brackets((*(size[k] for k in groups[0] if k in size), summed, free)))
    return errors.invalid_argument(
        f"In[0] and In[1] must have compatible batch dimensions: {texts[0]} vs. {texts[1]}"
    )


def _groups(labels, position):
    """Labels of one of two operands: of batches, summed with the other's, and its own."""
    mine, other = labels.operands[position], labels.operands[1 - position]
    own = dict.fromkeys(mine)
    batch = [k for k in labels.result if k in _SPREAD or (k in mine and k in other)]
    summed = [k for k in dict.fromkeys(labels.operands[0]) if k in mine and k in other]
    summed = [k for k in summed if k not in labels.result]
    free = [k for k in own if k in labels.result and k not in batch]
    return batch, summed, free


# The record


class Einsum(Op):
    """Products of the operands, summed over the labels that the result lacks."""

    kind = Kind.CONTRACT
    inputs = ("*inputs",)
    attrs = {"equation": ""}
    dtypes = _DTYPES
    ulp = {float16: 4, bfloat16: 4, float32: 8, float64: 8}
    samples = (
        S((3, 4), (4, 5), equation="ij,jk->ik"),
        S((4, 3), (5, 4), equation="ji,kj->ki"),
        S((2, 3, 4), (2, 5, 4), equation="bqd,bkd->bqk"),
        S((2, 3, 4), (1, 4, 5), equation="...ij,...jk->...ik"),
        S((2, 1, 3, 4), (5, 4, 2), equation="...ij,...jk->i...k"),
        S((2, 3, 4), (4, 5), equation="a...b,bc->c...a"),
        S((3,), (4,), equation="i,j->ij"),
        S((3,), (3,), equation="i,i->"),
        S((3, 4), (2, 3), equation="ij,ki->k"),
        S((3, 3, 2), (2, 5), equation="iij,jk->ki"),
        S((), (2, 3), equation=",ij->ji"),
        S((0, 3), (0, 4), equation="ij,ik->jk"),
        S((2, 3, 4), equation="ijk->kj"),
        S((3, 3), equation="ii->i"),
        S((3, 3), equation="ii->"),
        S((3, 3, 2, 2), equation="iijj->ji"),
        S((3,), equation="i->ii"),
        S((2, 3), equation="ij->jij"),
        S((2, 3, 4), equation="...i->i..."),
        S(equation="->"),
        Bad((2, 3), equation="ijk->ik", match="Expected input 0 to have rank 3 but got: 2"),
        Bad((2,), equation="...ij->ij", match="Expected input 0 to have rank at least 2 but"),
        Bad(
            (2, 3),
            (4, 3),
            equation="ij,jk->ik",
            match=r"Expected dimension 3 at axis 0 of the input shaped \[4,3\] but got "
            "dimension 4",
        ),
        Bad((2, 3), equation="...i->i", match=r"Output contains 1 broadcasting dimension\(s\)"),
        Bad(
            (2, 3, 4),
            (5, 4),
            equation="...i,...i->...",
            match=r"compatible batch dimensions: \[2,3,4,1\] vs. \[5,4,1\]",
        ),
    )

    def infer(*inputs, equation):
        dims = [spec.shape for spec in inputs]
        if None in dims:
            return Spec(None, inputs[0].dtype)
        labels = labels_of(equation, tuple(map(len, dims)))
        sizes = _sizes(labels, dims)
        return Spec(tuple(sizes[label] for label in labels.result), inputs[0].dtype)

    def kernel(*inputs, equation):
        labels = labels_of(equation, tuple(x.ndim for x in inputs))
        sizes = _sizes(labels, [x.shape for x in inputs])
        dtype = inputs[0].dtype
        if dtype.itemsize == 2:
            inputs = [x.astype(np.float32) for x in inputs]
        parts = [_own(labels, i, x) for i, x in enumerate(inputs)]
        result, order = parts[0] if len(parts) == 1 else _multiplied(labels, sizes, parts)
        wanted = list(dict.fromkeys(labels.result))
        result = result.transpose([order.index(k) for k in wanted])
        if len(wanted) != len(labels.result):
            result = _on_diagonals(result, labels.result, wanted)
        return result.astype(dtype) if dtype.itemsize == 2 else np.asarray(result, order="C")

    def grad(dy, y, *inputs, equation):
        if len(inputs) == 1:
            return (_gradient(dy, inputs, equation, 0),)
        return tuple(_gradient(dy, inputs, equation, i) for i in (0, 1))

    def lower(c, *inputs, equation):
        labels = labels_of(equation, tuple(x.rank for x in inputs))
        sizes = _sizes(labels, [x.shape for x in inputs])
        parts = [_own_loops(c, labels, i, x) for i, x in enumerate(inputs)]
        wanted = "".join(dict.fromkeys(labels.result))
        (a, of_a), (b, of_b) = parts if len(parts) == 2 else (parts[0], (None, ""))
        if b is None:
            shape = tuple(sizes[k] for k in wanted)
            found = c.map(shape, a.dtype, lambda *i: a[tuple(i[wanted.index(k)] for k in of_a)])
        else:
            found = c.contract(a, of_a, b, of_b, wanted)
        if wanted == labels.result:
            return found
        first = [labels.result.index(k) for k in wanted]

        def element(*i):
            same = c.all(
                i[labels.result.index(k)] == at for k, at in zip(labels.result, i, strict=True)
            )
            return c.where(same, lambda: found[tuple(i[k] for k in first)], 0)

        return c.map(tuple(sizes[k] for k in labels.result), a.dtype, element)

    def oracle(*inputs, equation):
        labels = labels_of(equation, tuple(x.ndim for x in inputs))
        sizes = _sizes(labels, [x.shape for x in inputs])
        result = np.zeros([sizes[k] for k in labels.result], inputs[0].dtype)
        for index in np.ndindex(*sizes.values()):
            at = dict(zip(sizes, index, strict=True))
            product = 1
            for term, x in zip(labels.operands, inputs, strict=True):
                product *= x[
                    tuple(at[k] if n != 1 else 0 for k, n in zip(term, x.shape, strict=True))
                ]
            result[tuple(at[k] for k in labels.result)] += product
        return result


def _kept(labels, position):
    """An operand's labels, each once; and which of them outlive it."""
    term = labels.operands[position]
    others = labels.result + "".join(
        labels.operands[:position] + labels.operands[position + 1 :]
    )
    once = "".join(dict.fromkeys(term))
    return once, "".join(k for k in once if k in others)


def _own(labels, position, x):
    """An operand without repeated labels and without those that nobody else has."""
    term = labels.operands[position]
    once, kept = _kept(labels, position)
    if once != term:
        number = {label: k for k, label in enumerate(once)}
        x = np.einsum(x, [number[k] for k in term], [number[k] for k in once])
    if kept != once:
        axes = tuple(axis for axis, k in enumerate(once) if k not in kept)
        x = x.sum(axis=axes, dtype=x.dtype)
    return x, kept


def _own_loops(c, labels, position, x):
    """As `_own`, in loops."""
    term = labels.operands[position]
    once, kept = _kept(labels, position)
    size = dict(zip(term, x.shape, strict=True))
    if once != term:
        whole = x
        shape = tuple(size[k] for k in once)
        x = c.map(shape, x.dtype, lambda *i: whole[tuple(i[once.index(k)] for k in term)])
    if kept != once:
        full, summed = x, [k for k in once if k not in kept]

        def element(i, r):
            at = dict(zip(kept, i, strict=True)) | dict(zip(summed, r, strict=True))
            return full[tuple(at[k] for k in once)]

        shape, extents = (tuple(size[k] for k in group) for group in (kept, summed))
        x = c.reduce("add", shape, x.dtype, extents, element)
    return x, kept


def _multiplied(labels, sizes, parts):
    """The product of two operands as one of (batches of) matrices, and its labels in order."""
    factors, free_labels = [], []
    batch = _groups(labels, 0)[0]
    for position, (x, kept) in enumerate(parts):
        _, summed, free = _groups(labels, position)
        stack = [k for k in batch if k in kept]
        inner = [*free, *summed] if position == 0 else [*summed, *free]
        x = x.transpose([kept.index(k) for k in (*stack, *inner)])
        dims = x.shape[: len(stack)]
        extents = [math.prod(sizes[k] for k in group) for group in (free, summed)]
        outer = tuple(dims[stack.index(k)] if k in stack else 1 for k in batch)
        factors.append(x.reshape(*outer, *(extents if position == 0 else reversed(extents))))
        free_labels += free
    product = np.matmul(*factors)
    shape = [sizes[k] for k in (*batch, *free_labels)]
    return product.reshape(shape), [*batch, *free_labels]


def _on_diagonals(values, result, wanted):
    """Values put where the places of repeated labels are equal, and zeros elsewhere."""
    size = dict(zip(wanted, values.shape, strict=True))
    found = np.zeros([size[k] for k in result], values.dtype)
    places = np.ogrid[tuple(slice(n) for n in values.shape)]
    found[tuple(places[wanted.index(k)] for k in result)] = values
    return found


# Gradients


class Plan(NamedTuple):
    """How to get at the gradient of one operand, in turn; None: a step that is not needed."""

    other: tuple | None
    """The other operand's shape without the dimensions along which it was stretched."""
    product: str
    """The equation that multiplies the result's gradient with the other operand."""
    spread: tuple | None
    """The product's shape with 1 for labels that only this operand has, and was summed over."""
    full: tuple | None
    """That shape stretched."""
    diagonal: str | None
    """The equation that puts values on the diagonals of repeated labels."""
    shape: tuple | None
    """The operand's shape, with the dimensions along which it was stretched."""


def _plan(labels, dims, position):
    """The plan for one operand.

    Args:
        dims: the operands' shapes, ints and symbolic scalars (never for an ellipsis).
    """
    term, shape = labels.operands[position], dims[position]
    kept = _unstretched(labels, dims)
    mine, other, terms = kept[position], None, [labels.result]
    if len(dims) == 2:
        whole = labels.operands[1 - position]
        terms.append(kept[1 - position])
        if terms[1] != whole:
            pairs = zip(whole, dims[1 - position], strict=True)
            other = tuple(n for k, n in pairs if k in terms[1])
    once = "".join(dict.fromkeys(mine))
    found = "".join(k for k in once if k in "".join(terms))
    spread = full = None
    if found != once:
        size = dict(zip(term, shape, strict=True))
        spread = tuple(size[k] if k in found else 1 for k in once)
        full = tuple(size[k] for k in once)
    product = _ascii(f"{','.join(terms)}->{found}")
    diagonal = None if once == mine else _ascii(f"{once}->{mine}")
    return Plan(other, product, spread, full, diagonal, None if mine == term else shape)


def _unstretched(labels, dims):
    """Each operand's labels without those of an ellipsis along which it was stretched."""
    most: dict[str, int] = {}
    pairs = [
        list(zip(term, shape, strict=True))
        for term, shape in zip(labels.operands, dims, strict=True)
    ]
    for k, n in (pair for operand in pairs for pair in operand if pair[0] in _SPREAD):
        most[k] = n if most.get(k, 1) == 1 else most[k]
    return [
        "".join(k for k, n in operand if k not in most or n == most[k]) for operand in pairs
    ]


def _gradient(dy, inputs, equation, position):
    """The gradient of one operand: the result's gradient times the conjugate of the other."""
    others = [conj(x) for i, x in enumerate(inputs) if i != position]
    terms = equation.partition("->")[0].split(",")
    dims = [_dims(x, term) for x, term in zip(inputs, terms, strict=True)]
    if None in dims:
        attrs = {"equation": equation, "position": position}
        return apply(EinsumGrad, (dy, inputs[position], *others), attrs)
    plan = _plan(labels_of(equation, tuple(map(len, dims))), dims, position)
    if plan.other is not None:
        others = [reshape(others[0], plan.other)]
    gradient = apply(Einsum, (dy, *others), {"equation": plan.product})
    if plan.spread is not None:
        gradient = broadcast_to(reshape(gradient, plan.spread), plan.full)
    if plan.diagonal is not None:
        gradient = apply(Einsum, (gradient,), {"equation": plan.diagonal})
    return gradient if plan.shape is None else reshape(gradient, plan.shape)


def _dims(x, term):
    """The sizes of an operand, ints and symbolic scalars; None where they do not suffice.

    An ellipsis needs ints: only they tell whether the operand was stretched.
    """
    found = dims_of(x)
    if found.__class__ is tuple:
        dotted = _DOTS in term and any(n.__class__ is not int for n in found)
        return None if dotted else found
    return None if _DOTS in term else tuple(found[i] for i in range(len(term)))


class EinsumGrad(Op):
    """The gradient of one operand of `Einsum`, where its dimensions are not known beforehand.

    Inputs are the result's gradient, the operand (for its shape), and the conjugate of the
    other one, if there are two.
    """

    kind = Kind.CONTRACT
    inputs = ("*inputs",)
    attrs = {"equation": "", "position": 0}
    dtypes = _DTYPES
    ulp = Einsum.ulp
    no_lower = "only for unknown shapes; where they are known `Einsum` takes its place"
    samples = (
        S((2, 3, 5), (2, 3, 4), (1, 4, 5), equation="...ij,...jk->...ik", position=0),
        S((2, 3, 5), (1, 4, 5), (2, 3, 4), equation="...ij,...jk->...ik", position=1),
        S((3, 2), (2, 3), equation="...i->i...", position=0),
        S((3, 2), (3, 3, 2, 4), equation="ii...k->i...", position=0),
    )

    def infer(*inputs, equation, position):
        return Spec(inputs[1].shape, inputs[0].dtype)

    def kernel(*inputs, equation, position):
        dy, x, *others = inputs
        operands = [*others, x] if position else [x, *others]
        dims = [t.shape for t in operands]
        plan = _plan(labels_of(equation, tuple(map(len, dims))), dims, position)
        if plan.other is not None:
            others = [others[0].reshape(plan.other)]
        result = Einsum.kernel(dy, *others, equation=plan.product)
        if plan.spread is not None:
            result = np.broadcast_to(result.reshape(plan.spread), plan.full)
        if plan.diagonal is not None:
            result = Einsum.kernel(result, equation=plan.diagonal)
        return result.reshape(x.shape)

    def grad(dz, z, *inputs, equation, position):
        dy, _, *others = inputs
        operands = [dz, *map(conj, others)]
        by_dy = apply(Einsum, operands[::-1] if position else operands, {"equation": equation})
        if not others:
            return by_dy, None
        attrs = {"equation": equation, "position": 1 - position}
        return by_dy, None, apply(EinsumGrad, (conj(dy), others[0], dz), attrs)

    def oracle(*inputs, equation, position):
        dy, x, *others = inputs
        operands = [*others, x] if position else [x, *others]
        labels = labels_of(equation, tuple(t.ndim for t in operands))
        sizes = _sizes(labels, [t.shape for t in operands])
        result = np.zeros(x.shape, x.dtype)
        for index in np.ndindex(*sizes.values()):
            at = dict(zip(sizes, index, strict=True))
            places = [
                tuple(at[k] if n != 1 else 0 for k, n in zip(term, t.shape, strict=True))
                for term, t in zip(labels.operands, operands, strict=True)
            ]
            factor = others[0][places[1 - position]] if others else 1
            result[places[position]] += dy[tuple(at[k] for k in labels.result)] * factor
        return result


def _ascii(equation):
    """The same equation with letters that an equation may have."""
    free = (
        k for k in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if k not in equation
    )
    for label in sorted(set(equation) & set(_SPREAD)):
        equation = equation.replace(label, next(free))
    return equation


# The public function


@export("einsum", "linalg.einsum")
def einsum(equation, *inputs, **kwargs):
    """Products of tensors, summed over the labels that the result lacks.

    Args:
        equation: `"ij,jk->ik"`: a label for each dimension of each operand, then those of the
            result; without `->`, the labels that stand there once, in alphabetical order. An
            ellipsis stands for dimensions that broadcast.
        inputs: number tensors of one dtype.
        kwargs: `name` of the operation in a graph; `optimize`, in which order more than two
            operands are multiplied ("greedy", "optimal", "branch-2", "branch-all", "auto").
    Returns: tensor of the inputs' dtype.
    Raises: ValueError: an equation that makes no sense, or another number of operands.
        InvalidArgumentError: dimensions that do not fit. TypeError: another keyword.
    Source: TensorFlow's `Einsum`.

    >>> tf.einsum("ij,j->i", tf.constant([[1., 2.], [3., 4.]]), tf.constant([1., 1.])).numpy()
    array([3., 7.], dtype=float32)
    """
    name, optimize = kwargs.pop("name", None), kwargs.pop("optimize", "greedy")
    kwargs.pop("greedy", None)
    if kwargs:
        raise TypeError(
            f"Invalid keyword arguments for einsum: {', '.join(kwargs)}. Valid arguments: "
            "name, optimize, greedy."
        )
    terms, result = _parsed(equation.replace(" ", ""))
    if len(inputs) != len(terms):
        raise ValueError(
            f'Got {len(inputs)} inputs for equation "{equation}", expecting {len(terms)}'
        )
    first = convert(inputs[0])
    tensors = [first, *(convert(x, None, first.dtype) for x in inputs[1:])]
    if len(terms) > 2:
        return _chained(terms, result, tensors, optimize, name)
    given = f"{','.join(terms)}->{result}"
    return apply(Einsum, tensors, {"equation": given}, name=name)


@lru_cache(maxsize=512)
def _parsed(equation):
    """The operands' terms and the result's, checked."""
    short = equation.replace(_DOTS, "0")
    if not _FORMAT.fullmatch(short):
        raise ValueError(f"Subscripts have incorrect format: {short}")
    left, arrow, right = short.partition("->")
    if not arrow:
        labels = left.replace(",", "").replace("0", "")
        right = "".join(sorted(k for k in set(labels) if labels.count(k) == 1))
    if len(set(right)) != len(right):
        raise ValueError(
            f"Output subscripts contain a label appearing more than once: {equation}"
        )
    for label in right:
        if label not in left and label != "0":
            raise ValueError(
                f"Output subscripts contain the label {label} not present in the input "
                "subscripts."
            )
    return tuple(t.replace("0", _DOTS) for t in left.split(",")), right.replace("0", _DOTS)


def _chained(terms, result, tensors, optimize, name):
    """Pairs of operands, multiplied in an order that costs little."""
    terms, tensors = list(terms), list(tensors)
    for group in _path(terms, result, tensors, optimize):
        parts = [(terms[k], tensors[k]) for k in group]
        for k in sorted(group, reverse=True):
            del terms[k], tensors[k]
        while len(parts) > 1:
            (of_a, a), (of_b, b), *rest = parts
            last = not terms and not rest
            later = "".join(terms) + "".join(term for term, _ in rest) + result
            joined = result if last else _joined(of_a, of_b, later)
            given = {"equation": f"{of_a},{of_b}->{joined}"}
            product = apply(Einsum, (a, b), given, name=name if last else None)
            parts = [(joined, product), *rest]
        terms.append(parts[0][0])
        tensors.append(parts[0][1])
    return tensors[0]


def _joined(of_a, of_b, later):
    """The labels of a product that something later still needs."""
    both = of_a + of_b
    dots = _DOTS if _DOTS in both else ""
    return dots + "".join(dict.fromkeys(k for k in both if k != "." and k in later))


def _path(terms, result, tensors, optimize):
    """Which operands to multiply next, in turn: positions in the list of what is left."""
    if any(x.ndim is None for x in tensors):
        return [(0, 1)] * (len(terms) - 1)
    dims = (shapes.as_tuple(x.shape) for x in tensors)
    stands_in = [np.broadcast_to(0.0, [n or 1 for n in shape]) for shape in dims]
    best = optimize in ("optimal", "branch-2", "branch-all", "auto")
    equation = f"{','.join(terms)}->{result}"
    path, _ = np.einsum_path(equation, *stands_in, optimize="optimal" if best else "greedy")
    return path[1:]
