"""Compute the coefficients of the compiler's math recipes.

    python -m tools.fit_recipes

rewrites `headrace/compile/llvm/recipes/tables.py`. Each table is a Chebyshev interpolation, at
60 digits, of what stands between a function and its first terms, so that the rounding of the
coefficients costs little.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mp, mpf

TABLES = Path(__file__).parents[1] / "headrace" / "compile" / "llvm" / "recipes" / "tables.py"
HALF_LN2 = mp.log(2) / 2 * mpf("1.001")
QUARTER = (mp.pi / 4 * mpf("1.02")) ** 2


class Fit(NamedTuple):
    """What a table approximates: `function` on `interval`, by so many coefficients in float32
    and in float64 (0: there is no such recipe)."""

    says: str
    function: Callable[[Any], Any]
    interval: tuple[Any, Any]
    single: int
    double: int


def _near(function: Callable[[Any], Any], limit: Any) -> Callable[[Any], Any]:
    """`function` but for 0, where it is a limit."""
    return lambda x: function(x) if abs(x) > mpf(10) ** -25 else mpf(limit)


def _of_square(function: Callable[[Any], Any], limit: Any) -> Callable[[Any], Any]:
    """An even function, of u = x * x."""
    return _near(lambda u: function(mp.sqrt(u)), limit)


def _erfcx(q: Any) -> Any:
    """(1 + 2 a) exp(a * a) erfc(a) with a = 2 (1 + q) / (1 - q)."""
    a = 2 * (1 + q) / (1 - q)
    return (1 + 2 * a) * mp.exp(a * a) * mp.erfc(a)


FITS = {
    "EXP": Fit(
        "(exp(r) - 1 - r) / r^2, |r| <= ln(2) / 2",
        _near(lambda r: (mp.expm1(r) - r) / r**2, 0.5),
        (-HALF_LN2, HALF_LN2),
        5,
        10,
    ),
    "LOG": Fit(
        "(log(1 + f) - f + f^2 / 2) / f^3, sqrt(1/2) - 1 <= f <= sqrt(2) - 1",
        _near(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, mpf(1) / 3),
        (mp.sqrt(0.5) - mpf("1.001"), mp.sqrt(2) - mpf("0.999")),
        9,
        20,
    ),
    "ATANH": Fit(
        "(atanh(s) / s - 1) / u, u = s^2, |s| <= 1/3",
        _of_square(lambda s: (mp.atanh(s) / s - 1) / s**2, mpf(1) / 3),
        (mpf(0), mpf(1) / 9),
        4,
        10,
    ),
    "SINH": Fit(
        "(sinh(x) / x - 1) / u, u = x^2 <= 1",
        _of_square(lambda x: (mp.sinh(x) / x - 1) / x**2, mpf(1) / 6),
        (mpf(0), mpf(1)),
        4,
        8,
    ),
    "SIN": Fit(
        "(sin(r) / r - 1) / u, u = r^2, |r| <= 1.02 pi / 4",
        _of_square(lambda r: (mp.sin(r) / r - 1) / r**2, -mpf(1) / 6),
        (mpf(0), QUARTER),
        3,
        7,
    ),
    "COS": Fit(
        "(cos(r) - 1 + u / 2) / u^2, u = r^2, |r| <= 1.02 pi / 4",
        _of_square(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4, mpf(1) / 24),
        (mpf(0), QUARTER),
        3,
        7,
    ),
    "ATAN": Fit(
        "(atan(x) / x - 1) / u, u = x^2 <= 1",
        _of_square(lambda x: (mp.atan(x) / x - 1) / x**2, -mpf(1) / 3),
        (mpf(0), mpf(1)),
        9,
        21,
    ),
    "ASIN": Fit(
        "(asin(x) / x - 1) / u, u = x^2 <= 1/4",
        _of_square(lambda x: (mp.asin(x) / x - 1) / x**2, mpf(1) / 6),
        (mpf(0), mpf("0.2501")),
        6,
        14,
    ),
    "ERF": Fit(
        "erf(x) / x - 1, u = x^2 <= 1",
        _of_square(lambda x: mp.erf(x) / x - 1, 2 / mp.sqrt(mp.pi) - 1),
        (mpf(0), mpf(1)),
        7,
        0,
    ),
    "ERF_TAIL": Fit(
        "log(erfc(a)), 1 <= a <= 4",
        lambda a: mp.log(mp.erfc(a)),
        (mpf("0.99"), mpf(4)),
        9,
        0,
    ),
    "ERFCX": Fit(
        "(1 + 2 a) exp(a^2) erfc(a), q = (a - 2) / (a + 2), 0 <= a <= 10.1",
        _erfcx,
        (mpf(-1), mpf("0.67")),
        11,
        0,
    ),
    "LOG2": Fit(
        "log2(1 + f) / f, to twice float32's accuracy",
        _near(lambda f: mp.log1p(f) / mp.log(2) / f, 1 / mp.log(2)),
        (mp.sqrt(0.5) - mpf("1.001"), mp.sqrt(2) - mpf("0.999")),
        0,
        15,
    ),
    "EXP2": Fit(
        "2^r, |r| <= 1/2, to more than float32's accuracy",
        lambda r: mpf(2) ** r,
        (mpf("-0.5"), mpf("0.5")),
        0,
        8,
    ),
}


def fit(one: Fit, count: int) -> tuple[list[Any], float]:
    """Coefficients, the constant first, and the greatest error."""
    found, error = mpmath.chebyfit(one.function, list(one.interval), count, error=True)
    return list(reversed(found)), float(error)


def rows(one: Fit, count: int, kind: type[np.floating]) -> list[str]:
    """A table's lines."""
    if not count:
        return ["    (),"]
    values, error = fit(one, count)
    lines = [f"        {float(kind(v))!r}," for v in values]
    return [f"    (  # error {error:.1e}", *lines, "    ),"]


def main() -> None:
    """Write the tables."""
    mp.dps = 60
    lines = [
        '"""Coefficients of the recipes, the constant first, for float32 and for float64.',
        "",
        "Written by `python -m tools.fit_recipes`: edit that.",
        '"""',
        "",
        "from typing import TypeAlias",
        "",
        "Table: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]",
    ]
    for name, one in FITS.items():
        lines += ["", f"# {one.says}", f"{name}: Table = ("]
        lines += rows(one, one.single, np.float32) + rows(one, one.double, np.float64) + [")"]
    TABLES.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
