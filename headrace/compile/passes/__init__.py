"""Passes: functions from a program to a program that computes the same with less.

`program.py` says what a program is, `show.py` prints one, `verify.py` checks one; each other
file is one pass. `compile/pipeline.py` has their order.
"""
