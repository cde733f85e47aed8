"""LLVM text becomes machine code in this process, once per text and processor.

LLVM is not asked to do two things at once: one lock stands around it (it releases the
interpreter's own while it works). Code is kept in memory by key, the least recently used one
dropped when there is too much; an object file holds no address, so that it may be kept on disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from headrace.base.lazy import lazy_module
from headrace.compile.llvm import cpu
from headrace.compile.llvm.emit import ENTRY

llvm = lazy_module("llvmlite.binding")

KEPT = 4096
SPEED = 2


class Code:
    """Machine code of one program: `address` of its entry, alive as long as this object."""

    def __init__(self, address: int, owner: Any) -> None:
        self.address = address
        self._owner = owner


class Engine:
    """Compiler and loader; one for the process, made when first needed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, Code] = OrderedDict()
        self._machine: Any = None
        self._linker: Any = None
        self._count = 0
        self.compiled = 0

    def code(self, text: str) -> Code:
        """Machine code of LLVM text that defines `kernel(ctx)`."""
        key = hashlib.sha256(repr((cpu.host(), SPEED, text)).encode()).hexdigest()
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                found = self._kept[key] = self._load(self._compile(text))
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return found

    def assembly(self, text: str) -> str:
        """The machine code of LLVM text, for people."""
        with self._lock:
            module = self._optimised(text)
            found: str = self._machine.emit_assembly(module)
            return found

    def _start(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._machine = self._target()
        self._linker = llvm.create_lljit_compiler(self._target())

    def _target(self) -> Any:
        host = cpu.host()
        return llvm.Target.from_triple(host.triple).create_target_machine(
            cpu=host.name, features=host.features, opt=SPEED, reloc="pic", codemodel="small"
        )

    def _optimised(self, text: str) -> Any:
        if self._machine is None:
            self._start()
        module = llvm.parse_assembly(text)
        module.verify()
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.add_new_gvn_pass()
        passes.add_instruction_combine_pass()
        passes.add_global_dead_code_eliminate_pass()
        tuning = llvm.create_pipeline_tuning_options(speed_level=SPEED)
        passes.run(module, llvm.create_pass_builder(self._machine, tuning))
        return module

    def _compile(self, text: str) -> bytes:
        module = self._optimised(text)
        self.compiled += 1
        found: bytes = self._machine.emit_object(module)
        return found

    def library(self, text: str, names: Sequence[str]) -> dict[str, int]:
        """The addresses of what LLVM text defines; its code is never freed."""
        with self._lock:
            tracker = self._link(self._compile(text), names)
            for needed in (tracker, self._linker):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(needed))
            return {name: tracker[name] for name in names}

    def _link(self, image: bytes, names: Sequence[str]) -> Any:
        self._count += 1
        builder = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
        for name in names:
            builder.export_symbol(name)
        return builder.link(self._linker, f"headrace{self._count}")

    def _load(self, image: bytes) -> Code:
        tracker = self._link(image, (ENTRY,))
        return Code(tracker[ENTRY], tracker)


ENGINE = Engine()
