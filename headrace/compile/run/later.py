"""Compilation in the background: one thread that does one thing after another.

LLVM works without the interpreter's lock, so that what is compiled there hardly slows what
runs meanwhile. What has not begun when the interpreter ends, or in the child of a fork, is
never done; what has begun is waited for, because LLVM may not be left while it works.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Later:
    """A queue of work, and its thread while there is some."""

    def __init__(self) -> None:
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._changed = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Do `work` some time soon; it is cancelled where the interpreter ends."""
        found: Future[T] = Future()
        with self._changed:
            if self._ended:
                found.cancel()
                return found
            self._work.append((found, work))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="headrace compiler", daemon=True
                )
                self._thread.start()
        return found

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._work:
                    self._thread = None
                    return
                future, work = self._work.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:  # it belongs to whoever asks for the result
                    future.set_exception(error)
            del future, work

    def end(self) -> None:
        """Cancel what has not begun, and wait for what has."""
        with self._changed:
            self._ended = True
            waiting, thread = [future for future, _ in self._work], self._thread
            self._work.clear()
        for future in waiting:
            future.cancel()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def forget(self) -> None:
        """In the child of a fork the thread is gone, and with it what it was to do."""
        self._changed = threading.Lock()
        waiting = [future for future, _ in self._work]
        self._work.clear()
        self._thread = None
        for future in waiting:
            future.cancel()


LATER = Later()
atexit.register(LATER.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LATER.forget)


def compile_later(work: Callable[[], T]) -> Future[T]:
    """Do `work` in the background.

    Returns:
        What it will give. It is cancelled if the interpreter ends before it begins.
    """
    return LATER.submit(work)
