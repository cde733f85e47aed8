"""Writes the tables of README.md and docs/performance.md from the last line of the history.

python -m benchmarks.figures
"""

from __future__ import annotations

from typing import Any

from benchmarks import report
from benchmarks.cases import CASES, EAGER, KERNELS, MEMORY, TRAINING, Case
from benchmarks.libraries import ROOT

BEGIN, END = "<!-- figures: python -m benchmarks.figures -->", "<!-- end of figures -->"
TITLES = {
    "headrace": "Headrace",
    "numpy": "NumPy",
    "tensorflow": "TensorFlow",
    "xla": "with XLA",
    "jax": "JAX",
    "torch": "PyTorch",
    "torch.compile": "`torch.compile`",
}
FILES = {
    ROOT / "README.md": [*EAGER, *TRAINING, *KERNELS],
    ROOT / "docs" / "performance.md": CASES,
}


def figures_of(line: dict[str, Any]) -> dict[str, dict[str, float]]:
    """A line's figures in seconds and bytes."""
    times = {
        name: {library: figure / 1e6 for library, figure in figures.items()}
        for name, figures in line["microseconds"].items()
    }
    return times | line.get("bytes", {})


def table(line: dict[str, Any], cases: list[Case]) -> str:
    """A table in Markdown: figures, and Headrace's share of what is asked for."""
    figures = figures_of(line)
    rows = [["", *TITLES.values(), "share of the best (asked)"]]
    rows.append(["---"] * len(rows[0]))
    for case in cases:
        if case.name in figures:
            found = figures[case.name]
            cells = [shown(case, found.get(library)) for library in TITLES]
            rows.append([f"`{case.name}`", *cells, report.standing(case, figures)])
    padded = ([f" {cell} " if cell else " " for cell in row] for row in rows)
    return "\n".join(f"|{'|'.join(row)}|" for row in padded)


def shown(case: Case, figure: float | None) -> str:
    """A figure with its unit."""
    if figure is None:
        return ""
    return report.in_units(figure, "memory" if case.kind == MEMORY else "time")


def written(text: str, line: dict[str, Any], cases: list[Case]) -> str:
    """A file's text with the table of this line between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(line, cases)}\n{END}{after}"


def main() -> None:
    """Write all tables."""
    line = report.lines_of_history()[-1]
    for path, cases in FILES.items():
        text = path.read_text(encoding="utf-8")
        path.write_text(written(text, line, cases), encoding="utf-8")


if __name__ == "__main__":
    main()
