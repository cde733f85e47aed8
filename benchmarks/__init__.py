"""Benchmarks: the same small programs in Headrace and its peers, measured side by side.

`cases.py` says what is measured, `implementations/` how each library does it, `worker.py` runs
inside one library's interpreter, and `run.py` drives the workers in turn and prints the table.
"""
