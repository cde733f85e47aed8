"""Lists of tensors: the value itself, ops on single items, and on several items at once."""

from headrace.ops.tensor_list import elements, slices, value

__all__ = ["elements", "slices", "value"]
