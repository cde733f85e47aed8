"""The one thread-local object of Headrace, and the one list that says if anybody listens.

`modes` is empty while no thread records or builds anything: an eager op then goes straight to
its kernel after one truth test. Every tape, forward accumulator or graph that is entered adds
itself to `modes` (for all threads) and to its own thread's `state`; a thread that finds `modes`
non-empty looks at its `state` to see if it is the one concerned.
"""

from __future__ import annotations

import threading
from typing import Any

modes: list[object] = []


class State(threading.local):
    """What the current thread is doing; the defaults are what a fresh thread sees."""

    graph: Any = None
    recorders: tuple[Any, ...] = ()
    devices: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


state = State()


def push_recorder(recorder: object) -> None:
    """Let `recorder.record(op, inputs, outputs, attrs)` see this thread's ops from now on."""
    state.recorders = (*state.recorders, recorder)
    modes.append(recorder)


def pop_recorder(recorder: object) -> None:
    """Undo `push_recorder`."""
    state.recorders = tuple(r for r in state.recorders if r is not recorder)
    _leave(recorder)


def enter_graph(graph: object) -> object:
    """Make `graph` the one that this thread's ops are added to; returns the previous one."""
    previous, state.graph = state.graph, graph
    modes.append(graph)
    return previous


def leave_graph(graph: object, previous: object) -> None:
    """Undo `enter_graph`."""
    state.graph = previous
    _leave(graph)


def _leave(mode: object) -> None:
    for position, entry in enumerate(modes):
        if entry is mode:
            del modes[position]
            return


class without_recording:
    """Context manager: ops inside are seen by no tape or accumulator of this thread."""

    __slots__ = ("saved",)

    def __enter__(self) -> None:
        self.saved = state.recorders
        state.recorders = ()

    def __exit__(self, *exc: object) -> None:
        state.recorders = self.saved


DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"
