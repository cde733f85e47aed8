"""`Layer`: weights, and what is computed with them.

A layer makes its weights when it first sees an input (`build`), computes in `call`, and is
called through `__call__`, which brings the input to the layer's dtype, passes the training mode
on and keeps losses in order. Read `engine/tracking.py` and `engine/weights.py` before.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend, regularizers
from headrace.keras.engine import input_spec as specs
from headrace.keras.engine.call_context import around_calls, context, graph_scope, user_code
from headrace.keras.engine.call_errors import explained
from headrace.keras.engine.tracking import structure
from headrace.keras.engine.weights import Weighted, distinct

_MISSING = object()
_ALLOWED = frozenset(
    "input_dim input_shape batch_input_shape batch_size weights activity_regularizer autocast "
    "implementation".split()
)


def snake_case(name: str) -> str:
    """`MyDense` as `my_dense`."""
    text = re.sub("([a-z0-9])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name))
    text = text.lower()
    return text if text[0] != "_" else f"private{text}"


@export("keras.layers.Layer", "keras.__internal__.Layer")
class Layer(Weighted):
    """Base of all layers.

    Subclasses make weights in `build(input_shape)` with `add_weight`, compute in
    `call(inputs, ...)`, and say in `get_config` how they were made.

    Args:
        trainable: whether its weights are trained.
        name: its name (default: from the class, made unique).
        dtype: dtype of its weights and computations (default: `keras.backend.floatx()`).
        dynamic: whether `call` is plain Python that can't become a graph.
        kwargs: `input_shape`, `batch_input_shape`, `input_dim`, `batch_size`, `weights`,
            `activity_regularizer`, `autocast`.
    Raises:
        TypeError: another argument.

    >>> layer = keras.layers.Dense(2, kernel_initializer="ones")
    >>> layer(np.ones((1, 3))).numpy()
    array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        dynamic: bool = False,
        **kwargs: Any,
    ) -> None:
        for key in kwargs:
            if key not in _ALLOWED:
                raise TypeError("Keyword argument not understood:", key)
        if not isinstance(trainable, (bool, np.bool_)):
            raise TypeError(
                f"Expected `trainable` argument to be a boolean, but got: {trainable}"
            )
        self._name = name or backend.unique_name(snake_case(type(self).__name__))
        self._trainable = bool(trainable)
        self._dtype = tf.as_dtype(backend.floatx() if dtype is None else dtype)
        self._autocast = kwargs.get("autocast", True)
        self._dynamic = dynamic
        self.built = False
        self.stateful = False
        self.supports_masking = False
        self.input_spec: Any = None
        self._regularized: list[tuple[Any, Any]] = []
        self._losses: list[Any] = []
        self._callable_losses: list[Callable[[], Any]] = []
        self._lossy: list[Layer] = []
        self._metrics: list[Any] = []
        self._initial_weights = kwargs.get("weights")
        self._activity_regularizer = regularizers.get(kwargs.get("activity_regularizer"))
        self._batch_input_shape = _declared_shape(kwargs)
        self._shapes: tuple[Any, Any] | None = None
        self._signature()

    def _signature(self) -> None:
        """Note which of the arguments that Keras passes by itself `call` takes."""
        names = _call_names(type(self).call)
        self._first_name = names[0] if names else "inputs"
        self._takes_training = "training" in names

    # What it is

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def name_scope(self) -> Any:
        """The scope of its name, in which `tf.Module.with_name_scope` runs methods."""
        return tf.name_scope(f"{self._name}/")

    @property
    def dtype(self) -> str:
        """The name of its weights' dtype."""
        return self._dtype.name

    @property
    def compute_dtype(self) -> str:
        """The name of the dtype in which it computes."""
        return self._dtype.name

    @property
    def variable_dtype(self) -> str:
        """The name of its weights' dtype."""
        return self._dtype.name

    @property
    def dynamic(self) -> bool:
        """Whether `call` is plain Python that can't become a graph."""
        return self._dynamic

    @property
    def trainable(self) -> bool:
        """Whether its weights are trained; setting it sets its sub-layers' too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)
        structure.version += 1

    @property
    def activity_regularizer(self) -> Any:
        """The penalty on its output, or None."""
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, regularizer: Any) -> None:
        self._activity_regularizer = regularizer

    # Losses and metrics

    def add_loss(self, losses: Any, **kwargs: Any) -> None:
        """Add to the losses: tensors for this call, or functions that are called each time.

        Args:
            losses: scalar tensor, function of no arguments, or list of them.
        Raises:
            TypeError: another argument.
        """
        kwargs.pop("inputs", None)
        if kwargs:
            raise TypeError(f"Unknown keyword arguments: {kwargs.keys()}")
        for loss in tf.nest.flatten(losses):
            if callable(loss) and not isinstance(loss, (tf.Tensor, tf.Variable)):
                self._callable_losses.append(loss)
            elif loss is not None:
                self._losses.append(tf.convert_to_tensor(loss))
                (context.holders if context.depth else self._lossy).append(self)

    @property
    def losses(self) -> list[Any]:
        """The losses of the last call, and the penalties on the weights as they are now."""
        found: list[Any] = []
        for layer in self._keep("layers", lambda: list(self._flatten_layers())):
            found.extend(layer._losses)
            for loss in layer._callable_losses:
                value = loss()
                if value is not None:
                    found.append(tf.convert_to_tensor(value))
            for variable, penalty in layer._regularized:
                with graph_scope(f"{variable.name[:-2]}/Regularizer"):
                    found.append(penalty(variable))
        return found

    def add_metric(self, value: Any, name: str | None = None, **kwargs: Any) -> None:
        """Keep the mean of a value that is computed in `call`.

        Args:
            value: tensor, or the result of a metric that the layer holds.
            name: the metric's name; must be given for a plain tensor.
        Raises:
            ValueError: no name. TypeError: another argument.
        """
        unknown = set(kwargs) - {"aggregation"}
        if unknown:
            raise TypeError(f"Unknown keyword arguments: {unknown}")
        source = next((m for m in self.metrics if m.is_result(value)), None)
        if source is not None:
            return
        if name is None:
            raise ValueError(
                "Please provide a name for your metric like "
                "`self.add_metric(tf.reduce_sum(inputs), name='mean_activation')`"
            )
        found = next((m for m in self._metrics if m.name == name), None)
        if found is None:
            found = _mean_metric(name, self._dtype)
            self._metrics.append(found)
        found(value)

    @property
    def metrics(self) -> list[Any]:
        """The metrics that it and its sub-layers hold."""
        found = []
        for layer in self._flatten_layers():
            found.extend(layer._metrics)
            if layer is not self and _is_metric(layer):
                found.append(layer)
        return distinct(found)

    # Being called

    def build(self, input_shape: Any) -> None:
        """Make the weights for an input of this shape. Subclasses call it at their end."""
        self._build_input_shape = input_shape
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the layer computes."""
        return inputs

    def __call__(self, inputs: Any = _MISSING, *args: Any, **kwargs: Any) -> Any:
        if inputs is _MISSING:
            if self._first_name not in kwargs:
                raise ValueError(
                    f"The first argument to `Layer.call` must always be passed: {self.name} "
                    f"takes `{self._first_name}`."
                )
            inputs = kwargs.pop(self._first_name)
        inputs = self._cast(inputs)
        here = context
        outer_scope, outer_training = here.scope, here.training
        outermost = not here.depth
        if outermost:
            here.around = tf.get_current_name_scope()
            self._begin_losses()
        training = None
        if self._takes_training:
            training = kwargs.get("training")
            if training is None:
                training = outer_training
                if training is not None and not args:
                    kwargs["training"] = training
        here.depth += 1
        if self.scoped:
            here.scope = f"{outer_scope}/{self._name}" if outer_scope else self._name
        if training is not None:
            here.training = training
        try:
            if not self.built:
                self._maybe_build(inputs)
            if self.input_spec is not None:
                self._check_spec(inputs)
            outputs = self._run(inputs, args, kwargs)
            if self._activity_regularizer is not None:
                self._penalise(outputs)
        finally:
            here.depth -= 1
            here.scope, here.training = outer_scope, outer_training
        if self._shapes is None:
            self._shapes = _shapes_of(inputs), _shapes_of(outputs)
        return outputs

    scoped = True
    """Whether the names of what is made inside begin with this layer's name."""

    def _run(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        try:
            if tf.executing_eagerly():
                return self.call(inputs, *args, **kwargs)
            scope = tf.get_current_name_scope()
            with tf.name_scope(f"{scope}/{self._name}/" if scope else f"{self._name}/"):
                return user_code(self.call)(inputs, *args, **kwargs)
        except Exception as error:
            raise explained(error, self, inputs, kwargs) from error.__cause__

    def _begin_losses(self) -> None:
        for layer in self._lossy:
            layer._losses.clear()
        context.holders = self._lossy = []

    def _cast(self, inputs: Any) -> Any:
        """The input as tensors, floats in the layer's dtype."""
        if isinstance(inputs, tf.Tensor):
            dtype = inputs.dtype
            if dtype is self._dtype or not self._autocast:
                return inputs
            return tf.cast(inputs, self._dtype) if self._narrows(dtype) else inputs
        if isinstance(inputs, np.ndarray):
            if self._autocast and inputs.dtype.kind == "f" and self._dtype.is_floating:
                return tf.convert_to_tensor(inputs, self._dtype)
            return tf.convert_to_tensor(inputs)
        if isinstance(inputs, tf.Variable):
            return self._cast(tf.convert_to_tensor(inputs))
        if isinstance(inputs, (list, tuple, dict)) and not _numbers(inputs):
            return tf.nest.map_structure(self._cast, inputs)
        if inputs is None or hasattr(inputs, "__tf_tensor__"):
            return inputs
        return self._cast(tf.convert_to_tensor(inputs))

    def _narrows(self, dtype: Any) -> bool:
        return dtype.is_floating and self._dtype.is_floating

    def _maybe_build(self, inputs: Any) -> None:
        shapes = tf.nest.map_structure(lambda x: x.shape, inputs)
        with around_calls():
            self.build(shapes)
            self.built = True
            if self._initial_weights is not None:
                self.set_weights(self._initial_weights)
                self._initial_weights = None

    def _check_spec(self, inputs: Any) -> None:
        wanted = self.input_spec
        if isinstance(wanted, (list, tuple)):
            found = tf.nest.flatten(inputs)
            if len(found) != len(wanted):
                raise ValueError(
                    f'Layer "{self.name}" expects {len(wanted)} input(s), but it received '
                    f"{len(found)} input tensors. Inputs received: {found}"
                )
            for position, (spec, x) in enumerate(zip(wanted, found, strict=True)):
                if spec is not None:
                    specs.check(spec, x, self.name, position)
        elif isinstance(inputs, tf.Tensor):
            specs.check(wanted, inputs, self.name)

    def _penalise(self, outputs: Any) -> None:
        for output in tf.nest.flatten(outputs):
            batch = tf.cast(tf.shape(output)[0], output.dtype)
            self.add_loss(self._activity_regularizer(output) / batch)

    @property
    def input_shape(self) -> Any:
        """The shape of its first input.

        Raises:
            AttributeError: it has never been called.
        """
        return self._shape_of(0, "input")

    @property
    def output_shape(self) -> Any:
        """The shape of its first output."""
        return self._shape_of(1, "output")

    def _shape_of(self, which: int, word: str) -> Any:
        if self._shapes is None:
            raise AttributeError(
                f'The layer "{self.name}" has never been called and thus has no defined '
                f"{word} shape."
            )
        return self._shapes[which]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for an input of this shape.

        The layer is tried on zeros; layers that know better say so.

        Raises:
            NotImplementedError: unknown dimensions besides the first.
        """

        def zeros(shape: Any) -> Any:
            dims = tuple(tf.TensorShape(shape))
            if None in dims[1:]:
                raise NotImplementedError(
                    f"{type(self).__name__} needs `compute_output_shape` for shape {dims}."
                )
            return tf.zeros([1 if dim is None else dim for dim in dims], self._dtype)

        single = (
            not isinstance(input_shape, (list, tuple))
            or not input_shape
            or not isinstance(input_shape[0], (list, tuple, tf.TensorShape))
        )
        shapes = [input_shape] if single else list(input_shape)
        trial = [zeros(shape) for shape in shapes]
        outputs = self(trial[0] if single else trial)
        unknown = tf.TensorShape(shapes[0])[0] is None

        def shape_of(x: Any) -> Any:
            dims = tuple(x.shape)
            return tf.TensorShape((None, *dims[1:]) if unknown and dims else dims)

        return tf.nest.map_structure(shape_of, outputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output; the input's, for layers that support masks.

        Raises:
            TypeError: a mask for a layer that does not support it.
        """
        if self.supports_masking:
            return mask
        if any(m is not None for m in tf.nest.flatten(mask)):
            raise TypeError(
                f"Layer {self.name} does not support masking, but was passed an input_mask: "
                f"{mask}"
            )
        return None

    # Saying how it was made

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as far as this base class knows them.

        Raises:
            NotImplementedError: a subclass with arguments that does not write its own.
        """
        config = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = self._batch_input_shape
        if self._dynamic:
            config["dynamic"] = True
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} object at {id(self):#x}>"


def _shapes_of(structure: Any) -> Any:
    if isinstance(structure, tf.Tensor):
        return _dims(structure)
    return tf.nest.map_structure(_dims, structure)


def _dims(x: Any) -> Any:
    """The shape of a tensor as a tuple (None: not even the rank is known)."""
    shape = getattr(x, "shape", ())
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def _declared_shape(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    if "input_dim" in kwargs and "input_shape" not in kwargs:
        kwargs = {**kwargs, "input_shape": (kwargs["input_dim"],)}
    if "batch_input_shape" in kwargs:
        return tuple(kwargs["batch_input_shape"])
    if "input_shape" in kwargs:
        return (kwargs.get("batch_size"), *kwargs["input_shape"])
    return None


def _call_names(call: Any) -> tuple[str, ...]:
    """The names of a `call` method's parameters, without self."""
    names = tuple(inspect.signature(call).parameters)
    return names[1:]


def _numbers(structure: Any) -> bool:
    """Whether a list holds Python numbers: then it is a tensor, not several."""
    while isinstance(structure, (list, tuple)) and structure:
        structure = structure[0]
    return isinstance(structure, (bool, int, float, complex, str))


def _is_metric(layer: Any) -> bool:
    return hasattr(layer, "update_state") and hasattr(layer, "result")


_MEAN: list[Any] = []


def _mean_metric(name: str, dtype: Any) -> Any:
    """A `keras.metrics.Mean`; the metrics stand above this module and enter it here."""
    return _MEAN[0](name=name, dtype=dtype)
