"""Write the California housing data into a folder where scikit-learn looks for it.

`sklearn.datasets.fetch_california_housing()` downloads a table of 20,640 districts once and
keeps it as a joblib file in its data home. Where that table is at hand as a CSV file, this
tool writes the same file, so that a program that calls the function needs no network.

    python -m tools.housing_cache cal_housing.csv.gz DATA_HOME

The columns of the CSV file, in the order of the table that scikit-learn downloads: longitude,
latitude, median age, rooms, bedrooms, population, households, median income, median value.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import tempfile
from pathlib import Path

import joblib
import numpy as np

# scikit-learn keeps the target first and the place last.
COLUMNS = {
    "medianHouseValue": 8,
    "medianIncome": 7,
    "housingMedianAge": 2,
    "totalRooms": 3,
    "totalBedrooms": 4,
    "population": 5,
    "households": 6,
    "latitude": 1,
    "longitude": 0,
}
CACHE_NAME = "cal_housing_py3.pkz"


def read_table(path: Path) -> np.ndarray:
    """The raw table, float64 [districts, 9], from a CSV file (perhaps gzipped) with a header.

    Raises:
        ValueError: the header is another one, or a field is missing or no number.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    expected = sorted(COLUMNS, key=lambda name: COLUMNS[name])
    if header != expected:
        raise ValueError(f"{path} has the columns {header}, not {expected}.")
    table = np.array(rows, dtype=np.float64)
    if table.shape != (len(rows), len(COLUMNS)):
        raise ValueError(f"{path} has rows that are not {len(COLUMNS)} fields long.")
    return table


def write_cache(table: np.ndarray, data_home: Path) -> Path:
    """Write the raw table as scikit-learn's cache file; the old one stays until it is whole.

    Args:
        table: float64 [districts, 9], columns as in `read_table`.
        data_home: the folder that `SCIKIT_LEARN_DATA` names; made when missing.
    Returns:
        the path of the file.
    """
    data_home.mkdir(parents=True, exist_ok=True)
    target = data_home / CACHE_NAME
    handle, partial = tempfile.mkstemp(dir=data_home, prefix=CACHE_NAME, suffix=".part")
    os.close(handle)
    try:
        joblib.dump(table[:, list(COLUMNS.values())], partial, compress=6)
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill scikit-learn's housing data cache.")
    parser.add_argument("table", type=Path, help="the raw table as CSV, perhaps gzipped")
    parser.add_argument("data_home", type=Path, help="scikit-learn's data home")
    options = parser.parse_args()
    write_cache(read_table(options.table), options.data_home)


if __name__ == "__main__":
    main()
