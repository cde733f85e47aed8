"""The benchmark's driver: workers answer, medians and ratios are printed, no path is kept."""

import json

from benchmarks import run
from benchmarks.cases import ADD, CASES, IMPORT, TAPE


def test_numpy_is_measured():
    figures = run.measure(["numpy"], rounds=1, seconds=0.001)
    assert set(figures) < {IMPORT, *CASES} and TAPE not in figures
    assert all(0 < times["numpy"] < 5 for times in figures.values())


def test_headrace_has_all_cases():
    worker = run.Worker("headrace")
    try:
        assert worker.cases == set(CASES)
        for case in CASES:
            assert 0 < worker.measure(case, 0.001) < 1
    finally:
        worker.close()


def test_the_table_has_ratios():
    figures = {ADD: {"headrace": 2e-6, "torch": 5e-6}, IMPORT: {"headrace": 0.1}}
    assert run.table(figures, ["headrace", "torch"]).splitlines() == [
        f"{'':<34}{'headrace':>22}{'torch':>22}",
        f"{'t + u':<34}{'2 µs':>22}{'5 µs (× 2.5)':>22}",
        f"{'import':<34}{'100 ms':>22}{'-':>22}",
        "× n: takes n times Headrace's time. Medians; smaller is better.",
    ]


def test_a_peer_that_is_not_there_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "PEERS", tmp_path / "python")
    assert [name for name in run.LIBRARIES if run.at_hand(name)] == ["headrace", "numpy"]


def test_the_history_names_no_paths():
    if run.HISTORY.exists():
        for line in run.HISTORY.read_text(encoding="utf-8").splitlines():
            assert {"date", "commit", "cpu", "cores", "versions", "microseconds"} <= set(
                json.loads(line)
            )
            assert "/home" not in line and str(run.ROOT) not in line
