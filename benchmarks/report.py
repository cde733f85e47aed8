"""What a run found, as a table for people and as a line of the history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, MEMORY, Case
from benchmarks.libraries import ROOT, commit, machine, versions
from benchmarks.measure import Findings

HISTORY = ROOT / "benchmarks" / "history.jsonl"
UNITS = {
    "time": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)),
    "memory": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)),
}
BY_NAME = {case.name: case for case in CASES}


def head(libraries: list[str]) -> str:
    """The table's first line."""
    names = [f"{'':<34}", *(f"{library:>20}" for library in libraries)]
    return "".join([*names, "  of the best (ask)"])


def row(case: Case, findings: Findings, libraries: list[str]) -> str:
    """Figures, how many times Headrace's others are, and where the ask stands."""
    figures = findings.figures.get(case.name, {})
    failed = {library for name, library in findings.failures if name == case.name}
    cells = [cell(case, figures, library, library in failed) for library in libraries]
    shown = [f"{case.name:<34}", *(f"{text:>20}" for text in cells)]
    return "".join([*shown, "  ", standing(case, findings.figures)]).rstrip()


def foot(findings: Findings, libraries: list[str]) -> str:
    """What the table's signs mean, what could not be measured, what should not have been."""
    lines = []
    if "headrace" in libraries:
        lines.append(
            "×n: n times Headrace's figure. Medians; smaller is better. n/a: see below."
        )
    for (case, library), reason in findings.failures.items():
        lines.append(f"n/a: {case}: {library}: {reason}")
    lines += [f"WRONG: {difference}" for difference in findings.differences]
    return "\n".join(lines)


def cell(case: Case, figures: dict[str, float], library: str, failed: bool) -> str:
    """A figure with its unit (a matrix product's rate too), and its ratio to Headrace's."""
    if library not in figures:
        return "n/a" if failed else "-"
    figure = figures[library]
    shown = in_units(figure, "memory" if case.kind == MEMORY else "time")
    if case.flops:
        shown += f" {case.flops / figure / 1e9:.0f}G"
    if library == "headrace" or not figures.get("headrace"):
        return shown
    return f"{shown} ×{figure / figures['headrace']:.3g}"


def in_units(figure: float, quantity: str) -> str:
    """Three digits and a unit."""
    units = UNITS[quantity]
    unit, size = next((pair for pair in units if figure >= pair[1]), units[-1])
    scaled = figure / size
    return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.3g} {unit}"


def standing(case: Case, figures: dict[str, dict[str, float]]) -> str:
    """Where Headrace stands against what is asked: its share of the best peer's figure."""
    ours = figures.get(case.name, {}).get("headrace")
    if ours is None or case.ask is None:
        return ""
    parts, holds = [], []
    best = best_of(figures[case.name], case.ask.among)
    if case.ask.of_best is not None and best:
        share = ours / figures[case.name][best]
        parts.append(f"{share:.2f} of {best} (≤ {case.ask.of_best:.2f})")
        holds.append(share <= case.ask.of_best)
    if case.ask.limit is not None:
        parts.append(f"(≤ {in_units(case.ask.limit, 'time')})")
        holds.append(ours <= case.ask.limit)
    if case.ask.of_case is not None and case.ask.of_case[0] in figures:
        other, most = case.ask.of_case
        share = ours / figures[other]["headrace"]
        parts.append(f"{share:.1f} of {other} (≤ {most:.1f})")
        holds.append(share <= most)
    verdict = ("holds" if any(holds) else "MISSED") if holds else ""
    return " ".join([*parts, verdict])


def best_of(figures: dict[str, float], peers: tuple[str, ...]) -> str | None:
    """The peer with the smallest figure."""
    return min((p for p in peers if p in figures), key=figures.__getitem__, default=None)


def remember(findings: Findings, libraries: list[str], rounds: int) -> None:
    """Add a line to the history."""
    parts: dict[str, dict[str, dict[str, float]]] = {"microseconds": {}, "bytes": {}}
    for name, figures in findings.figures.items():
        quantity, factor = (
            ("bytes", 1) if BY_NAME[name].kind == MEMORY else ("microseconds", 1e6)
        )
        parts[quantity][name] = {
            library: float(f"{figure * factor:.4g}") for library, figure in figures.items()
        }
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **machine(),
        "versions": versions(libraries),
        "rounds": rounds,
        **parts,
    }
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line, ensure_ascii=False) + "\n")


def lines_of_history(path: Path = HISTORY) -> list[dict[str, Any]]:
    """All lines of the history, the oldest first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
