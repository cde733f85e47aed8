"""Runs one library's programs in an interpreter that has the library, when asked.

    python -m benchmarks.worker LIBRARY

Each line on standard input, `{"do": ..., "case": ..., ...}`, is answered by a line. Between
`prepare` and `drop` the worker holds one program; while other workers run it waits.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.libraries import LIBRARIES

Program = Callable[[], Any]
WARM = 0.1  # seconds of calls before the clock starts, but at most ten
SAMPLE = 2000  # elements of a result that are compared, besides its sum
REMEMBERED = 12  # calls that a program makes while its memory is watched


class Worker:
    """One library, and the program that it holds."""

    def __init__(self, name: str) -> None:
        module = f"benchmarks.implementations.{LIBRARIES[name].implementation}"
        self.library = LIBRARIES[name]
        self.implementation = importlib.import_module(module)
        self.programs = self.implementation.programs(name)
        self.cases = {case.name: case for case in CASES if case.program in self.programs}
        self.program: Program | None = None
        self.count = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; the reason where the library can't do it."""
        if request["do"] == "drop":
            self.program, self.count = None, 0
            gc.collect()
            return {}
        case = self.cases[request["case"]]
        try:
            if request["do"] == "prepare":
                return {"results": list(self.prepare(case))}
            if request["do"] == "measure":
                return {"figure": self.measure(request["seconds"]) / case.steps}
            return {"figure": self.first(case) if request["do"] == "first" else self.peak(case)}
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {str(error).strip()}"[:300]}

    def make(self, case: Case) -> Program:
        """The program of a case."""
        return self.programs[case.program](case.inputs())

    def prepare(self, case: Case) -> Iterator[list[dict[str, Any]]]:
        """Hold the program of a case; what its first calls return."""
        self.program = self.make(case)
        for _ in range(case.compared):
            yield [summary(self.implementation.to_numpy(r)) for r in flat(self.program())]

    def measure(self, seconds: float) -> float:
        """Seconds that a call takes, averaged over a run of about so many seconds."""
        assert self.program is not None
        if not self.count:
            self.count = calls_in(self.program, seconds)
        elif self.count > 4:
            clock(self.program, 1)  # caches have seen other libraries meanwhile
        return clock(self.program, self.count) / self.count

    def first(self, case: Case) -> float:
        """Seconds of the very first call."""
        return clock(self.make(case), 1)

    def peak(self, case: Case) -> int:
        """Bytes by which the process grows beyond its size with imports and inputs.

        What a library imports later is imported before, as others do by themselves.
        """
        for module in self.library.later:
            importlib.import_module(module)
        inputs = case.inputs()
        gc.collect()
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # begin the peak anew
        program = self.programs[case.program](inputs)
        for _ in range(REMEMBERED):
            program()
        return resident("VmHWM") - before


def resident(row: str) -> int:
    """A row of the kernel's account of this process's memory, in bytes."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in rows if line.startswith(row))


def flat(value: Any) -> Iterator[Any]:
    """The arrays of a result, one after another."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    elif value is not None:
        yield value


def summary(array: np.ndarray) -> dict[str, Any]:
    """Shape, sum and some elements of an array, to compare libraries by."""
    numbers = np.asarray(array, np.float64).ravel()
    step = max(1, numbers.size // SAMPLE) | 1  # odd: all columns get their turn
    return {
        "shape": list(array.shape),
        "sum": float(numbers.sum()),
        "sample": numbers[::step].tolist(),
    }


def calls_in(program: Program, seconds: float) -> int:
    """How many calls take about so long, once the program is warm (traced, compiled)."""
    until = time.perf_counter() + WARM
    for _ in range(10):
        program()
        if time.perf_counter() > until:
            break
    count = 1
    while (taken := clock(program, count)) < seconds / 4:
        count = count * 2 if taken < seconds / 16 else round(count * seconds / 2 / taken)
    return max(1, round(count * seconds / taken))


def clock(program: Program, count: int) -> float:
    """Seconds that `count` calls take."""
    start = time.perf_counter()
    for _ in repeat(None, count):
        program()
    return time.perf_counter() - start


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        worker = Worker(sys.argv[1])
        print(json.dumps({"cases": list(worker.cases)}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
