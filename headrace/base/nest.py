"""Nested structures: `tf.nest`.

The leaves of a structure (lists, tuples, mappings and their like, inside one another) come in
one order, that of its parts; mappings are walked in the order of their sorted keys. What a
structure is, and how each class is taken apart, says `base/forms.py`.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace.base.export import export
from headrace.base.forms import EXPANDED, PLAIN, Forms, form_of


def _forms(expand_composites: bool) -> Forms:
    return EXPANDED if expand_composites else PLAIN


@export("nest.is_nested")
def is_nested(seq: Any) -> bool:
    """Whether `seq` is a structure and not a leaf.

    >>> tf.nest.is_nested([1, 2]), tf.nest.is_nested("text")
    (True, False)
    """
    return form_of(seq.__class__, PLAIN) is not None


@export("nest.flatten")
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a structure in a list.

    Args:
        structure: a structure, or a leaf.
        expand_composites: whether composite tensors are taken apart too.
    Raises:
        TypeError: a mapping whose keys cannot be sorted.

    >>> tf.nest.flatten({"b": 2, "a": [1, (5,)]})
    [1, 5, 2]
    """
    forms = EXPANDED if expand_composites else PLAIN
    form = form_of(structure.__class__, forms)
    if form is None:
        return [structure]
    flat: list[Any] = []
    _gather(form.parts(structure), forms, flat)
    return flat


def _gather(parts: Sequence[Any], forms: Forms, flat: list[Any]) -> None:
    for part in parts:
        try:
            form = forms[part.__class__]
        except KeyError:
            form = form_of(part.__class__, forms)
        if form is None:
            flat.append(part)
        else:
            _gather(form.parts(part), forms, flat)


