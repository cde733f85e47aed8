"""AutoGraph: Python's control flow on tensors becomes the graph's.

`convert` gives a function whose `if`, `while`, `for`, `and`... look at their values when they
run: tensors of the graph that is being built make `tf.cond` and `tf.while_loop`, all else is
plain Python. Begin with `conversion.py` (from source to code), then `operators.py`,
`branches.py` and `loops.py` (what the code calls). Little is imported before it is needed.
"""

from headrace.trace.autograph.api import convert

__all__ = ["convert"]
