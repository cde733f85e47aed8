"""Measures all cases in all libraries at hand, side by side, and prints the table.

    python -m benchmarks.run [--rounds N] [--seconds S] [--only LIBRARY ...]

Each library runs in a process of its own; the rounds go A B C, A B C, so that a slow minute of
the machine hits all alike. A figure is the median of the rounds. Peers are measured where
`make bench-peers` has made their environment, or where HEADRACE_PEERS names a Python that has
them. Every run adds one line to `benchmarks/history.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, IMPORT, IMPORT_KERAS

ROOT = Path(__file__).parents[1]
HISTORY = ROOT / "benchmarks" / "history.jsonl"
PEERS = Path(os.environ.get("HEADRACE_PEERS", ROOT / ".peers" / "bin" / "python"))
# Library -> the packages whose versions are noted.
LIBRARIES = {
    "headrace": ("headrace", "numpy", "llvmlite"),
    "numpy": ("numpy",),
    "tensorflow": ("tensorflow", "tf_keras"),
    "jax": ("jax",),
    "torch": ("torch",),
}
OWN = ("headrace", "numpy")
WITH_KERAS = ("headrace", "tensorflow")
IMPORTS = {IMPORT: "", IMPORT_KERAS: ".keras.layers"}
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}

Figures = dict[str, dict[str, float]]  # case -> library -> seconds


class Worker:
    """A library's process, which measures a case when asked."""

    def __init__(self, library: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noise, unless the process fails
        self.process = subprocess.Popen(
            [interpreter(library), "-m", "benchmarks.worker", library],
            cwd=ROOT,
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.cases = frozenset(self.answer()["cases"])

    def measure(self, case: str, seconds: float) -> float:
        """Seconds that one call of the case takes, averaged over a run of `seconds`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"case": case, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        return self.answer()["seconds"]

    def answer(self) -> dict[str, Any]:
        """The worker's next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            report = self.errors.read()
            self.close()
            raise RuntimeError(f"The process {self.process.args} failed:\n{report}")
        return json.loads(line)

    def close(self) -> None:
        """End the process, which ends when its input does."""
        self.process.communicate()
        self.errors.close()


def interpreter(library: str) -> str:
    """The Python that has a library."""
    return sys.executable if library in OWN else str(PEERS)


def ask(python: str, program: str) -> str:
    """What a short program prints, or nothing if it fails."""
    done = subprocess.run(
        [python, "-c", program], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def at_hand(library: str) -> bool:
    """Whether the library can be imported in its interpreter."""
    python = interpreter(library)
    find = f"import importlib.util as u; print(u.find_spec({library!r}) is not None)"
    return Path(python).exists() and ask(python, find) == "True"


def import_time(library: str, used: str = "") -> float:
    """Seconds that importing takes in a fresh process, with the attribute that is `used`."""
    clock = "from time import perf_counter as clock; start = clock()"
    program = f"{clock}; import {library}; {library}{used}; print(clock() - start)"
    printed = ask(interpreter(library), program)
    if not printed:
        raise RuntimeError(f"{library} can't be imported.")
    return float(printed)


def measure(libraries: list[str], rounds: int, seconds: float) -> Figures:
    """Medians of all cases in all libraries, the rounds interleaved."""
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, rounds):  # the first fills bytecode and disk caches
        for case, used in IMPORTS.items():
            for library in libraries:
                if used and library not in WITH_KERAS:
                    continue
                note(f"round {number + 1}/{rounds}: {case} {library}")
                taken = import_time(library, used)
                if number >= 0:
                    samples.setdefault((case, library), []).append(taken)
    workers = {library: Worker(library) for library in libraries}
    try:
        for number in range(rounds):
            for case in CASES:
                note(f"round {number + 1}/{rounds}: {case}")
                for library, worker in workers.items():
                    if case in worker.cases:
                        taken = worker.measure(case, seconds)
                        samples.setdefault((case, library), []).append(taken)
    finally:
        note("")
        for worker in workers.values():
            worker.close()
    figures: Figures = {}
    for (case, library), values in samples.items():
        figures.setdefault(case, {})[library] = statistics.median(values)
    return figures


def note(text: str) -> None:
    """Show what is being done, on one line of the terminal."""
    if sys.stderr.isatty():
        print(f"\r{text:<70}", end="" if text else "\r", file=sys.stderr, flush=True)


def table(figures: Figures, libraries: list[str]) -> str:
    """The table: times, and for each other library how many times Headrace's time it takes."""
    lines = [f"{'':<34}" + "".join(f"{library:>22}" for library in libraries)]
    for case, times in figures.items():
        cells = [f"{case:<34}"]
        for library in libraries:
            cells.append(f"{cell(times, library):>22}")
        lines.append("".join(cells))
    if "headrace" in libraries:
        lines.append("× n: takes n times Headrace's time. Medians; smaller is better.")
    return "\n".join(lines)


def cell(times: dict[str, float], library: str) -> str:
    """A time with its unit, and its ratio to Headrace's."""
    if library not in times:
        return "-"
    time = times[library]
    unit, size = next(
        ((unit, size) for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)) if time >= size),
        ("µs", 1e-6),
    )
    shown = f"{time / size:.3g} {unit}"
    if library == "headrace" or "headrace" not in times:
        return shown
    return f"{shown} (× {time / times['headrace']:.3g})"


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores, Python, system."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        rows = (line.partition(":") for line in information.read_text().splitlines())
        model = next((value.strip() for key, _, value in rows if "model name" in key), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def versions(libraries: list[str]) -> dict[str, str]:
    """The versions of the libraries that were measured."""
    found = {}
    for library in libraries:
        for package in LIBRARIES[library]:
            program = f"from importlib.metadata import version as v; print(v({package!r}))"
            found[package] = ask(interpreter(library), program)
    return {package: version for package, version in found.items() if version}


def commit() -> str:
    """The commit that was measured, with a plus where the tree has changes."""
    git = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure, print, and remember."""
    parser = argparse.ArgumentParser(description="Measure Headrace and its peers.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="per case and round")
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    options = parser.parse_args()
    libraries = [library for library in options.only if at_hand(library)]
    figures = measure(libraries, options.rounds, options.seconds)
    print(table(figures, libraries))
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **machine(),
        "versions": versions(libraries),
        "rounds": options.rounds,
        "microseconds": {
            case: {library: float(f"{time * 1e6:.4g}") for library, time in times.items()}
            for case, times in figures.items()
        },
    }
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
