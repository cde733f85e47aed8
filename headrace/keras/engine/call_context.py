"""What the layers that are being called right now know of each other."""

from __future__ import annotations

import threading
from typing import Any

import headrace as tf

user_code = tf.__internal__.autograph.user_code
"""What users wrote (a layer's `call`, a loss function), as a graph needs it."""


class CallContext(threading.local):
    """The chain of calls in this thread: its training mode, the scope of new names,
    and the layers that have added losses in it."""

    depth: int = 0
    training: Any = None
    scope: str = ""
    holders: list[Any] = []


context = CallContext()
