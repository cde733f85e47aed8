"""Nested structures: `tf.nest`.

A structure is a list, tuple, namedtuple, dict or other mapping, dataclass or attrs class, of
structures or of leaves. Mappings are walked in the order of their sorted keys.
"""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable, Iterator
from typing import Any

from headrace.base.export import export

_LEAVES = (str, bytes, bytearray)


@export("nest.is_nested")
def is_nested(structure: Any) -> bool:
    """Whether `structure` is a structure and not a leaf.

    >>> tf.nest.is_nested([1, 2]), tf.nest.is_nested("text")
    (True, False)
    """
    return _children(structure) is not None


def _children(structure: Any) -> list[tuple[Any, Any]] | None:
    """The `(key, part)` pairs of a structure; None for a leaf."""
    kind = structure.__class__
    try:
        walk = _WALKS[kind]
    except KeyError:
        walk = _WALKS[kind] = _walk_of(kind)
    return None if walk is None else walk(structure)


Walk = Callable[[Any], list[tuple[Any, Any]]]


def _walk_of(kind: type) -> Walk | None:
    """How structures of a class are taken apart; None if its objects are leaves."""
    if issubclass(kind, collections.abc.Mapping):
        return lambda mapping: [(key, mapping[key]) for key in _sorted(mapping)]
    if issubclass(kind, (list, tuple)):
        return lambda sequence: list(enumerate(sequence))
    if issubclass(kind, collections.abc.Sequence):
        leaf = issubclass(kind, (*_LEAVES, range, memoryview)) or hasattr(kind, "dtype")
        return None if leaf else lambda sequence: list(enumerate(sequence))
    if hasattr(kind, "__attrs_attrs__"):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
        return lambda record: [(name, getattr(record, name)) for name in names]
    if hasattr(kind, "__tf_flatten__"):
        return lambda record: list(enumerate(record.__tf_flatten__()[1]))
    return None


_WALKS: dict[type, Walk | None] = {}


def _sorted(mapping: Any) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError:
        raise TypeError(
            f"nest only supports dicts with sortable keys. Received: {list(mapping)}"
        ) from None


@export("nest.flatten")
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a structure in a list.

    Args:
        structure: a structure, or a leaf.
        expand_composites: whether composite tensors are taken apart too.

    >>> tf.nest.flatten({"b": 2, "a": [1, (5,)]})
    [1, 5, 2]
    """
    if structure.__class__ is list and not expand_composites:
        for part in structure:
            if _children(part) is not None:
                break
        else:
            return structure.copy()
    children = _children(structure)
    if children is None:
        if expand_composites and hasattr(structure, "_flatten_components"):
            return list(structure._flatten_components())
        return [structure]
    flat: list[Any] = []
    for _, part in children:
        flat.extend(flatten(part, expand_composites))
    return flat


@export("nest.pack_sequence_as")
def pack_sequence_as(
    structure: Any, flat_sequence: Any, expand_composites: bool = False
) -> Any:
    """A structure like `structure` with the leaves of `flat_sequence`.

    Raises:
        ValueError: not as many leaves.

    >>> tf.nest.pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    if not isinstance(flat_sequence, (list, tuple)):
        if is_nested(flat_sequence):
            flat_sequence = flatten(flat_sequence)
        else:
            raise TypeError(
                "Attempted to pack value:\n  "
                f"{flat_sequence}\ninto a structure, but found incompatible type `"
                f"{type(flat_sequence)}` instead."
            )
    if not is_nested(structure):
        if len(flat_sequence) != 1:
            raise ValueError(
                "The target structure is of type "
                f"`{type(structure)}`\n  {structure}\nHowever the input is a sequence "
                f"({type(flat_sequence)}) of length {len(flat_sequence)}.\n  {flat_sequence}\n"
                "nest cannot guarantee that it is safe to map one to the other."
            )
        return flat_sequence[0]
    count = len(flatten(structure))
    if count != len(flat_sequence):
        raise ValueError(
            "Could not pack sequence. Structure had "
            f"{count} atoms, but flat_sequence had {len(flat_sequence)} items.  Structure: "
            f"{structure}, flat_sequence: {flat_sequence}."
        )
    return _packed(structure, iter(flat_sequence))


def _packed(structure: Any, leaves: Iterator[Any]) -> Any:
    children = _children(structure)
    if children is None:
        return next(leaves)
    return _like(structure, {key: _packed(part, leaves) for key, part in children})


