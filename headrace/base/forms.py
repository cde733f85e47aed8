"""How structures are taken apart and put together: what `base/nest.py` walks over.

A structure is a list, tuple, namedtuple, dict or other mapping, another sequence, an attrs
class or a class with `__tf_flatten__`; anything else is a leaf. Where composite tensors are
expanded, these are structures too: an object with `_type_spec`, whose spec has
`_to_components(value)` and `_from_components(parts)`, and such a spec itself, which has
`_component_specs`. The form of a class is found once and looked up ever after.
"""

from __future__ import annotations

import collections
import collections.abc
from collections.abc import Callable, Sequence
from typing import Any


class Form:
    """How the structures of a class are taken apart and put together again.

    `parts(structure)` is the sequence of its parts, `build(structure, parts)` a structure like
    it of other parts, `keys(structure)` what the parts are called.
    """

    __slots__ = ("parts", "build", "keys")

    def __init__(
        self,
        parts: Callable[[Any], Sequence[Any]],
        build: Callable[[Any, list[Any]], Any],
        keys: Callable[[Any], Sequence[Any]] | None = None,
    ) -> None:
        self.parts, self.build = parts, build
        self.keys = keys or (lambda structure: range(len(parts(structure))))


Forms = dict[type, Form | None]
PLAIN: Forms = {}
"""The form of each class met so far; None if its objects are leaves."""
EXPANDED: Forms = {}
"""The same where composite tensors are expanded."""


def form_of(kind: type, forms: Forms) -> Form | None:
    """The form of a class; None if its objects are leaves."""
    try:
        return forms[kind]
    except KeyError:
        form = _findform_of(kind)
        if form is None and forms is EXPANDED:
            form = _find_composite(kind)
        forms[kind] = form
        return form


def _findform_of(kind: type) -> Form | None:
    if kind is list:
        return Form(_itself, lambda structure, parts: parts)
    if kind is tuple:
        return Form(_itself, lambda structure, parts: tuple(parts))
    if hasattr(kind, "__tf_flatten__"):
        return Form(lambda record: record.__tf_flatten__()[1], _build_record)
    if issubclass(kind, collections.abc.Mapping):
        return Form(
            lambda mapping: [mapping[k] for k in sorted(mapping)], _build_mapping, sorted
        )
    if hasattr(kind, "__attrs_attrs__"):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
        return Form(
            lambda record: [getattr(record, name) for name in names],
            lambda record, parts: kind(*parts),
            lambda record: names,
        )
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        names = list(kind._fields)
        return Form(_itself, lambda record, parts: kind(*parts), lambda record: names)
    if issubclass(kind, (collections.abc.MappingView, range)):
        return Form(list, lambda structure, parts: parts)
    if issubclass(kind, collections.abc.Sequence) and not issubclass(kind, (str, bytes)):
        build: Callable[..., Any] = kind
        return Form(_itself, lambda structure, parts: build(parts))
    return None


def _find_composite(kind: type) -> Form | None:
    if hasattr(kind, "_type_spec"):
        return Form(
            lambda value: [value._type_spec._to_components(value)],
            lambda value, parts: value._type_spec._from_components(*parts),
        )
    if hasattr(kind, "_component_specs"):
        return Form(
            lambda spec: [spec._component_specs],
            lambda spec, parts: spec._from_components(*parts),
        )
    return None


def _itself(structure: Sequence[Any]) -> Sequence[Any]:
    return structure


def _build_record(record: Any, parts: list[Any]) -> Any:
    return type(record).__tf_unflatten__(record.__tf_flatten__()[0], tuple(parts))


def _build_mapping(mapping: Any, parts: list[Any]) -> Any:
    """A mapping of the same class whose keys have the same order."""
    kind = type(mapping)
    values = dict(zip(sorted(mapping), parts, strict=True))
    if kind is dict:
        return {key: values[key] for key in mapping}
    if not isinstance(mapping, collections.abc.MutableMapping):
        return _build_frozen(mapping, values)
    if isinstance(mapping, collections.defaultdict):
        result: Any = kind(mapping.default_factory)
    else:
        result = kind()
    for key in mapping:
        result[key] = values[key]
    return result


def _build_frozen(mapping: Any, values: dict[Any, Any]) -> Any:
    try:
        return type(mapping)((key, values[key]) for key in mapping)
    except TypeError as error:
        raise TypeError(
            f"Error creating an object of type {type(mapping)} like {mapping}. Note that it "
            "must accept a single positional argument representing an iterable of key-value "
            f"pairs, in addition to self. Cause: {error}"
        ) from None
