"""Math functions as recipes: branch-free formulas that run on all lanes at once.

`recipe(name, type, inline)` is what the emitter asks for. Results are within 4 units in the
last place of the truth (most within 1 or 2), at infinities, NaN, denormals and zeros too.
Where there is no recipe, the C library is called for one element after the other. A recipe is
a function of the module that uses it. It is put into loops that run long, and called from
others, where code costs more than the call. Read `code.py` first.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from headrace.compile.llvm.recipes import error_function as errors
from headrace.compile.llvm.recipes import exponential as exp
from headrace.compile.llvm.recipes import logarithm as log
from headrace.compile.llvm.recipes import power
from headrace.compile.llvm.recipes import trigonometric as trig
from headrace.compile.llvm.recipes.code import Code, Recipe, Value
from headrace.compile.llvm.text import element, lanes_of, suffix

RECIPES: dict[str, Recipe] = {
    "exp": exp.exp,
    "expm1": exp.expm1,
    "tanh": exp.tanh,
    "sinh": exp.sinh,
    "cosh": exp.cosh,
    "sigmoid": exp.sigmoid,
    "softplus": exp.softplus,
    "log": log.log,
    "log1p": log.log1p,
    "asinh": log.asinh,
    "acosh": log.acosh,
    "atanh": log.atanh,
    "sin": trig.sin,
    "cos": trig.cos,
    "tan": trig.tan,
    "asin": trig.asin,
    "acos": trig.acos,
    "atan": trig.atan,
    "atan2": trig.atan2,
    "erf": errors.erf,
    "erfc": errors.erfc,
    "pow": power.pow,
    "hypot": power.hypot,
}
SINGLE_ONLY = frozenset(("erf", "erfc", "pow", "hypot"))
_TWO = frozenset(("atan2", "pow", "hypot"))


class Text(NamedTuple):
    """A function of a module: its symbol, its definition, and what that declares."""

    symbol: str
    definition: str
    declarations: dict[str, str]


@cache
def recipe(name: str, types: str, inline: bool) -> Text | None:
    """A function of a module that computes `name` on values of a type, if there is a recipe."""
    if name not in RECIPES or (name in SINGLE_ONLY and element(types) == "double"):
        return None
    code = Code(element(types), lanes_of(types))
    names = ("%x", "%y")[: 2 if name in _TWO else 1]
    found = RECIPES[name](code, *(Value(code, n, types) for n in names))
    symbol = f"@hr.{name}.{suffix(types)}{'' if inline else '.apart'}"
    given = ", ".join(f"{types} {n}" for n in names)
    how = "alwaysinline" if inline else "noinline"
    lines = [f"define internal {types} {symbol}({given}) {how} #0 {{", "entry:", *code.lines]
    text = "\n".join([*lines, f"  ret {types} {found.name}", "}"])
    return Text(symbol, text, code.declarations)
