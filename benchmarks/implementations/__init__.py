"""How each library does it.

A module has `PROGRAMS`, a table from the names of programs to their makers, or a function
`programs(variant)` that gives one. A maker takes a case's inputs and returns a function without
arguments: the call that is measured. What that returns is compared between the libraries, but
for None. `to_numpy` makes an array of one of its results.
"""
