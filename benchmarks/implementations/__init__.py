"""One module a library; each has `cases()`, a function that returns `{case: program}`."""