def _like(structure: Any, parts: dict[Any, Any]) -> Any:
    """A structure of the same type with other parts."""
    kind = type(structure)
    if isinstance(structure, collections.abc.Mapping):
        if isinstance(structure, collections.defaultdict):
            result = collections.defaultdict(structure.default_factory)
            result.update((key, parts[key]) for key in structure)
            return result
        ordered = [(key, parts[key]) for key in structure]
        return dict(ordered) if kind is dict else kind(ordered)
    if hasattr(kind, "_fields") and isinstance(structure, tuple):
        return kind(*parts.values())
    if hasattr(kind, "__attrs_attrs__"):
        return kind(*parts.values())
    if hasattr(kind, "__tf_flatten__"):
        return kind.__tf_unflatten__(structure.__tf_flatten__()[0], tuple(parts.values()))
    values = list(parts.values())
    return values if kind is list else kind(values)


@export("nest.assert_same_structure")
def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise unless two structures are alike.

    Args:
        nest1, nest2: structures.
        check_types: whether lists and tuples (and other types) are told apart.
    Raises:
        ValueError: another form. TypeError: another type.
    """
    try:
        _compare(nest1, nest2, check_types)
    except (ValueError, TypeError) as error:
        raise type(error)(
            f"{error}\nEntire first structure:\n{_shape(nest1)}\n"
            f"Entire second structure:\n{_shape(nest2)}"
        ) from None


def _compare(a: Any, b: Any, check_types: bool) -> None:
    first, second = _children(a), _children(b)
    heading = (
        "The two structures don't have the same nested structure.\n\n"
        f"First structure: type={type(a).__name__} str={a}\n\n"
        f"Second structure: type={type(b).__name__} str={b}\n\n"
    )
    if (first is None) != (second is None):
        yes, no = (b, a) if first is None else (a, b)
        raise ValueError(
            f'{heading}More specifically: Substructure "type={type(yes).__name__} str={yes}" is a '
            f'sequence, while substructure "type={type(no).__name__} str={no}" is not'
        )
    if first is None or second is None:
        return
    if check_types and not _same_type(a, b):
        raise TypeError(
            "The two structures don't have the same sequence type. Input structure has type "
            f"{type(a)}, while shallow structure has type {type(b)}."
        )
    if len(first) != len(second):
        raise ValueError(
            f"{heading}More specifically: The two structures don't have the same number of "
            f"elements. First structure: {a}. Second structure: {b}"
        )
    if isinstance(a, collections.abc.Mapping) and [k for k, _ in first] != [k for k, _ in second]:
        raise ValueError(
            f"The two dictionaries don't have the same set of keys. First structure has keys "
            f"{sorted(a)}, while second structure has keys {sorted(b)}"
        )
    for (_, x), (_, y) in zip(first, second, strict=True):
        _compare(x, y, check_types)


def _same_type(a: Any, b: Any) -> bool:
    mapping = collections.abc.Mapping
    if isinstance(a, mapping) and isinstance(b, mapping):
        return True
    if hasattr(type(a), "_fields") and hasattr(type(b), "_fields"):
        return type(a).__name__ == type(b).__name__ and type(a)._fields == type(b)._fields
    return type(a) is type(b)


def _shape(structure: Any) -> Any:
    """The structure with dots for leaves."""
    children = _children(structure)
    if children is None:
        return _Dot()
    return _like(structure, {key: _shape(part) for key, part in children})


class _Dot:
    def __repr__(self) -> str:
        return "."


@export("nest.map_structure")
def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """A structure of the results of `func` on the leaves of one or more like structures.

    Args:
        func: called with one leaf of each structure.
        structure: structures of one form.
        check_types: (keyword) whether their types must agree (default True).
        expand_composites: (keyword) whether composite tensors are taken apart.
    Raises:
        TypeError: func cannot be called. ValueError: no structure, or other forms.

    >>> tf.nest.map_structure(lambda x, y: x + y, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    check_types = kwargs.pop("check_types", True)
    expand = kwargs.pop("expand_composites", False)
    if kwargs:
        raise ValueError(
            "Only valid keyword arguments are `check_types` and `expand_composites`, not: "
            f"`{'`, `'.join(kwargs)}`"
        )
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types)
    flat = [flatten(s, expand) for s in structure]
    return pack_sequence_as(structure[0], [func(*x) for x in zip(*flat, strict=True)])


def map_structure_up_to(shallow: Any, func: Callable[..., Any], *inputs: Any) -> Any:
    """`map_structure` in which the leaves of `shallow` decide where to stop."""
    flat = [flatten_up_to(shallow, tree) for tree in inputs]
    return pack_sequence_as(shallow, [func(*x) for x in zip(*flat, strict=True)])


def flatten_up_to(shallow: Any, deep: Any) -> list[Any]:
    """The parts of `deep` at the places of the leaves of `shallow`."""
    children = _children(shallow)
    if children is None:
        return [deep]
    parts = dict(_children(deep) or ())
    if len(parts) != len(children):
        raise ValueError(
            f"The two structures don't have the same sequence length. Input structure has length "
            f"{len(parts)}, while shallow structure has length {len(children)}."
        )
    return [leaf for key, part in children for leaf in flatten_up_to(part, parts[key])]
