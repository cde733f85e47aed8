"""What the layers that are being called right now know of each other."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import headrace as tf

user_code = tf.__internal__.autograph.user_code
"""What users wrote (a layer's `call`, a loss function), as a graph needs it."""


class CallContext(threading.local):
    """The chain of calls in this thread: its training mode, the scope of new names, the name
    scope in which it began, and the layers that have added losses in it."""

    depth: int = 0
    training: Any = None
    scope: str = ""
    around: str = ""
    holders: list[Any] = []


context = CallContext()


def graph_scope(name: str) -> Any:
    """Context manager: the names of operations made inside begin with `name`, in a graph."""
    return _NOTHING if tf.executing_eagerly() else tf.name_scope(name)


def around_calls() -> Any:
    """Context manager: out of tapes, the graph and layers' scopes, where variables are made."""
    return tf.init_scope() if tf.executing_eagerly() else _Around()


class _Around:
    """Steps out of the graph, and into the name scope around the outermost layer."""

    def __enter__(self) -> None:
        around = context.around if context.depth else tf.get_current_name_scope()
        self._scopes = (tf.init_scope(), tf.name_scope(around and f"{around}/"))
        for scope in self._scopes:
            scope.__enter__()

    def __exit__(self, *exc: object) -> None:
        for scope in reversed(self._scopes):
            scope.__exit__(*exc)


_NOTHING = contextlib.nullcontext()
