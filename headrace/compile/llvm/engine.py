"""LLVM text becomes machine code in this process, once per text and processor.

LLVM is not asked to do two things at once: one lock stands around it (it releases the
interpreter's own while it works, so that `compile_later` overlaps what Python does). Code is
kept in memory by key, the least recently used dropped when there is too much, and on disk
(`run/cache.py`): an object file holds no address. `HEADRACE_LOG=compile` reports each program,
`HEADRACE_DUMP=llvm,asm` prints its text and its machine code.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from headrace.base import flags
from headrace.base.lazy import lazy_module
from headrace.compile.llvm import cpu, link
from headrace.compile.llvm.abi import ENTRY
from headrace.compile.run import cache

llvm = lazy_module("llvmlite.binding")
logger = logging.getLogger("headrace")

KEPT = 2048
LINKED = 256
"""A linker keeps 9 KB of each program for ever: after so many programs a new one takes over."""
SPEED = 2
PASSES = (
    "always_inliner",
    "sroa",
    "instruction_combine",
    "simplify_cfg",
    "new_gvn",
    "global_dead_code_eliminate",
)
"""What LLVM does before it generates code; the text is written so that no more is needed. A
second instruction_combine left 13 programs as they were."""


class Code:
    """Machine code of one program: `address` of its entry, alive as long as this object.

    `image` is its object file, from which `Engine.load` makes such code again.
    """

    __slots__ = ("__weakref__", "_owner", "address", "image")

    def __init__(self, address: int, image: bytes, owner: Any) -> None:
        self.address, self.image = address, image
        self._owner = owner


class Times(NamedTuple):
    """Milliseconds that the steps of one compilation took."""

    optimise: float
    generate: float


class Engine:
    """Compiler and loader; one for the process, made when first needed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # around LLVM
        self._table = threading.Lock()  # around what is kept: never held for long
        self._kept: OrderedDict[str, Code] = OrderedDict()
        self._machine: Any = None
        self._linker: Any = None
        self._count = 0
        self.compiled = 0

    def code(self, text: str, name: str = "", emitted: float = 0.0) -> Code:
        """Machine code of LLVM text that defines `kernel(ctx)`.

        Args:
            text: a whole module.
            name: of the program, for reports.
            emitted: how many milliseconds it took to write the text, for reports.
        """
        _dump(self, text, name)
        key = _key(text)
        found = self._known(key)
        if found is None:
            with self._lock:
                found = self._known(key)
                if found is None:  # nobody made it while this thread waited
                    found = self._made(key, text, name, emitted)
                    self._keep(key, found)
        return found

    def load(self, image: bytes) -> Code:
        """Code from an object file that another process, or this one, has made.

        Raises:
            RuntimeError: it is no object file for this processor.
        """
        addresses, owner = self._linked(image, (ENTRY,))
        return Code(addresses[ENTRY], image, owner)

    def library(self, text: str, names: Sequence[str]) -> dict[str, int]:
        """The addresses of what LLVM text defines; its code is never freed."""
        key = _key(text)
        with self._lock:
            stored = cache.lookup(key)
            image = stored.object if stored else self._compile(text)[0]
            if not stored:
                cache.store(key, image)
            addresses, owner = self._linked(image, names)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))
        return addresses

    def assembly(self, text: str) -> str:
        """The machine code of LLVM text, for people."""
        with self._lock:
            module = self._optimised(text)
            found: str = self._machine.emit_assembly(module)
            return found

    def _known(self, key: str) -> Code | None:
        with self._table:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def _keep(self, key: str, code: Code) -> None:
        with self._table:
            self._kept[key] = code
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def _made(self, key: str, text: str, name: str, emitted: float) -> Code:
        """The code, from disk or compiled."""
        stored = cache.lookup(key)
        if stored is not None:
            begin = time.perf_counter()
            try:
                found = self.load(stored.object)
            except RuntimeError as error:  # whole, but not to this linker's liking
                logger.warning("Compiled code in the cache can't be loaded: %s", error)
            else:
                _report(name, text, emitted, None, _since(begin))
                return found
        image, times = self._compile(text)
        begin = time.perf_counter()
        found = self.load(image)
        _report(name, text, emitted, times, _since(begin))
        cache.store(key, image)
        return found

    def _ready(self) -> None:
        """A machine to compile for."""
        if self._machine is None:
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            self._machine = self._target()

    def _target(self) -> Any:
        host = cpu.host()
        return llvm.Target.from_triple(host.triple).create_target_machine(
            cpu=host.name, features=host.features, opt=SPEED, reloc="pic", codemodel="small"
        )

    def _optimised(self, text: str) -> Any:
        self._ready()
        module = llvm.parse_assembly(text)
        module.verify()
        passes = llvm.create_new_module_pass_manager()
        for name in PASSES:
            getattr(passes, f"add_{name}_pass")()
        tuning = llvm.create_pipeline_tuning_options(speed_level=SPEED)
        passes.run(module, llvm.create_pass_builder(self._machine, tuning))
        return module

    def _compile(self, text: str) -> tuple[bytes, Times]:
        begin = time.perf_counter()
        module = self._optimised(text)
        optimised, begin = _since(begin), time.perf_counter()
        image: bytes = self._machine.emit_object(module)
        self.compiled += 1
        return image, Times(optimised, _since(begin))

    def _linked(self, image: bytes, names: Sequence[str]) -> tuple[dict[str, int], Any]:
        """The addresses of what an object file defines, and what keeps them valid."""
        try:
            return link.linked(image, names)
        except link.Unlinkable as error:
            logger.debug("LLVM links a program: %s.", error)
        with self._lock:
            self._ready()
            tracker = self._link(image, names)
            return {name: tracker[name] for name in names}, (self._linker, tracker)

    def _link(self, image: bytes, names: Sequence[str]) -> Any:
        """LLVM's linker at work, for what `link.py` does not know."""
        if self._count % LINKED == 0:
            self._linker = llvm.create_lljit_compiler(self._target(), use_jit_link=True)
        self._count += 1
        builder = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
        for name in names:
            builder.export_symbol(name)
        return builder.link(self._linker, f"headrace{self._count}")

    def hold(self) -> None:
        """Before a fork: nobody is inside."""
        self._lock.acquire()
        self._table.acquire()

    def free(self) -> None:
        """After a fork, in both processes."""
        self._table.release()
        self._lock.release()


def _key(text: str) -> str:
    return cache.key("llvm", cpu.identity(), SPEED, PASSES, text)


def _since(begin: float) -> float:
    """Milliseconds that have passed."""
    return (time.perf_counter() - begin) * 1e3


def _report(name: str, text: str, emitted: float, times: Times | None, link: float) -> None:
    """The line of `HEADRACE_LOG=compile`."""
    if "compile" not in flags.LOG.value:
        return
    middle = "from the cache"
    if times is not None:
        middle = f"{times.optimise:.1f} ms optimised, {times.generate:.1f} ms generated"
    logger.warning(
        "compiled %s: %d instructions, %.1f ms emitted, %s, %.1f ms linked",
        name or "a program",
        text.count("\n  "),
        emitted,
        middle,
        link,
    )


def _dump(engine: Engine, text: str, name: str) -> None:
    """What `HEADRACE_DUMP` asks for."""
    wanted = flags.DUMP.value
    if "llvm" in wanted:
        print(f"# {name}: llvm\n{text}", file=sys.stderr)
    if "asm" in wanted:
        print(f"# {name}: asm\n{engine.assembly(text)}", file=sys.stderr)


ENGINE = Engine()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=ENGINE.hold, after_in_parent=ENGINE.free, after_in_child=ENGINE.free
    )
