"""When a program becomes native code: its first calls run node by node, then it is compiled.

A program whose inputs have unknown dimensions is compiled for the shapes that come, a bounded
number of them. `HEADRACE_COMPILE` says when: never, always at once, or once it is warm, which
is then done by a thread in the background while calls go on node by node.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from headrace.base import flags
from headrace.base.dtypes import HANDLES
from headrace.compile.cluster.bodies import told
from headrace.compile.cluster.call import Immediate, compiled, direct, immediate
from headrace.compile.optimize import optimized
from headrace.compile.passes.program import Program, static
from headrace.compile.run.later import compile_later
from headrace.compile.run.plan import Plan
from headrace.core.op import Spec

WARM = 3
"""The call at which a program is compiled."""
SHAPES = 64
"""So many shapes of its arguments a program is kept compiled for."""

logger = logging.getLogger("headrace")


class Tiers:
    """Runs a program, by and by faster: `tiers.run(arrays)`.

    Args:
        program: after the passes.
        at_once: whether it is compiled before its first call.

    Attributes:
        open: the places of the inputs whose shape is not known.
        by_shape: what runs the program for single shapes of these.
        native: the program with native code in it, once it is compiled.
    """

    def __init__(self, program: Program, at_once: bool) -> None:
        self.program = program
        self.name = program.name
        self._at_once = at_once
        self._lock = threading.Lock()
        self.open = [
            place
            for place, value in enumerate(program.inputs)
            if value.spec.dtype not in HANDLES and static(value.spec) is None
        ]
        self.plan = Plan(program)
        self.calls = 0
        self.by_shape: OrderedDict[Any, Tiers] = OrderedDict()
        self.native: Program | None = None
        self.run: Callable[[Sequence[Any]], Sequence[Any]] = self._first
        if flags.COMPILE.value == "never" or not program.nodes:
            self.run = self.plan
        elif self.open:
            self.run = self._by_shape

    def _first(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The first calls."""
        self.calls += 1
        if flags.COMPILE.value == "always":
            self.compile()
            return self.run(arrays)
        if self._at_once:
            self._try()
            return self.run(arrays)
        if self.calls == WARM:
            compile_later(self._try)
        return self.plan(arrays)

    def _try(self) -> None:
        """Compile; if that fails, which is a mistake of the compiler, the kernels go on."""
        try:
            self.compile()
        except Exception:
            logger.exception("%s can't be compiled; it runs node by node.", self.name)
            self.run = self.plan

    def compile(self) -> None:
        """Run the program as native code from now on."""
        with self._lock:
            if self.native is None:
                self.native = compiled(self.program)
                self.run = direct(self.native) or Plan(self.native)

    def immediate(self, captured: Sequence[Any]) -> Immediate | None:
        """The shortest way to call the native code, if the last inputs are always these."""
        return None if self.native is None else immediate(self.native, captured)

    def _by_shape(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """Calls of a program that depends on the shapes of its arguments."""
        key = tuple([arrays[place].shape for place in self.open])
        found = self.by_shape.get(key)
        if found is None:
            with self._lock:
                found = self.by_shape.get(key) or self._specialised(arrays)
                self.by_shape[key] = found
                while len(self.by_shape) > SHAPES:
                    self.by_shape.popitem(last=False)
        return found.run(arrays)

    def _specialised(self, arrays: Sequence[Any]) -> Tiers:
        """What runs the program for arguments of these shapes."""
        specs = [value.spec for value in self.program.inputs]
        for place in self.open:
            specs[place] = Spec(arrays[place].shape, specs[place].dtype)
        found = Tiers(optimized(told(self.program, specs)), self._at_once)
        if found.open:  # shapes that contradict what was promised: the kernels say so
            found.run = self.plan
        return found
