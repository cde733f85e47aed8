"""The variables of a layer: its own, and those of the layers that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import headrace as tf
from headrace.keras import constraints, initializers, regularizers
from headrace.keras.engine.call_context import context
from headrace.keras.engine.tracking import Tracked


class Weighted(Tracked):
    """What has weights: the base of `Layer`."""

    _dtype: Any
    _trainable: bool
    _regularized: list[tuple[Any, Any]]
    built: bool
    name: Any

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = tf.VariableSynchronization.AUTO,
        aggregation: Any = tf.VariableAggregation.NONE,
        **kwargs: Any,
    ) -> Any:
        """A new variable of this layer.

        Args:
            name: its name within the layer.
            shape: its shape (default: scalar).
            dtype: its dtype (default: the layer's).
            initializer: what `keras.initializers.get` takes (default: glorot_uniform for
                floats, zeros for others).
            regularizer: what `keras.regularizers.get` takes.
            trainable: whether it is trained (default True).
            constraint: what `keras.constraints.get` takes.
            use_resource: accepted; variables are always resources.
            synchronization, aggregation: for copies on several devices.
        Raises:
            TypeError: another argument. ValueError: no initializer for the dtype.
        """
        unknown = (
            set(kwargs)
            - {"collections", "experimental_autocast", "caching_device"}
            - {"getter", "layout", "experimental_enable_variable_lifting"}
        )
        if unknown:
            raise TypeError("Unknown keyword argument:", unknown.pop())
        wanted = self._dtype if dtype is None else tf.as_dtype(dtype)
        dims = () if shape is None else tuple(tf.TensorShape(shape))
        make = initializers.get(initializer) or _default_initializer(name, wanted)
        on_read = synchronization is tf.VariableSynchronization.ON_READ
        if trainable and on_read:
            raise ValueError(
                "Synchronization value can be set to VariableSynchronization.ON_READ only for "
                "non-trainable variables."
            )
        value = make(dims, dtype=wanted) if callable(make) else make
        variable = tf.Variable(
            value,
            trainable=(not on_read) if trainable is None else trainable,
            name=_scoped(name or "Variable"),
            dtype=wanted,
            constraint=constraints.get(constraint),
            synchronization=synchronization,
            aggregation=aggregation,
        )
        self._track(id(variable), variable)
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            self._regularized.append((variable, penalty))
        return variable

    _own_first = True
    """Whether its own variables stand before those of the layers that it holds."""

    def _gather(self, attribute: str, own: Callable[[list[Any]], list[Any]]) -> list[Any]:
        """Some of its own variables, and those in an attribute of each module that it holds."""
        mine: list[Any] = []
        below: list[Any] = []
        for item in self._held():
            if isinstance(item, tf.Variable):
                mine.append(item)
            else:
                below.extend(getattr(item, attribute))
        return distinct(own(mine) + below if self._own_first else below + own(mine))

    def _sublayers(self) -> list[Any]:
        return [item for item in self._held() if isinstance(item, Weighted)]

    def _flatten_layers(self) -> Iterator[Any]:
        """This layer, then all below it, depth first."""
        yield self
        for layer in self._sublayers():
            yield from layer._flatten_layers()

    @property
    def trainable_weights(self) -> list[Any]:
        """The variables that are trained, its own first."""
        return self._keep("trainable", self._find_trainable).copy()

    def _find_trainable(self) -> list[Any]:
        return self._gather("trainable_variables", _trained) if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The variables that are not trained."""
        if self._trainable:
            return self._gather("non_trainable_variables", _fixed)
        return self._gather("variables", trained_first)

    @property
    def weights(self) -> list[Any]:
        """All variables, the trained ones first."""
        return distinct(self.trainable_weights + self.non_trainable_weights)

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that are trained."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables that are not trained."""
        return self.non_trainable_weights

    @property
    def variables(self) -> list[Any]:
        """All variables."""
        return self.weights

    def get_weights(self) -> list[np.ndarray]:
        """The values of all weights as arrays."""
        return [np.asarray(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all weights values.

        Args:
            weights: arrays in the order of `weights`.
        Raises:
            ValueError: not as many, or another shape; nothing is changed.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a weight '
                "list of "
                f"length {len(weights)}, but the layer was expecting {len(variables)} weights. "
                f"Provided weights: {str(weights)[:50]}..."
            )
        for variable, value in zip(variables, weights, strict=True):
            if not variable.shape.is_compatible_with(np.shape(value)):
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {np.shape(value)}."
                )
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(tf.cast(value, variable.dtype))

    def count_params(self) -> int:
        """The number of numbers in its weights.

        Raises:
            ValueError: it has not been built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name}, but the layer isn't "
                f"built. You can build it manually via: `{self.name}.build(batch_input_shape)`."
            )
        return sum(int(np.prod(v.shape.as_list())) for v in self.weights)


def _trained(variables: list[Any]) -> list[Any]:
    return [v for v in variables if v.trainable]


def _fixed(variables: list[Any]) -> list[Any]:
    return [v for v in variables if not v.trainable]


def trained_first(variables: list[Any]) -> list[Any]:
    """The variables, those that are trained before the others."""
    return _trained(variables) + _fixed(variables)


def _scoped(name: str) -> str:
    return f"{context.scope}/{name}" if context.scope else name


def _default_initializer(name: str | None, dtype: Any) -> Any:
    if dtype.is_floating:
        return initializers.get("glorot_uniform")
    if dtype.is_integer or dtype.is_bool:
        return initializers.get("zeros")
    raise ValueError(
        f"An initializer for variable {name} of type {dtype} is required for layer."
    )


def distinct(items: list[Any]) -> list[Any]:
    """The items, each once."""
    seen: set[int] = set()
    return [x for x in items if not (id(x) in seen or seen.add(id(x)))]
