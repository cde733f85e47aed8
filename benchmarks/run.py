"""Measures Headrace and its peers side by side, and prints the table.

    python -m benchmarks.run [--case PATTERN ...] [--only LIBRARY ...] [--rounds N]
                             [--seconds S] [--best] [--list] [--record]

    python -m benchmarks.run --case huber gelu --only headrace torch
    python -m benchmarks.run --case 'matmul*' --rounds 9

Each library runs in a process of its own; the rounds go A B C, A B C, so that a slow minute of
the machine hits all alike. A figure is the median of the rounds. Peers are measured where
`make bench-peers` has made their environment, or where HEADRACE_PEERS names a Python that has
them. A run of all cases adds one line to `benchmarks/history.jsonl`.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks import report
from benchmarks.cases import CASES, chosen
from benchmarks.libraries import LIBRARIES
from benchmarks.measure import Findings, measure


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure Headrace and its peers.")
    parser.add_argument(
        "--case", nargs="+", default=[], metavar="PATTERN", help="part of names"
    )
    parser.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="per case and round")
    parser.add_argument(
        "--best",
        action="store_true",
        help="the fastest round, not the median",
    )
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--record", action="store_true", help="into the history in any case")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, remember; 1 where results differ."""
    options = options_of(arguments)
    cases = chosen(options.case)
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    libraries = [name for name in options.only if LIBRARIES[name].at_hand()]
    findings = Findings(min if options.best else statistics.median)
    findings.finished = lambda case: print(report.row(case, findings, libraries), flush=True)
    print(report.head(libraries), flush=True)
    measure(cases, libraries, options.rounds, options.seconds, findings)
    print(report.foot(findings, libraries))
    if options.record or (
        not options.best and cases == CASES and options.only == list(LIBRARIES)
    ):
        report.remember(findings, libraries, options.rounds)
    return 1 if findings.differences else 0


if __name__ == "__main__":
    sys.exit(main())
