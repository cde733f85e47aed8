"""DLPack: tensors to and from other libraries (`tf.experimental.dlpack`).

`np.from_dlpack(tensor)` needs none of this: tensors speak the protocol themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.export import export
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.core.variable import Variable

_CPU = (1, 0)


class _Holder:
    """A capsule in the form in which NumPy takes it: as an object that can make one."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


@export("experimental.dlpack.to_dlpack")
def to_dlpack(tf_tensor: Any) -> Any:
    """A tensor's value as a DLPack capsule, which another library can take once.

    Args:
        tf_tensor: eager tensor or variable; nobody may write to the memory.
    Raises:
        TypeError: no tensor.
        InvalidArgumentError: a dtype that DLPack (or NumPy's) does not know: text, bfloat16.

    >>> capsule = tf.experimental.dlpack.to_dlpack(tf.constant([1., 2.]))
    >>> tf.experimental.dlpack.from_dlpack(capsule).numpy()
    array([1., 2.], dtype=float32)
    """
    tensor = tf_tensor.value() if isinstance(tf_tensor, Variable) else tf_tensor
    if not isinstance(tensor, EagerTensor):
        raise TypeError(
            "The argument to `to_dlpack` must be a TF tensor, not Python object: got "
            f"{type(tf_tensor).__name__}"
        )
    try:
        return tensor._array.__dlpack__()
    except (BufferError, TypeError, ValueError):
        raise errors.invalid_argument(
            f"DT_{tensor.dtype.name.upper()} is not supported by dlpack"
        ) from None


@export("experimental.dlpack.from_dlpack")
def from_dlpack(dlcapsule: Any) -> Tensor:
    """A tensor of the value in a DLPack capsule; the value is copied: tensors are constant.

    Args:
        dlcapsule: capsule that nobody has taken yet, or an object that speaks the protocol.
    Raises:
        InvalidArgumentError: no such capsule, or one that was taken before.
    """
    source = dlcapsule if hasattr(dlcapsule, "__dlpack__") else _Holder(dlcapsule)
    try:
        return wrap(np.array(np.from_dlpack(source)))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise errors.invalid_argument(
            f"A DLPack capsule that was not taken yet is needed, got {dlcapsule!r}: {error}"
        ) from None
