"""What this computer's processor is, in LLVM's words; a part of every key of compiled code."""

from __future__ import annotations

from functools import cache
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
