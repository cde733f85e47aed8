"""Clusters: the parts of a program that become native code.

Read `support.py` (what can), `partition.py` (what goes together), `lowering.py` (nodes become
one program of loops, with `builder.py`, `control.py`, `lists.py`) and `call.py` (how it runs).
"""
