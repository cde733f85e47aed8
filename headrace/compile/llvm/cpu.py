"""What this computer's processor is: in LLVM's words, and in the system's.

`identity()` is a part of every key of compiled code. It does not ask LLVM, because a process
that finds all its code in the cache need not load it.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.machinery import PathFinder
from typing import NamedTuple

from headrace.base.lazy import lazy_module

llvm = lazy_module("llvmlite.binding")


class Cpu(NamedTuple):
    """LLVM's name of the processor, its feature string, and the target triple."""

    name: str
    features: str
    triple: str
    llvm: tuple[int, ...]


@cache
def host() -> Cpu:
    """The processor that this process runs on."""
    return Cpu(
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        llvm.get_process_triple(),
        tuple(llvm.llvm_version_info),
    )


_TOLD = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),  # x86
    *("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part"),  # ARM
    *("isa", "mmu", "uarch"),  # RISC-V
)
"""The lines in which Linux describes a processor, without those that change."""


@cache
def identity() -> tuple[object, ...]:
    """What decides `host()`: the processor as the system describes it, and which LLVM it is."""
    lines = _described()
    if not lines:
        return tuple(host())
    return os.uname().sysname, os.uname().machine, *lines, *_version()


def _described() -> list[str]:
    """The first processor's description; nothing on a system that gives none."""
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            block = file.read(1 << 14).partition(b"\n\n")[0].decode(errors="replace")
    except OSError:
        return []
    return [line for line in block.splitlines() if line.partition("\t")[0].strip() in _TOLD]


def _version() -> list[object]:
    """Which llvmlite there is."""
    found = PathFinder.find_spec("llvmlite")
    if found is None or found.origin is None:
        return [*llvm.llvm_version_info]
    path = os.path.join(os.path.dirname(found.origin), "_version.py")
    with open(path, "rb", buffering=0) as file:
        return [path, os.fstat(file.fileno()).st_mtime_ns, file.read()]
