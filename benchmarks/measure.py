"""Measures cases in libraries: starts workers, lets them take turns, compares their results."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.cases import CACHED, CALL, FIRST, IMPORT, MEMORY, Case
from benchmarks.libraries import ENVIRONMENT, LIBRARIES, ROOT, ask, emptied

SETTLED = 0.05
"""Seconds after which the threads of the library before are asleep: some watch for work."""


@dataclass
class Findings:
    """What a run found out."""

    middle: Callable[[list[float]], float] = statistics.median  # of the rounds
    figures: dict[str, dict[str, float]] = field(default_factory=dict)  # case -> library
    failures: dict[tuple[str, str], str] = field(default_factory=dict)  # (case, library)
    differences: list[str] = field(default_factory=list)
    finished: Callable[[Case], None] = lambda case: None  # called when all of a case is known

    def add(self, case: Case, library: str, values: list[float]) -> None:
        """Note the figure of a case from those of its rounds."""
        self.figures.setdefault(case.name, {})[library] = self.middle(values)


class Worker:
    """A library's process, which does what it is asked."""

    def __init__(self, library: str, variables: dict[str, str] | None = None) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noise, unless the process fails
        self.process = subprocess.Popen(
            [LIBRARIES[library].python, "-m", "benchmarks.worker", library],
            cwd=ROOT,
            env=ENVIRONMENT | (variables or {}),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )
        self.cases = frozenset(self.answer()["cases"])

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
        self.process.stdin.flush()
        return self.answer()

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


@contextmanager
def workers_for(libraries: Iterable[str]) -> Iterator[dict[str, Worker]]:
    """A worker each, started side by side and ended at the end."""
    with ThreadPoolExecutor() as pool:
        workers = dict(zip(libraries, pool.map(Worker, libraries), strict=True))
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def measure(
    cases: list[Case], libraries: list[str], rounds: int, seconds: float, findings: Findings
) -> None:
    """Put what all cases show in all libraries into the findings."""
    try:
        imports(kind(cases, IMPORT), libraries, rounds, findings)
        calls(kind(cases, CALL), libraries, rounds, seconds, findings)
        first_calls(kind(cases, FIRST, CACHED), libraries, findings)
        footprints(kind(cases, MEMORY), libraries, findings)
    finally:
        note("")


def kind(cases: list[Case], *kinds: str) -> list[Case]:
    """The cases of some kinds."""
    return [case for case in cases if case.kind in kinds]


def imports(cases: list[Case], libraries: list[str], rounds: int, findings: Findings) -> None:
    """Imports in fresh processes; one more round first, which fills caches of files."""
    for case in cases:
        samples: dict[str, list[float]] = {}
        for number in range(-1, rounds):
            for name in libraries:
                library = LIBRARIES[name]
                if not library.imported or (case.used and not library.keras):
                    continue
                note(f"{case.name}, round {number + 1}/{rounds}: {name}")
                taken = import_time(name, case.used)
                if number >= 0:
                    samples.setdefault(name, []).append(taken)
        for name, values in samples.items():
            findings.add(case, name, values)
        findings.finished(case)


def import_time(library: str, used: str = "") -> float:
    """Seconds that importing takes in a fresh process, with the attribute that is `used`."""
    clock = "from time import perf_counter as clock; start = clock()"
    program = f"{clock}; import {library}; {library}{used}; print(clock() - start)"
    printed = ask(LIBRARIES[library].python, program)
    if not printed:
        raise RuntimeError(f"{library} can't be imported.")
    return float(printed)


def calls(
    cases: list[Case], libraries: list[str], rounds: int, seconds: float, findings: Findings
) -> None:
    """Warm calls: case after case, the libraries in turn, round after round."""
    if not cases:
        return
    with workers_for(libraries) as workers:
        for case in cases:
            taking_part = prepared(case, workers, findings)
            samples: dict[str, list[float]] = {library: [] for library in taking_part}
            for number in range(rounds):
                for library, worker in taking_part.items():
                    note(f"{case.name}, round {number + 1}/{rounds}: {library}")
                    time.sleep(SETTLED)
                    answer = worker.ask("measure", case=case.name, seconds=seconds)
                    if took(answer, case, library, findings):
                        samples[library].append(answer["figure"])
            for library, worker in taking_part.items():
                worker.ask("drop")
                if samples[library]:
                    findings.add(case, library, samples[library])
            findings.finished(case)


