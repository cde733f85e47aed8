"""The op tables, by family. Importing this package enters all of them.

Here the few functions that lower floors call are handed to them (`core.convert.hooks`).
"""

from headrace.core import devices, dlpack, messages, module, scopes
from headrace.core.convert import hooks
from headrace.ops import (
    assertions,
    cast,
    compare,
    concat_pad,
    create,
    einsum,
    elementwise,
    gather,
    host,
    math,
    matmul,
    nn,
    operators,
    random,
    reduce,
    reshape,
    scan,
    scatter,
    segment,
    shapes,
    state,
    strided_slice,
    tensor_list,
    training,
    transcendental,
)

hooks.pack = concat_pad.stack
hooks.concat, hooks.reduce_prod = concat_pad.concat, reduce.reduce_prod
hooks.ones, hooks.ones_like, hooks.range = create.ones, create.ones_like, create.range_
hooks.cast = cast.cast
hooks.densify = segment.densify
hooks.conjugate = cast.conjugate
hooks.reduce_sum = reduce.reduce_sum
hooks.range_of_rank = create.range_of_rank
hooks.slice = strided_slice.slice_

__all__ = [
    "assertions",
    "cast",
    "compare",
    "concat_pad",
    "create",
    "devices",
    "dlpack",
    "einsum",
    "elementwise",
    "gather",
    "host",
    "matmul",
    "messages",
    "math",
    "module",
    "nn",
    "operators",
    "random",
    "reduce",
    "reshape",
    "scan",
    "scatter",
    "scopes",
    "segment",
    "shapes",
    "state",
    "strided_slice",
    "tensor_list",
    "training",
    "transcendental",
]
