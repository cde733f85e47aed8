"""Where code stands: `tf.name_scope`, `tf.init_scope`, `tf.executing_eagerly`.

All three read and write this thread's `core.context.state`; `tf.device` and what `tf.config`
says about devices stand in `core/devices.py`.
"""

from __future__ import annotations

from typing import Any

from headrace.base.export import export
from headrace.core.context import state


@export("name_scope")
class name_scope:
    """Context manager: the names of variables made inside begin with the scope's.

    In a graph, the operations' names begin with it as well, and a name that is taken gets a
    number.

    Args:
        name: the scope's name, below the scope that is open already; with a `/` at its end it
            stands by itself, and an empty one leaves all scopes.
    Raises:
        ValueError: the name is no string.

    >>> with tf.name_scope("encoder"):
    ...     w = tf.Variable(1., name="w")
    >>> w.name
    'encoder/w:0'
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ValueError("name for name_scope must be a string.")
        self._name = name
        self._saved: list[tuple[str, ...]] = []

    @property
    def name(self) -> str:
        """The name that the scope was made with."""
        return self._name

    def __enter__(self) -> str:
        self._saved.append(state.scopes)
        name = self._name
        if not name:
            state.scopes = ()
        elif name.endswith("/"):
            state.scopes = (name[:-1],)
        elif (
            state.graph is not None
        ):  # there, a scope that is opened anew has a name of its own
            state.scopes = (state.graph.names.unique("/".join((*state.scopes, name))),)
        else:
            state.scopes = (*state.scopes, name)
        return "".join(f"{part}/" for part in state.scopes)

    def __exit__(self, *exc: object) -> None:
        state.scopes = self._saved.pop()


@export("get_current_name_scope")
def get_current_name_scope() -> str:
    """The full name of the name scope that is open; empty if none is.

    >>> with tf.name_scope("outer"), tf.name_scope("inner"):
    ...     tf.get_current_name_scope()
    'outer/inner'
    """
    return "/".join(state.scopes)


@export("init_scope")
class init_scope:
    """Context manager that steps out of the graph that is being built, and out of all tapes.

    What is made inside (variables, above all) is made eagerly, once.

    >>> with tf.init_scope():
    ...     tf.executing_eagerly()
    True
    """

    def __enter__(self) -> None:
        self._saved = state.graph, state.recorders
        state.graph, state.recorders = None, ()

    def __exit__(self, *exc: object) -> None:
        state.graph, state.recorders = self._saved


@export("executing_eagerly")
def executing_eagerly() -> bool:
    """Whether ops run at once; False while the graph of a `tf.function` is built.

    >>> tf.executing_eagerly()
    True
    """
    return state.graph is None


__all__: list[Any] = ["executing_eagerly", "get_current_name_scope", "init_scope", "name_scope"]
