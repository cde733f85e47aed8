"""The benchmarks: programs compute the same, workers answer, tables and history are right."""

import json
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import headrace as tf
from benchmarks import data, figures, libraries, measure, report, run, worker
from benchmarks.cases import CACHED, CALL, CASES, IMPORT, MEMORY, TRAINING, Ask, Case, chosen
from benchmarks.implementations import numpy as in_numpy
from benchmarks.implementations import tensorflow as in_headrace
from benchmarks.implementations.tensorflow import kernels, training
from benchmarks.measure import Findings

ADD = chosen(["t + u"])[0]
SMALL = {
    "huber": partial(data.huber, 100),
    "layer norm": partial(data.layer_norm, 20, 10),
    "gelu": partial(data.gelu, 100),
    "matmul": partial(data.square, 16),
    "chain": partial(data.vector, 100),
    "reduction": partial(data.vector, 100),
    "gather": partial(data.picked, 100),
    "scatter-add": partial(data.picked, 100),
    "softmax loss": partial(data.softmax_losses, 20, 10),
    "adam": partial(data.adam, 2000),
    "matvec": partial(data.matrix_vector, 100),
    "mlp": partial(data.mlp, 1, 16),
    "lstm": partial(data.lstm, steps=3, width=4, batch=2, units=5),
    "transformer": partial(data.transformer, batch=2, tokens=3, width=8, ffn=16),
    "notes step": data.notes,
    "cube": data.cube,
    "graph": partial(data.graph, 30),
}
BOTH = sorted(set(SMALL) & set(in_numpy.PROGRAMS))


def summaries(result):
    return [worker.summary(np.asarray(array)) for array in worker.flat(result)]


@pytest.mark.parametrize("name", BOTH)
def test_headrace_computes_what_numpy_does(name):
    inputs = SMALL[name]()
    wanted = in_numpy.programs("numpy")[name](inputs)
    program = in_headrace.programs("headrace")[name](inputs)
    for _ in range(3):
        one, other = summaries(wanted()), summaries(program())
        assert one and measure.alike([one], [other], 1e-4)


@pytest.mark.parametrize("name", sorted({case.program for case in TRAINING} & set(SMALL)))
def test_training_as_in_eager_code_lowers_the_loss(name):
    inputs = SMALL[name]()
    if name == "notes step":  # the same batch again and again, as in the other cases
        inputs |= {key: inputs[key][:32].repeat(data.STEPS, axis=0) for key in "xy"}
    make = {**kernels.PROGRAMS, **training.PROGRAMS}[name]
    eager = make(tf, lambda body: body, inputs)
    program = in_headrace.programs("headrace")[name](inputs)
    losses = [float(program()) for _ in range(20)]
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, [float(eager()) for _ in range(20)], rtol=1e-3)


def test_each_case_is_some_program_of_headrace():
    programs = in_headrace.programs("headrace")
    for case in CASES:
        assert case.kind == IMPORT or case.program in programs
    assert len({case.name for case in CASES}) == len(CASES)


def measured(cases, names):
    findings, done = Findings(), []
    findings.finished = done.append
    measure.measure(cases, names, 1, 0.001, findings)
    assert done == cases
    return findings


def test_each_call_of_eager_headrace_is_measured():
    cases = [case for case in CASES if case.inputs is data.small]
    findings = measured(cases, ["headrace", "numpy"])
    assert not findings.failures and not findings.differences and len(cases) == 7
    assert all(0 < figures["headrace"] < 1 for figures in findings.figures.values())


def test_imports_are_measured():
    findings = measured(chosen(["import"]), ["headrace", "numpy"])
    assert [len(figures) for figures in findings.figures.values()] == [2, 1]
    assert all(0 < figures["headrace"] < 5 for figures in findings.figures.values())


def test_first_calls_and_memory_are_measured_alone():
    (first,) = chosen(["first call of notes' step, cached"])
    assert 0 < measure.alone("headrace", "first", first)["figure"] < 60
    (cube,) = chosen(["cube"])
    found = measured([replace(cube, kind=CACHED)], ["headrace"])
    assert 0 < found.figures[cube.name]["headrace"] < 60
    own = worker.Worker("headrace")
    own.programs = {"hungry": lambda inputs: lambda: np.ones(10_000_000).sum()}
    peak = own.peak(Case("a case", "hungry", dict, kind=MEMORY))
    assert 75e6 < peak < 120e6


def test_a_program_that_cannot_be_made_is_shown():
    own = worker.Worker("headrace")
    case = Case("a case", "broken", dict)
    own.cases, own.programs = {"a case": case}, {"broken": lambda inputs: inputs["x"]}
    answer = own.answer({"do": "prepare", "case": "a case"})
    assert answer == {"failed": "KeyError: 'x'"}
    findings = Findings(failures={(ADD.name, "torch"): "AttributeError: nothing"})
    findings.add(ADD, "headrace", [2e-6])
    cells = report.row(ADD, findings, ["headrace", "torch"]).split()
    assert cells == ["t", "+", "u", "2", "µs", "n/a"]
    assert report.foot(findings, ["torch"]) == "n/a: t + u: torch: AttributeError: nothing"


