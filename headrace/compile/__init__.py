"""The compiler: op records become loops, loops become native code. README.md here says how.

The seam is three functions: `compile_op(op, specs, attrs)` gives loops, `interpret(loops,
arrays)` runs them slowly, `executable(loops)(arrays)` runs them as machine code. They are
loaded when they are asked for: a process that finds its code in the cache needs none of them.
"""

from typing import Any

from headrace.base.lazy import lazy_module

_HOMES = {
    "CannotLower": lazy_module("headrace.compile.loops.lower"),
    "Executable": lazy_module("headrace.compile.run.executable"),
    "compile_op": lazy_module("headrace.compile.loops.lower"),
    "executable": lazy_module("headrace.compile.run.build"),
    "interpret": lazy_module("headrace.compile.loops.interp"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_HOMES[name], name)
