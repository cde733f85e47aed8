"""Runs one library's programs in an interpreter that has the library, when asked.

    python -m benchmarks.worker LIBRARY

For each line `{"case": ..., "seconds": ...}` on standard input it answers with a line that has
the time of one call, in seconds, averaged over about that long a run. While other workers run
it waits.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from itertools import repeat
from typing import Any

Program = Callable[[], Any]


def calls_in(program: Program, seconds: float) -> int:
    """How many calls take about so long, once the program is warm (traced, compiled)."""
    clock(program, 10)
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
        library = importlib.import_module(f"benchmarks.implementations.{sys.argv[1]}")
        programs = library.cases()
        counts: dict[str, int] = {}
        print(json.dumps({"cases": list(programs)}), file=answers, flush=True)
        for line in sys.stdin:
            request = json.loads(line)
            case, seconds = request["case"], request["seconds"]
            if case not in counts:
                counts[case] = calls_in(programs[case], seconds)
            taken = clock(programs[case], counts[case]) / counts[case]
            print(json.dumps({"seconds": taken}), file=answers, flush=True)


if __name__ == "__main__":
    main()