def test_differences_are_found():
    def result(*values, shape=(2,)):
        return [[{"shape": list(shape), "sum": sum(values), "sample": list(values)}]]

    case = Case("a case", tolerance=1e-3)
    results = {
        "numpy": result(1.0, 2.0),
        "jax": result(1.0005, 2.0),
        "torch": result(1.01, 2.0),
        "xla": result(1.0, 2.0, shape=(2, 1)),
        "tensorflow": result(1.0, float("nan")),
    }
    assert measure.differences(case, results) == [
        f"a case: {name} and numpy differ" for name in ("torch", "xla", "tensorflow")
    ]


def test_a_summary_has_the_sum_and_a_sample():
    array = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    found = worker.summary(array)
    assert found["shape"] == [100, 100] and found["sum"] == array.sum(dtype=np.float64)
    assert found["sample"] == list(range(0, 10_000, 5))


def test_a_call_is_timed():
    taken = worker.clock(lambda: time.sleep(0.01), 3)
    assert 0.03 <= taken < 1
    assert 1 <= worker.calls_in(lambda: time.sleep(0.01), 0.03) <= 3


def test_the_table_has_ratios_and_asks():
    findings = Findings(middle=min)
    product, cube = chosen(["matmul 1024", "cube"])[::-1]
    for case, library, figure in [
        (ADD, "headrace", 2e-6),
        (ADD, "torch", 5e-6),
        (product, "headrace", 0.012),
        (product, "torch", 0.01),
        (cube, "headrace", 3e-6),
        (cube, "torch", 2e-6),
        (cube, "jax", 8e-6),
    ]:
        findings.add(case, library, [figure, 1.0])
    both = ["headrace", "torch"]
    rows = {c.name: report.row(c, findings, both)[34:] for c in (ADD, product, cube)}
    assert rows["t + u"] == f"{'2 µs':>20}{'5 µs ×2.5':>20}"
    assert rows["matmul 1024"].split() == (
        "12 ms 179G 10 ms 215G ×0.833 1.20 of torch (≤ 1.00) MISSED".split()
    )
    assert rows["cube, warm"].endswith("0.38 of jax (≤ 0.50) holds")


def test_asks_of_limits_and_of_other_cases():
    small, large = chosen(["first call, 500", "first call, 8000"])
    figures = {small.name: {"headrace": 0.5}, large.name: {"headrace": 9.0}}
    assert report.standing(large, figures) == f"18.0 of {small.name} (≤ 24.0) holds"
    either = Case("a case", ask=Ask(1.2, limit=5e-6))
    found = {"a case": {"headrace": 4e-6, "torch": 1e-6}}
    assert report.standing(either, found) == "4.00 of torch (≤ 1.20) (≤ 5 µs) holds"


def test_cases_are_chosen_by_patterns():
    assert [case.name for case in chosen(["HUBER", "*mul ?5"])] == [
        "huber 1e7",
        "matmul 256",
    ]
    assert chosen([]) == CASES
    assert {case.kind for case in chosen(["memory"])} == {MEMORY}


def test_a_small_run_prints_and_is_not_recorded(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(report, "HISTORY", tmp_path / "history.jsonl")
    arguments = ["--case", "t + u", "--only", "numpy", "--rounds", "1", "--seconds", "0.001"]
    assert run.main(arguments) == 0
    assert "t + u" in capsys.readouterr().out
    assert not report.HISTORY.exists()
    assert run.main([*arguments, "--record"]) == 0
    (line,) = report.lines_of_history(report.HISTORY)
    assert line["microseconds"]["t + u"]["numpy"] > 0 and line["bytes"] == {}


def test_a_peer_that_is_not_there_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(libraries, "PEERS", tmp_path / "python")
    found = [name for name, library in libraries.LIBRARIES.items() if library.at_hand()]
    assert found == ["headrace", "numpy"]


def test_the_history_names_no_paths():
    for line in report.lines_of_history():
        assert {"date", "commit", "cpu", "cores", "versions", "microseconds"} <= set(line)
        text = json.dumps(line)
        assert "/home" not in text and str(libraries.ROOT) not in text
    assert all(case.kind == CALL for case in TRAINING)


@pytest.mark.parametrize("path", figures.FILES, ids=lambda path: path.name)
def test_tables_of_figures_come_from_the_last_line_of_the_history(path):
    text = path.read_text(encoding="utf-8")
    last = report.lines_of_history()[-1]
    assert figures.written(text, last, figures.FILES[path]) == text


def test_a_table_of_figures():
    line = {"microseconds": {"t + u": {"headrace": 0.5, "torch": 1.0}}, "bytes": {}}
    assert figures.table(line, CASES).splitlines()[2] == (
        "| `t + u` | 0.5 µs | | | | | 1 µs | | |"
    )
