"""The sizes of the house: lines a file, a function, a line and files a folder, floor by floor.

    python -m tools.sizes

The limits are those of CONTRIBUTING.md; `tests/house/test_sizes.py` holds the house to them.
A function's size is that of its body without the documentation string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "headrace"

LINE = 96
FILE = 600
OP_TABLE = 800
FUNCTION = 80
FOLDER = 25
SCREEN = 20  # nine functions in ten are shorter


class Function(NamedTuple):
    """A function or method, with the lines of its body."""

    file: Path
    name: str
    line: int
    size: int


def files(folder: Path = PACKAGE) -> list[Path]:
    """The Python files below a folder, in order."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def functions(path: Path) -> Iterator[Function]:
    """The functions of a file, nested ones included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield Function(path, node.name, node.lineno, size)


def length(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def limit(path: Path) -> int:
    """How many lines a file may have: tables of op records may be longer."""
    return OP_TABLE if PACKAGE / "ops" in path.parents else FILE


def too_big(paths: Iterable[Path]) -> Iterator[str]:
    """One complaint for each size over its limit."""
    for path in paths:
        name = path.relative_to(ROOT)
        if (lines := length(path)) > limit(path):
            yield f"{name} has {lines} lines, more than {limit(path)}: split it by idea"
        for function in functions(path):
            if function.size > FUNCTION:
                place = f"{name}:{function.line} {function.name}"
                yield f"{place} has {function.size} lines, more than {FUNCTION}"
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(text) > LINE:
                yield f"{name}:{number} is {len(text)} characters wide, more than {LINE}"


def crowded(root: Path) -> Iterator[str]:
    """One complaint for each folder with too many files."""
    for folder in sorted({path.parent for path in files(root)}):
        count = len(list(folder.glob("*.py")))
        if count > FOLDER:
            yield f"{folder.relative_to(ROOT)} has {count} files, more than {FOLDER}"


def main() -> None:
    """Print one line a floor, and then the largest files and functions."""
    print(f"{'floor':<12}{'files':>6}{'lines':>8}{'longest':>9}{'functions':>11}{'≤ 20':>7}")
    floors = sorted({path.relative_to(PACKAGE).parts[0] for path in files()} - {"__init__.py"})
    for floor in floors:
        paths = files(PACKAGE / floor) or [PACKAGE / floor]
        lines = [length(path) for path in paths]
        sizes = [function.size for path in paths for function in functions(path)]
        short = sum(size <= SCREEN for size in sizes) / max(len(sizes), 1)
        row = f"{floor:<12}{len(paths):>6}{sum(lines):>8}{max(lines):>9}{len(sizes):>11}"
        print(f"{row}{short:>7.0%}")
    print("\nlongest files")
    for path in sorted(files(), key=length, reverse=True)[:5]:
        print(f"{length(path):>6}  {path.relative_to(ROOT)}")
    print("longest functions")
    everything = [function for path in files() for function in functions(path)]
    for function in sorted(everything, key=lambda f: f.size, reverse=True)[:5]:
        place = f"{function.file.relative_to(ROOT)}:{function.line}"
        print(f"{function.size:>6}  {place} {function.name}")
    for complaint in [*too_big(files()), *crowded(PACKAGE)]:
        print(complaint)


if __name__ == "__main__":
    main()
