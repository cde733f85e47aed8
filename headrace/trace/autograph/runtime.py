"""What converted code sees as `ag__`: the operators that it calls, under short names."""

from headrace.trace.autograph.branches import if_exp, if_stmt
from headrace.trace.autograph.call import call
from headrace.trace.autograph.errors import PendingReturn, Undefined, UndefinedReturn, ld, ldu
from headrace.trace.autograph.loops import for_stmt, while_stmt
from headrace.trace.autograph.operators import (
    absent,
    and_,
    assert_stmt,
    compare,
    differs,
    list_append,
    no_state,
    no_update,
    none_of,
    not_,
    or_,
    ret,
    set_item,
)

slice = slice
__all__ = [
    "PendingReturn",
    "Undefined",
    "UndefinedReturn",
    "absent",
    "and_",
    "assert_stmt",
    "call",
    "compare",
    "differs",
    "for_stmt",
    "if_exp",
    "if_stmt",
    "ld",
    "ldu",
    "list_append",
    "no_state",
    "no_update",
    "none_of",
    "not_",
    "or_",
    "ret",
    "set_item",
    "slice",
    "while_stmt",
]
