"""`tf.Module`: an object that finds the variables and modules in its attributes.

Nothing is registered when an attribute is set: whoever asks for `variables` gets what is there
now, in the order of the attributes' names, a module's own before those of its parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from headrace.base import nest
from headrace.base.export import export
from headrace.core.scopes import name_scope
from headrace.core.variable import Variable

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<!^)(?=[A-Z][a-z])")


@export("Module")
class Module:
    """Base class of things that hold variables.

    Args:
        name: a Python identifier; by default the class's name in snake case.
    Raises:
        ValueError: a name that is no identifier.

    >>> class Dense(tf.Module):
    ...     def __init__(self, n, m, name=None):
    ...         super().__init__(name=name)
    ...         self.w = tf.Variable(tf.ones([n, m]), name="w")
    >>> [v.shape for v in Dense(2, 3).trainable_variables]
    [TensorShape([2, 3])]
    """

    _TF_MODULE_IGNORED_PROPERTIES: frozenset[str] = frozenset()

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = "_".join(_WORDS.split(type(self).__name__)).lower()
        elif not name.isidentifier():
            raise ValueError(
                f"{name!r} is not a valid module name. Module names must be valid Python "
                "identifiers (e.g. a valid class name)."
            )
        self._name = name
        with name_scope(name) as scope:
            self._scope_name = scope

    @property
    def name(self) -> str:
        """The name that the module was made with."""
        return self._name

    @property
    def name_scope(self) -> name_scope:
        """The scope in which `with_name_scope` runs methods."""
        return name_scope(self._scope_name)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables of the module and its parts, each once."""
        return tuple(self._flatten(predicate=_is_variable))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """The variables that tapes watch by themselves."""
        return tuple(self._flatten(predicate=_is_trainable))

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        """The other variables."""
        return tuple(self._flatten(predicate=_is_fixed))

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All modules inside, parts of parts included."""
        return tuple(self._flatten(predicate=_is_module))

    def _flatten(
        self,
        recursive: bool = True,
        predicate: Callable[[Any], bool] | None = None,
        attribute_traversal_key: Callable[[str], Any] | None = None,
        with_path: bool = False,
        expand_composites: bool = False,
    ) -> Iterator[Any]:
        """All objects in the attributes for which `predicate` holds, each once.

        Args:
            recursive: whether to look into modules that are found.
            predicate: which objects to give (default: all).
            attribute_traversal_key: the order of attributes (default: by name).
            with_path: whether to give `(path, object)`, the path a tuple of names and indices.
            expand_composites: whether structures like `tf.IndexedSlices` are taken apart.
        """
        wanted = predicate or (lambda _: True)
        found = _found(self, recursive, wanted, attribute_traversal_key, expand_composites)
        return (entry if with_path else entry[1] for entry in found)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: variables that the method makes are named after the module.

        >>> class Late(tf.Module):
        ...     @tf.Module.with_name_scope
        ...     def __call__(self):
        ...         return tf.Variable(1., name="v").name
        >>> Late()()
        'late/v:0'
        """

        @functools.wraps(method)
        def scoped(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped


def _found(
    module: Any,
    recursive: bool,
    wanted: Callable[[Any], bool],
    order: Callable[[str], Any] | None,
    expand: bool,
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    seen = {id(module)}
    queue: list[tuple[tuple[Any, ...], Any]] = [((), module)]
    while queue:
        prefix, current = queue.pop(0)
        parts = []
        for key in sorted(vars(current), key=order):
            if key in current._TF_MODULE_IGNORED_PROPERTIES:
                continue
            for path, leaf in _leaves(vars(current)[key], (*prefix, key), expand):
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
                if wanted(leaf):
                    yield path, leaf
                if recursive and isinstance(leaf, Module):
                    parts.append((path, leaf))
        queue = parts + queue


def _leaves(
    value: Any, path: tuple[Any, ...], expand: bool
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Lists, tuples and dictionaries taken apart."""
    if isinstance(value, dict):
        items: Any = sorted(value.items()) if _sortable(value) else value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        leaves = nest.flatten(value, expand_composites=True) if expand else [value]
        yield from ((path, leaf) for leaf in leaves)
        return
    for key, item in items:
        yield from _leaves(item, (*path, key), expand)


def _sortable(mapping: dict[Any, Any]) -> bool:
    return all(isinstance(key, str) for key in mapping)


def _is_variable(value: Any) -> bool:
    return isinstance(value, Variable)


def _is_trainable(value: Any) -> bool:
    return isinstance(value, Variable) and value.trainable


def _is_fixed(value: Any) -> bool:
    return isinstance(value, Variable) and not value.trainable


def _is_module(value: Any) -> bool:
    return isinstance(value, Module)
