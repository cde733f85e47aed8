"""The pages are true: the miniature runs, examples print what they say, links lead on."""

import doctest
import re
import subprocess
import sys

import numpy as np
import pytest

import headrace
from tools.sizes import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("headrace/**/*.md")])
# Files and folders of this repository that a page names in `code`.
NAMED = re.compile(r"`((?:headrace|tests|tools|benchmarks|examples|docs)/[\w./]+)`")


def test_the_miniature_runs():
    command = [sys.executable, "-W", "error", str(ROOT / "docs" / "mini.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_a_page(page):
    text = re.sub(r"^```.*$", "", page.read_text(encoding="utf-8"), flags=re.M)
    names = {"tf": headrace, "keras": headrace.keras, "np": np}
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    lost = [link for link in links if not (page.parent / link).exists()]
    lost += [name for name in NAMED.findall(text) if not (ROOT / name).exists()]
    made = {"docs/ops.md", "headrace/api/golden.txt", "benchmarks/history.jsonl"}
    assert set(lost) - made == set()
