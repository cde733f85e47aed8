"""Files, functions, lines and folders keep to their sizes (see `tools/sizes.py`)."""

import pytest

from tools.sizes import FOLDER, LINE, PACKAGE, ROOT, crowded, files, too_big

pytestmark = pytest.mark.smoke


def test_sizes_of_the_package():
    assert list(too_big(files())) == []
    assert list(crowded(PACKAGE)) == []


def test_sizes_of_what_stands_beside_it():
    for folder in ("tools", "benchmarks", "examples"):
        assert list(too_big(files(ROOT / folder))) == []


def test_what_is_too_big_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.sizes.ROOT", tmp_path)
    long_function = "def f():\n" + "    pass\n" * 81
    (tmp_path / "function.py").write_text(long_function)
    (tmp_path / "file.py").write_text("pass\n" * 601)
    (tmp_path / "line.py").write_text("#" * (LINE + 1))
    fits = f'"""Module."""\n\n\ndef f():\n    """{"x" * 40}"""\n' + "    pass\n" * 80
    (tmp_path / "fits.py").write_text(fits)
    complaints = list(too_big(files(tmp_path)))
    assert [complaint.partition(".py")[0] for complaint in complaints] == [
        "file",
        "function",
        "line",
    ]
    for number in range(FOLDER + 1):
        (tmp_path / f"{number}.py").touch()
    assert len(list(crowded(tmp_path))) == 1
