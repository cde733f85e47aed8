"""From objects to plain dictionaries and back.

A custom class or function is found by its name: in the dictionary a call brings, in the scopes
that are open, or among what `@register_keras_serializable` has entered. Keras' own objects are
found by class name in the table of their module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.base.export import export

_CUSTOM: dict[str, Any] = {}
_REGISTERED: dict[Any, str] = {}


@export("keras.utils.get_custom_objects", "keras.saving.get_custom_objects")
def get_custom_objects() -> dict[str, Any]:
    """The dictionary of custom objects by name; entries put into it are found when loading."""
    return _CUSTOM


@export(
    "keras.utils.custom_object_scope",
    "keras.utils.CustomObjectScope",
    "keras.saving.custom_object_scope",
)
class custom_object_scope:
    """Context manager: custom objects that are found by name inside.

    Args:
        args: dictionaries from names to classes or functions.

    >>> with keras.utils.custom_object_scope({"double": lambda x: 2 * x}):
    ...     f = keras.activations.get("double")
    >>> f(3)
    6
    """

    def __init__(self, *args: dict[str, Any]) -> None:
        self._objects = {name: value for part in args for name, value in part.items()}

    def __enter__(self) -> custom_object_scope:
        self._saved = dict(_CUSTOM)
        _CUSTOM.update(self._objects)
        return self

    def __exit__(self, *exc: object) -> None:
        _CUSTOM.clear()
        _CUSTOM.update(self._saved)


@export("keras.utils.register_keras_serializable", "keras.saving.register_keras_serializable")
def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorator: a class or function that can be loaded by the name `package>name`.

    Args:
        package: its namespace.
        name: its name there (default: its own).
    Raises:
        ValueError: a class without `get_config`, or a name that is taken.
    """

    def register(thing: Any) -> Any:
        full = f"{package}>{thing.__name__ if name is None else name}"
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method."
            )
        _CUSTOM[full] = thing
        _REGISTERED[thing] = full
        return thing

    return register


@export("keras.utils.get_registered_name", "keras.saving.get_registered_name")
def get_registered_name(obj: Any) -> str:
    """The name under which a class or function was registered, or its own."""
    return _REGISTERED.get(obj, obj.__name__)


@export("keras.utils.get_registered_object", "keras.saving.get_registered_object")
def get_registered_object(
    name: str,
    custom_objects: dict[str, Any] | None = None,
    module_objects: dict[str, Any] | None = None,
) -> Any:
    """The class or function registered under a name, or None."""
    for table in (_CUSTOM, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None


@export("keras.utils.serialize_keras_object", "keras.saving.serialize_keras_object")
def serialize_keras_object(obj: Any) -> Any:
    """An object as a dictionary (`module`, `class_name`, `config`, `registered_name`).

    A function is its name; None stays None.
    """
    if obj is None:
        return None
    if not hasattr(obj, "get_config"):
        if hasattr(obj, "__name__"):
            return get_registered_name(obj)
        raise ValueError(f"Cannot serialize {obj!r}: it has no get_config().")
    kind = type(obj)
    own = kind.__module__.startswith("headrace.")
    return {
        "module": _public_module(kind) if own else None,
        "class_name": kind.__name__,
        "config": obj.get_config(),
        "registered_name": None if own else get_registered_name(kind),
    }


def _public_module(kind: type) -> str:
    return getattr(kind, "keras_module", "keras." + kind.__module__.split(".")[2])


def deserialize(
    identifier: Any,
    table: dict[str, Any],
    custom_objects: dict[str, Any] | None,
    what: str,
) -> Any:
    """The object that a dictionary, or a function's or class's name, stands for.

    Args:
        identifier: what `serialize_keras_object` gave (older forms too).
        table: Keras' own objects of this sort by name.
        custom_objects: further objects by name.
        what: what it is called in errors ("activation function").
    Raises:
        ValueError: nobody knows the name.
    """
    if isinstance(identifier, dict):
        name, config = identifier["class_name"], identifier.get("config", {})
        known = identifier.get("registered_name") or name
        cls = _find(known, table, custom_objects) or _find(name, table, custom_objects)
        if cls is None:
            raise ValueError(
                f"Unknown {what}: '{name}'. Please ensure you are using a "
                "`keras.utils.custom_object_scope` and that this object is included in the "
                "scope."
            )
        if isinstance(config, str) or not hasattr(cls, "from_config"):
            return cls
        with custom_object_scope(custom_objects or {}):
            return cls.from_config(config)
    found = _find(identifier, table, custom_objects)
    if found is None:
        raise ValueError(
            f"Unknown {what}: '{identifier}'. Please ensure you are using a "
            "`keras.utils.custom_object_scope` and that this object is included in the scope."
        )
    return found() if isinstance(found, type) else found


def interpret(
    identifier: Any, deserialize: Callable[[Any], Any], what: str, instances: bool = True
) -> Any:
    """What users give for an object of a sort: a name, a dictionary, an object, a function.

    Args:
        identifier: one of these, or None, which stays None.
        deserialize: what reads names and dictionaries.
        what: what it is called in errors.
        instances: whether a class stands for an object made without arguments.
    Raises:
        ValueError: an unknown name, or none of these.
    """
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier() if instances and isinstance(identifier, type) else identifier
    raise ValueError(f"Could not interpret {what} identifier: {identifier}")


def _find(name: str, table: dict[str, Any], custom: dict[str, Any] | None) -> Any:
    for place in (custom or {}, _CUSTOM, table):
        if name in place:
            return place[name]
    return None
