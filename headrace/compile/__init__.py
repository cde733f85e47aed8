"""The compiler: op records become loops, loops become native code. README.md here says how.

The seam is three functions: `compile_op(op, specs, attrs)` gives loops, `interpret(loops,
arrays)` runs them slowly, `executable(loops)(arrays)` runs them as machine code.
"""

from headrace.compile.loops.interp import interpret
from headrace.compile.loops.lower import CannotLower, compile_op
from headrace.compile.run.executable import Executable, executable

__all__ = ["CannotLower", "Executable", "compile_op", "executable", "interpret"]