@export("nest.pack_sequence_as")
def pack_sequence_as(
    structure: Any, flat_sequence: Any, expand_composites: bool = False
) -> Any:
    """A structure like `structure` with the leaves of `flat_sequence`.

    Args:
        structure: a structure, or a leaf.
        flat_sequence: as many leaves.
        expand_composites: whether composite tensors are put together too.
    Raises:
        ValueError: not as many leaves. TypeError: `flat_sequence` is no sequence.

    >>> tf.nest.pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    if not is_nested(flat_sequence):
        raise TypeError(
            f"Attempted to pack value:\n  {flat_sequence!s}\ninto a structure, but found "
            f"incompatible type `{type(flat_sequence)}` instead."
        )
    forms = _forms(expand_composites)
    if form_of(structure.__class__, forms) is None:
        if len(flat_sequence) != 1:
            raise ValueError(
                f"The target structure is of type `{type(structure)}`\n  {structure!s}\n"
                f"However the input is a sequence ({type(flat_sequence)}) of length "
                f"{len(flat_sequence)}.\n  {flat_sequence}\nnest cannot guarantee that it is "
                "safe to map one to the other."
            )
        return flat_sequence[0]
    count = len(flatten(structure, expand_composites))
    if count != len(flat_sequence):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} atoms, but flat_sequence had "
            f"{len(flat_sequence)} items.  Structure: {structure}, "
            f"flat_sequence: {flat_sequence}."
        )
    return _packed(structure, (flat_sequence[i] for i in range(count)), forms)


def _packed(structure: Any, leaves: Iterator[Any], forms: Forms) -> Any:
    form = form_of(structure.__class__, forms)
    if form is None:
        return next(leaves)
    return form.build(
        structure, [_packed(part, leaves, forms) for part in form.parts(structure)]
    )


@export("nest.map_structure")
def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """A structure of the results of `func` on the leaves of one or more like structures.

    Args:
        func: called with one leaf of each structure.
        *structure: structures of one form; the result is like the first.
        check_types: (keyword) whether their types must agree (default True).
        expand_composites: (keyword) whether composite tensors are taken apart.
    Raises:
        TypeError: `func` cannot be called, or types differ.
        ValueError: no structure, or their forms differ.

    >>> tf.nest.map_structure(lambda x, y: x + y, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    check_types = kwargs.pop("check_types", True)
    expand = kwargs.pop("expand_composites", False)
    if kwargs:
        raise ValueError(
            "Only valid keyword arguments are `check_types` and `expand_composites`, not: "
            f"`{'`, `'.join(kwargs)}`"
        )
    first, *others = structure
    if not others:
        return _mapped(func, first, _forms(expand))
    for other in others:
        assert_same_structure(first, other, check_types, expand)
    columns = zip(*(flatten(one, expand) for one in structure), strict=True)
    return _packed(first, (func(*leaves) for leaves in columns), _forms(expand))


def _mapped(func: Callable[[Any], Any], structure: Any, forms: Forms) -> Any:
    form = form_of(structure.__class__, forms)
    if form is None:
        return func(structure)
    return form.build(structure, [_mapped(func, part, forms) for part in form.parts(structure)])


class _Mismatch(Exception):
    """Where two structures differ; the first argument is the class of error to raise."""


@export("nest.assert_same_structure")
def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise unless two structures are alike.

    Args:
        nest1, nest2: structures.
        check_types: whether lists and tuples (and other types) are told apart, and the keys of
            mappings compared. Kinds of mappings are one type, and so are kinds of lists.
        expand_composites: whether composite tensors are compared too.
    Raises:
        ValueError: another form. TypeError: another type.
    """
    try:
        _compare(nest1, nest2, check_types, _forms(expand_composites))
    except _Mismatch as mismatch:
        kind, reason = mismatch.args
    else:
        return
    raise kind(
        "The two structures don't have the same nested structure.\n\n"
        f"First structure: {_described(nest1)}\n\nSecond structure: {_described(nest2)}\n\n"
        f"More specifically: {reason}\n"
        f"Entire first structure:\n{_mapped(_dot, nest1, PLAIN)}\n"
        f"Entire second structure:\n{_mapped(_dot, nest2, PLAIN)}"
    )


def _compare(a: Any, b: Any, check_types: bool, forms: Forms) -> None:
    first, second = form_of(a.__class__, forms), form_of(b.__class__, forms)
    if first is None or second is None:
        if first is not second:
            yes, no = (b, a) if first is None else (a, b)
            raise _Mismatch(
                ValueError,
                f'Substructure "{_described(yes)}" is a sequence, while substructure '
                f'"{_described(no)}" is not',
            )
        return
    if forms is EXPANDED and _compare_composites(a, b):
        return
    if check_types:
        _compare_types(a, b)
    parts, others = first.parts(a), second.parts(b)
    if len(parts) != len(others):
        raise _Mismatch(
            ValueError,
            "The two structures don't have the same number of elements. First structure: "
            f"{_described(a)}. Second structure: {_described(b)}",
        )
    for part, other in zip(parts, others, strict=True):
        _compare(part, other, check_types, forms)


def _compare_types(a: Any, b: Any) -> None:
    kinds = a.__class__, b.__class__
    if all(issubclass(kind, collections.abc.Mapping) for kind in kinds):
        if sorted(a) != sorted(b):
            raise _Mismatch(
                ValueError,
                "The two dictionaries don't have the same set of keys. First structure has "
                f"keys {_described(list(a))}, while second structure has keys "
                f"{_described(list(b))}",
            )
    elif not _same_type(*kinds):
        raise _Mismatch(
            TypeError,
            "The two namedtuples don't have the same sequence type. First structure "
            f"{_described(a)} has type {kinds[0].__name__}, while second structure "
            f"{_described(b)} has type {kinds[1].__name__}",
        )


def _same_type(one: type, other: type) -> bool:
    if one is other or (issubclass(one, list) and issubclass(other, list)):
        return True
    if hasattr(one, "_fields") and hasattr(other, "_fields"):
        return one.__name__ == other.__name__ and one._fields == other._fields
    return False


def _compare_composites(a: Any, b: Any) -> bool:
    """Whether two composite tensors (or their specs) were compared; a mismatch raises."""
    specs = [getattr(x, "_type_spec", x) for x in (a, b)]
    if not all(hasattr(spec, "_component_specs") for spec in specs):
        return False
    if specs[0].most_specific_common_supertype([specs[1]]) is None:
        described = " vs. ".join(map(_described, specs))
        raise _Mismatch(ValueError, f"Incompatible CompositeTensor TypeSpecs: {described}")
    return True


def _described(value: Any) -> str:
    return f"type={type(value).__name__} str={value!s}"


class _Dot:
    """Stands for a leaf where a structure is shown."""

    def __repr__(self) -> str:
        return "."


def _dot(leaf: Any) -> _Dot:
    return _Dot()


def flatten_up_to(shallow: Any, deep: Any, check_types: bool = True) -> list[Any]:
    """The parts of `deep` at the places of the leaves of `shallow`.

    Raises:
        TypeError: another type (unless not `check_types`), or a leaf in place of a structure.
        ValueError: another length, or other keys.
    """
    flat: list[Any] = []
    _gather_up_to(shallow, deep, check_types, flat)
    return flat


def _gather_up_to(shallow: Any, deep: Any, check_types: bool, flat: list[Any]) -> None:
    form = form_of(shallow.__class__, PLAIN)
    if form is None:
        flat.append(deep)
        return
    other = form_of(deep.__class__, PLAIN)
    if other is None:
        raise TypeError(
            "If shallow structure is a sequence, input must also be a sequence. Input has "
            f"type: {type(deep)}."
        )
    mappings = isinstance(shallow, collections.abc.Mapping) and isinstance(
        deep, collections.abc.Mapping
    )
    if check_types and not mappings and not _same_type(type(shallow), type(deep)):
        raise TypeError(
            "The two structures don't have the same sequence type. Input structure has type "
            f"{type(deep)}, while shallow structure has type {type(shallow)}."
        )
    parts, others = form.parts(shallow), other.parts(deep)
    if len(parts) != len(others):
        raise ValueError(
            "The two structures don't have the same sequence length. Input structure has "
            f"length {len(others)}, while shallow structure has length {len(parts)}."
        )
    if mappings and (missing := [key for key in shallow if key not in deep]):
        raise ValueError(
            "The shallow_tree's keys are not a subset of the input_tree's keys. The "
            "shallow_tree has the following keys that are not in the input_tree: "
            f"{missing}."
        )
    for part, below in zip(parts, others, strict=True):
        _gather_up_to(part, below, check_types, flat)


def map_structure_up_to(
    shallow: Any, func: Callable[..., Any], *inputs: Any, check_types: bool = True
) -> Any:
    """`map_structure` in which the leaves of `shallow` decide where to stop.

    Raises:
        ValueError: no input, or one that is not as deep as `shallow`.
    """
    if not inputs:
        raise ValueError("Cannot map over no sequences")
    flat = [flatten_up_to(shallow, tree, check_types) for tree in inputs]
    return _packed(shallow, (func(*leaves) for leaves in zip(*flat, strict=True)), PLAIN)


def flatten_with_paths(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves with the keys, fields and positions that lead to each.

    `flatten_with_paths({"a": [7]})` is `[(("a", 0), 7)]`.
    """
    form = form_of(structure.__class__, PLAIN)
    if form is None:
        return [((), structure)]
    return [
        ((key, *path), leaf)
        for key, part in zip(form.keys(structure), form.parts(structure), strict=True)
        for path, leaf in flatten_with_paths(part)
    ]
