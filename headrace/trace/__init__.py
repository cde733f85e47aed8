"""From Python functions to graphs: `tf.function`, control flow, AutoGraph.

Begin with `function.py`; `func_graph.py` is what a trace collects ops in, `gradients.py` how
calls are differentiated, `control.py` branches and loops. Of the compiler only the options are
loaded with this; the rest comes with the first trace that runs.
"""

from headrace.compile.passes import options
from headrace.trace import autograph, control, explained, function, host, map_fn, tensor_array

__all__ = [
    "autograph",
    "control",
    "explained",
    "function",
    "host",
    "map_fn",
    "options",
    "tensor_array",
]
