"""Offsets as sums: how they change with the loop indices.

An offset is a constant plus multiples of atoms. An atom is a loop index, or an expression that
is no such sum (a quotient, a loaded index). Read `expr.py` before.
"""

from __future__ import annotations

from typing import NamedTuple

from headrace.compile.loops.checks import used_indices
from headrace.compile.loops.expr import Apply, Const, Expr, Index, bounds


class Affine(NamedTuple):
    """`constant` + the sum of `terms[atom] * atom`; `atoms` has them by id."""

    constant: int
    terms: dict[int, int]
    atoms: dict[int, Expr]

    def factor(self, index: Index) -> int | None:
        """The multiple of an index; None where another atom depends on it too."""
        for key, atom in self.atoms.items():
            if atom is not index and self.terms.get(key) and index in used_indices([atom]):
                return None
        return self.terms.get(id(index), 0)

    def equals(self, other: Affine) -> bool:
        """Whether two sums are the same."""
        keys = self.terms.keys() | other.terms.keys()
        same = all(self.terms.get(k, 0) == other.terms.get(k, 0) for k in keys)
        return same and self.constant == other.constant

    def span(self, without: frozenset[int] = frozenset()) -> tuple[int, int] | None:
        """The least and greatest value, the atoms of the ids `without` taken as 0."""
        low = high = self.constant
        for key, factor in self.terms.items():
            if key in without or not factor:
                continue
            known = bounds(self.atoms[key])
            if known is None:
                return None
            a, b = sorted((factor * known[0], factor * known[1]))
            low, high = low + a, high + b
        return low, high


def affine(x: Expr) -> Affine:
    """An offset as a sum."""
    match x:
        case Const():
            return Affine(int(x.value), {}, {})
        case Apply(_, "add" | "sub", (a, b)):
            return _sum(affine(a), affine(b), 1 if x.name == "add" else -1)
        case Apply(_, "neg", (a,)):
            return _scaled(affine(a), -1)
        case Apply(_, "mul", (a, Const() as b)) | Apply(_, "mul", (Const() as b, a)):
            return _scaled(affine(a), int(b.value))
    return Affine(0, {id(x): 1}, {id(x): x})


def _scaled(x: Affine, factor: int) -> Affine:
    return Affine(x.constant * factor, {k: f * factor for k, f in x.terms.items()}, x.atoms)


def _sum(x: Affine, y: Affine, sign: int) -> Affine:
    terms = dict(x.terms)
    for key, factor in y.terms.items():
        terms[key] = terms.get(key, 0) + sign * factor
    return Affine(x.constant + sign * y.constant, terms, {**x.atoms, **y.atoms})


def stride(offset: Expr, index: Index) -> int | None:
    """How much an offset grows with an index, or None if that is not one number."""
    return affine(offset).factor(index)
