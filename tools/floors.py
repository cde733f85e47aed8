"""Who imports whom: each floor of the house imports from its own and lower floors only.

The rule keeps knowledge flowing one way; calls upward go through registration. An import inside
a function counts like any other, and none may stand there: heavy modules are declared with
`lazy_module` at the top of a file, which counts too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.sizes import PACKAGE, ROOT, files

LIBRARIES = "ragged sparse text data io image signal train summary saved_model distribute"
FLOORS: dict[str, int] = {
    "base": 0,
    "core": 1,
    "ops": 2,
    "autodiff": 3,
    "compile": 4,
    "trace": 5,
    **dict.fromkeys(LIBRARIES.split(), 6),
    "keras": 7,
    "api": 8,
    "cli": 9,
    "__main__": 9,
}
# headrace/__init__.py is made on the floor of `api`; its names, though, are what Keras is
# written with.
MADE, NAMES = 8, 7
# Calls that import the module whose name is their argument.
IMPORTERS = {"lazy_module", "import_module", "__import__"}


class Import(NamedTuple):
    """An import: its line, the absolute name of the module, and whether a function holds the
    statement."""

    line: int
    module: str
    in_function: bool


def floor(module: str, root: int = NAMES) -> int:
    """The floor of a module of this package, from its dotted name (`root`: of its root)."""
    part = module.split(".")[1:2]
    return FLOORS.get(part[0], root) if part else root


def name_of(path: Path) -> str:
    """The dotted module name of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text: str, module: str, is_package: bool = False) -> Iterator[Import]:
    """Every import in a file's text; `module` is the file's dotted name."""
    tree = ast.parse(text)
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported(node, module, is_package):
                yield Import(node.lineno, name, id(node) in inside)
        elif isinstance(node, ast.Call) and (name := argument(node)):
            yield Import(node.lineno, name, False)


def imported(node: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """The absolute names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        base = ".".join([*parts[: len(parts) - node.level + is_package], *base.split()])
    # `from headrace import core` names a module, `from headrace.core.op import Op` does not.
    return [f"{base}.{alias.name}" for alias in node.names] if base == "headrace" else [base]


def argument(call: ast.Call) -> str:
    """The module that a call such as `lazy_module("scipy.special")` names; else nothing."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    known = name in IMPORTERS and isinstance(first, ast.Constant)
    return str(first.value) if known and isinstance(first, ast.Constant) else ""


def broken(text: str, module: str, is_package: bool = False) -> Iterator[str]:
    """One complaint for each import of a file that breaks a rule."""
    for found in imports(text, module, is_package):
        if found.in_function:
            yield f"{found.line}: {found.module} is imported inside a function"
        ours = found.module.split(".")[0] == "headrace"
        if ours and floor(found.module) > floor(module, MADE):
            yield f"{found.line}: {found.module} stands on a higher floor"


def violations() -> Iterator[str]:
    """One complaint for each import of the package that breaks a rule."""
    for path in files():
        text = path.read_text(encoding="utf-8")
        for complaint in broken(text, name_of(path), path.name == "__init__.py"):
            yield f"{path.relative_to(ROOT)}:{complaint}"


if __name__ == "__main__":
    print("\n".join(violations()) or "every import goes downward")
