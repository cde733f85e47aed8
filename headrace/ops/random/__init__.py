"""Random numbers: the very ones that TensorFlow draws for the same seeds.

`stateful.py` is where to begin; `stateless.py`, `counts.py` and `generator.py` follow it.
"""

from headrace.ops.random import counts, generator, stateful, stateless

__all__ = ["counts", "generator", "stateful", "stateless"]
