"""The cache file is what scikit-learn would have written."""

import gzip

import joblib
import numpy as np
import pytest
from sklearn.datasets import fetch_california_housing

from tools.housing_cache import CACHE_NAME, COLUMNS, read_table, write_cache

# The first two districts of the table, as published.
ROWS = [
    [-122.23, 37.88, 41, 880, 129, 322, 126, 8.3252, 452600],
    [-122.22, 37.86, 21, 7099, 1106, 2401, 1138, 8.3014, 358500],
]
HEADER = sorted(COLUMNS, key=lambda name: COLUMNS[name])


def text(header, rows):
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n"


def test_scikit_learn_reads_it(tmp_path):
    table = tmp_path / "table.csv.gz"
    table.write_bytes(gzip.compress(text(HEADER, ROWS).encode()))
    write_cache(read_table(table), tmp_path / "home")
    housing = fetch_california_housing(data_home=tmp_path / "home", download_if_missing=False)
    expected = [8.3252, 41, 880 / 126, 129 / 126, 322, 322 / 126, 37.88, -122.23]
    np.testing.assert_array_equal(housing.data[0], expected)
    np.testing.assert_array_equal(housing.target, [4.526, 3.585])
    assert housing.data.dtype == np.float64


@pytest.mark.parametrize(
    "content",
    [
        text(HEADER[::-1], ROWS),
        text(HEADER, [["", *ROWS[0][1:]]]),
        text(HEADER, [ROWS[0][:-1]]),
    ],
)
def test_another_table_is_refused(tmp_path, content):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(ValueError):
        read_table(tmp_path / "table.csv")


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    write_cache(np.array(ROWS), tmp_path)
    before = (tmp_path / CACHE_NAME).read_bytes()

    def fail(value, path, **options):
        raise OSError("no space left")

    monkeypatch.setattr(joblib, "dump", fail)
    with pytest.raises(OSError, match="no space left"):
        write_cache(np.zeros([2, 9]), tmp_path)
    assert (tmp_path / CACHE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [CACHE_NAME]
