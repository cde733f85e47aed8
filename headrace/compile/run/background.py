"""Work in the background: one thread, started when there is something to do."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger("headrace")


class _Background:
    """A queue of work and the thread that does it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._idle = threading.Condition(self._lock)

    def add(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._waiting += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="headrace-compile", daemon=True
                )
                self._thread.start()
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # the calls go on without it; that it failed must not pass unseen
                logger.exception("Work in the background failed.")
            with self._lock:
                self._waiting -= 1
                self._idle.notify_all()

    def wait(self) -> None:
        """Wait until everything is done."""
        with self._lock:
            self._idle.wait_for(lambda: self._waiting == 0)

    def stop(self) -> None:
        """End the thread after the work in hand; what waits is dropped."""
        thread = self._thread
        while not self._work.empty():
            self._work.get()
        self._work.put(None)
        if thread is not None:
            thread.join(timeout=10)

    def forget(self) -> None:
        """In a child process there is no thread."""
        self.__init__()  # type: ignore[misc]


_background = _Background()
later = _background.add
"""Do something in the background."""
wait = _background.wait
"""Wait until the background is idle."""
atexit.register(_background.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_background.forget)