def prepared(case: Case, workers: dict[str, Worker], findings: Findings) -> dict[str, Worker]:
    """The workers that hold the case's program; their results are compared."""
    note(f"{case.name}: preparing")
    asked = {name: worker for name, worker in workers.items() if case.name in worker.cases}

    def prepare(worker: Worker) -> dict[str, Any]:
        return worker.ask("prepare", case=case.name)

    with ThreadPoolExecutor() as pool:  # compilers may run side by side
        answers = dict(zip(asked, pool.map(prepare, asked.values()), strict=True))
    good = {name: a for name, a in answers.items() if took(a, case, name, findings)}
    results = {name: answer["results"] for name, answer in good.items()}
    findings.differences += differences(case, results)
    return {name: asked[name] for name in good}


def took(answer: dict[str, Any], case: Case, library: str, findings: Findings) -> bool:
    """Whether an answer is a good one; the reason is noted where it is not."""
    if "failed" in answer:
        findings.failures[case.name, library] = answer["failed"]
    return "failed" not in answer


def differences(case: Case, results: dict[str, Any]) -> list[str]:
    """Who computes something else than the first that has a result."""
    names = [name for name in results if name not in case.apart]
    return [
        f"{case.name}: {name} and {names[0]} differ"
        for name in names[1:]
        if not alike(results[names[0]], results[name], case.tolerance)
    ]


def alike(one: list[list[Any]], other: list[list[Any]], tolerance: float) -> bool:
    """Whether the results of all calls are alike: shapes, samples, and means by the sums."""
    left, right = ([array for call in calls for array in call] for calls in (one, other))
    if [array["shape"] for array in left] != [array["shape"] for array in right]:
        return False
    for a, b in zip(left, right, strict=True):
        x, y = np.array(a["sample"]), np.array(b["sample"])
        scale = max(float(np.abs(x).max(initial=0)), 1e-30)
        if not np.allclose(x, y, rtol=tolerance, atol=tolerance * scale):
            return False
        size = int(np.prod(a["shape"]))
        if abs(a["sum"] - b["sum"]) > tolerance * scale * max(size, 1):
            return False
    return True


def first_calls(cases: list[Case], libraries: list[str], findings: Findings) -> None:
    """First calls in fresh processes, with an empty folder for caches or with a filled one."""
    for case in cases:
        for library in libraries:
            if case.own and library != "headrace":
                continue
            note(f"{case.name}: {library}")
            samples = first_call(case, library, findings)
            if samples:
                findings.add(case, library, samples)
        findings.finished(case)


def first_call(case: Case, library: str, findings: Findings) -> list[float]:
    """One program's first calls in one library; Headrace's three times."""
    samples: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fill = [""] if case.kind == CACHED else []
        for number in [*fill, *range(1 if LIBRARIES[library].peer else 3)]:
            own = folder if case.kind == CACHED else f"{folder}/{number}"
            answer = alone(library, "first", case, emptied(own))
            if answer is None or not took(answer, case, library, findings):
                return []
            if number != "":
                samples.append(answer["figure"])
    return samples


def alone(
    library: str, do: str, case: Case, variables: dict[str, str] | None = None
) -> dict[str, Any] | None:
    """A fresh worker's answer, or None where it has no such program."""
    worker = Worker(library, variables)
    try:
        return worker.ask(do, case=case.name) if case.name in worker.cases else None
    finally:
        worker.close()


def footprints(cases: list[Case], libraries: list[str], findings: Findings) -> None:
    """Memory, each program in a process of its own, two at a time; a process before it fills
    caches on the disk."""

    def footprint(pair: tuple[Case, str]) -> dict[str, Any] | None:
        note(f"{pair[0].name}: {pair[1]}")
        alone(pair[1], "peak", pair[0])
        return alone(pair[1], "peak", pair[0])

    with ThreadPoolExecutor(2) as pool:
        for case in cases:
            pairs = [(case, library) for library in libraries]
            for (_, library), answer in zip(pairs, pool.map(footprint, pairs), strict=True):
                if answer is not None and took(answer, case, library, findings):
                    findings.add(case, library, [answer["figure"]])
            findings.finished(case)


def note(text: str) -> None:
    """Show what is being done, on one line of the terminal."""
    if sys.stderr.isatty():
        print(f"\r{text:<70}", end="" if text else "\r", file=sys.stderr, flush=True)
