"""Flags are read when asked for, and refuse what they cannot be."""

import os
import re
from pathlib import Path

import pytest

import headrace
from headrace.base import flags

PACKAGE = Path(headrace.__file__).parent


@pytest.fixture
def clean(monkeypatch):
    for name in flags.FLAGS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("flag", flags.FLAGS.values(), ids=lambda flag: flag.name)
def test_every_flag_has_a_default_and_says_what_it_is(flag, clean):
    assert flag.parse(flag.default) == flag.value
    assert flag.doc.endswith(".") and flag.allowed
    assert repr(flag) == f"<flag {flag.name}={flag.default!r}>"


def test_values(clean):
    assert flags.COMPILE.value == "auto"
    assert flags.THREADS.value >= 1
    assert flags.KERAS_HOME.value == Path.home() / ".keras"
    assert flags.DUMP.value == frozenset()
    with flags.DUMP.override("loops, llvm"), flags.THREADS.override("3"):
        assert flags.DUMP.value == {"loops", "llvm"}
        assert flags.THREADS.value == 3
    for nowhere in ("", "0"):
        with flags.CACHE.override(nowhere):
            assert flags.CACHE.value is None
    with flags.CACHE.override("~/here"):
        assert flags.CACHE.value == Path.home() / "here"


def test_override_puts_back_what_was_there(clean, monkeypatch):
    with flags.COMPILE.override("never"):
        assert flags.COMPILE.value == "never"
    assert "HEADRACE_COMPILE" not in os.environ
    monkeypatch.setenv("HEADRACE_COMPILE", "always")
    with pytest.raises(RuntimeError), flags.COMPILE.override("never"):
        raise RuntimeError
    assert flags.COMPILE.value == "always"


REFUSED = [
    (flags.COMPILE, "sometimes", "it can be auto, always (or 1) or never (or 0)."),
    (flags.THREADS, "-1", "it can be a whole number from 0 on."),
    (flags.THREADS, "two", "it can be a whole number from 0 on."),
    (flags.LOG_LEVEL, "loud", "it can be 0, 1, 2 or 3."),
]


@pytest.mark.parametrize(("flag", "text", "allowed"), REFUSED)
def test_a_wrong_text_is_refused(flag, text, allowed):
    expected = f"The environment variable {flag.name} is {text!r}; {allowed}"
    with flag.override(text), pytest.raises(ValueError, match=re.escape(expected)):
        _ = flag.value


def test_nobody_else_reads_the_environment():
    reads = re.compile(r"\benviron\b|\bgetenv\b")
    others = [path for path in PACKAGE.rglob("*.py") if path.name != "flags.py"]
    assert [str(path) for path in others if reads.search(path.read_text("utf-8"))] == []
