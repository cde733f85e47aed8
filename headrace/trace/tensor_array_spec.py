"""`tf.TensorArraySpec`: what is known of a TensorArray before it exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base.dtypes import as_dtype, float32, variant
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.type_spec import TensorSpec, TypeSpec


@export("TensorArraySpec")
class TensorArraySpec(TypeSpec):
    """Dtype and shape of a TensorArray's tensors, and whether it can grow.

    Args:
        element_shape: shape of the tensors, as far as it is known.
        dtype: of the tensors.
        dynamic_size: whether a write beyond the end makes the array longer.
        infer_shape: whether all tensors have one shape.

    >>> tf.TensorArraySpec([2], tf.float32)
    TensorArraySpec(TensorShape([2]), tf.float32, False, True)
    """

    value_type: Any = None

    def __init__(
        self,
        element_shape: Any = None,
        dtype: Any = float32,
        dynamic_size: bool = False,
        infer_shape: bool = True,
    ) -> None:
        self._element_shape = TensorShape(element_shape)
        self._dtype = as_dtype(dtype)
        self._dynamic_size, self._infer_shape = dynamic_size, infer_shape

    @classmethod
    def from_value(cls, value: Any) -> TensorArraySpec:
        """The spec of a TensorArray.

        Raises:
            TypeError: it is none.
        """
        if not isinstance(value, cls.value_type):
            raise TypeError(f"Expected value to be a TensorArray, but got: `{type(value)}`")
        return cls(value.element_shape, value.dtype, value.dynamic_size, value._infer)

    @property
    def _component_specs(self) -> list[TensorSpec]:
        return [TensorSpec([], variant)]

    def _to_components(self, value: Any) -> list[Any]:
        return [value._flow]

    def _from_components(self, components: Sequence[Any]) -> Any:
        return self.value_type(
            self._dtype,
            dynamic_size=self._dynamic_size,
            flow=components[0],
            infer_shape=self._infer_shape,
            element_shape=self._element_shape,
        )

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a TensorArray (or one of a spec) could be one of this spec."""
        if isinstance(other, self.value_type):
            other = self.from_value(other)
        return (
            isinstance(other, TensorArraySpec)
            and self._dtype == other._dtype
            and self._dynamic_size == other._dynamic_size
            and self._element_shape.is_compatible_with(other._element_shape)
        )

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each array of this spec is one of the other, too."""
        return (
            isinstance(other, TensorArraySpec)
            and self._dtype == other._dtype
            and self._dynamic_size == other._dynamic_size
            and self._element_shape.is_subtype_of(other._element_shape)
        )

    def most_specific_common_supertype(self, others: Sequence[Any]) -> TensorArraySpec | None:
        """The narrowest spec that this one and all others are subtypes of, or None."""
        shape = self._element_shape
        for other in others:
            if not isinstance(other, TensorArraySpec) or (
                (self._dtype, self._dynamic_size) != (other._dtype, other._dynamic_size)
            ):
                return None
            shape = shape.most_specific_compatible_shape(other._element_shape)
        return TensorArraySpec(shape, self._dtype, self._dynamic_size, self._infer_shape)

    def _key(self) -> tuple[Any, ...]:
        shape = self._element_shape
        dims = None if shape.rank is None else tuple(shape.as_list())
        return dims, self._dtype, self._dynamic_size, self._infer_shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorArraySpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return (
            f"TensorArraySpec({self._element_shape!r}, {self._dtype!r}, {self._dynamic_size}, "
            f"{self._infer_shape})"
        )
