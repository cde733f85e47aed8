"""`Optimizer`: from gradients to new weights.

Subclasses say which variables they keep for each weight (`build`) and how one weight is
updated: users in `update_step`, Keras' own optimizers in a rule (`_rule`) that serves arrays as
well as the tensors of a graph. What depends on the step alone is computed once a step
(`_coefficients`), in the weights' dtype (in float32 for weights of 16 bits, in which 0.999
would be 1), so that a step does the same in a graph as eagerly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.engine.call_context import graph_scope
from headrace.keras.optimizers import schedules

_log = logging.getLogger("headrace")


@export("keras.optimizers.Optimizer", "keras.optimizers.experimental.Optimizer")
class Optimizer:
    """Base of optimizers.

    Args:
        name: its name.
        weight_decay: share of a weight that is taken away at each step, times the rate.
        clipnorm: largest norm of each gradient.
        clipvalue: largest absolute value in each gradient.
        global_clipnorm: largest norm of all gradients together.
        use_ema: whether to keep moving averages of the weights.
        ema_momentum: of these averages.
        ema_overwrite_frequency: after how many steps they replace the weights (None: only in
            `finalize_variable_values`).
        jit_compile: accepted; whether updates are compiled does not change them.
        kwargs: `lr`, an older name of `learning_rate`.
    Raises:
        TypeError: another argument. ValueError: limits that make no sense.
    """

    def __init__(
        self,
        name: str,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        jit_compile: bool = True,
        **kwargs: Any,
    ) -> None:
        self._aliased_rate = kwargs.pop("lr", None)
        if kwargs:
            raise TypeError(
                f"{', '.join(kwargs)} is not a valid argument, kwargs should be empty for "
                "`optimizer_experimental.Optimizer`."
            )
        if not use_ema and ema_overwrite_frequency is not None:
            raise ValueError("`ema_overwrite_frequency` is set but `use_ema` is False.")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(
                "`ema_momentum` must be in the range [0, 1]. Received: "
                f"ema_momentum={ema_momentum}"
            )
        if clipnorm is not None and global_clipnorm is not None:
            raise ValueError(
                "At most one of `clipnorm` and `global_clipnorm` can be set. Received: "
                f"clipnorm={clipnorm}, global_clipnorm={global_clipnorm}."
            )
        self.name, self.weight_decay, self.jit_compile = name, weight_decay, jit_compile
        self.clipnorm, self.clipvalue, self.global_clipnorm = (
            clipnorm,
            clipvalue,
            global_clipnorm,
        )
        self.use_ema, self.ema_momentum = use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        with tf.init_scope():
            self._iterations = tf.Variable(0, dtype="int64", name="iteration", trainable=False)
        self._variables: list[Any] = [self._iterations]
        self._index: dict[int, int] = {}
        self._held: list[Any] = []
        self._averages: list[Any] = []
        self._unused_decay: set[int] = set()
        self._prefix = ""

    # The learning rate

    def _build_learning_rate(self, learning_rate: Any) -> Any:
        if self._aliased_rate is not None:
            learning_rate = self._aliased_rate
        if isinstance(learning_rate, dict):
            learning_rate = schedules.deserialize(learning_rate)
        if isinstance(learning_rate, schedules.LearningRateSchedule):
            return self._scheduled(learning_rate)
        with tf.init_scope():
            return tf.Variable(
                tf.cast(learning_rate, backend.floatx()), name="learning_rate", trainable=False
            )

    def _scheduled(self, schedule: Any) -> Any:
        """The schedule; its rate is kept in a variable from now on."""
        with tf.init_scope():
            self._current_learning_rate = tf.Variable(
                tf.cast(schedule(self._iterations), backend.floatx()),
                name="current_learning_rate",
                trainable=False,
            )
        return schedule

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable; with a schedule the one that holds the rate of the
        last step."""
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return self._current_learning_rate
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        old = self._learning_rate
        scheduled = isinstance(learning_rate, schedules.LearningRateSchedule)
        if scheduled:
            self._learning_rate: Any = self._scheduled(learning_rate)
        elif isinstance(old, schedules.LearningRateSchedule):
            raise TypeError(
                "This optimizer was created with a `LearningRateSchedule` object as its "
                "`learning_rate` constructor argument, hence its learning rate is not "
                "settable. "
                "If you need the learning rate to be settable, you should instantiate the "
                "optimizer with a float `learning_rate` argument."
            )
        else:
            old.assign(tf.cast(learning_rate, old.dtype))

    @property
    def lr(self) -> Any:
        """The learning rate (older spelling)."""
        return self.learning_rate

    @lr.setter
    def lr(self, learning_rate: Any) -> None:
        self.learning_rate = learning_rate

    def _rate(self) -> Any:
        """The learning rate of this step, a tensor."""
        rate = self._learning_rate
        if not isinstance(rate, schedules.LearningRateSchedule):
            return rate.value()
        value = tf.cast(rate(self._iterations), self._current_learning_rate.dtype)
        self._current_learning_rate.assign(value, read_value=False)
        return value

    @property
    def iterations(self) -> Any:
        """How many steps were made, an int64 variable."""
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Any) -> None:
        if self._index:
            raise RuntimeError(
                "Cannot set `iterations` to a new Variable after the Optimizer weights "
                "have been "
                f"created. Here it is attempting to set `iterations` to {variable}."
            )
        self._variables[0] = self._iterations = variable

    @property
    def variables(self) -> list[Any]:
        """All its variables: the number of steps, then what it keeps for each weight."""
        return _CallableList(self._variables)

    def get_weights(self) -> list[np.ndarray]:
        """The values of all variables."""
        return [v.numpy() for v in self._variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Give all variables values."""
        if len(weights) != len(self._variables):
            raise ValueError(
                f"You called `set_weights(weights)` on optimizer {self.name} with "
                f"{len(weights)} "
                f"values, but it has {len(self._variables)} variables."
            )
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    # Building

    def build(self, var_list: Iterable[Any]) -> None:
        """Make what is kept for each weight; subclasses add theirs."""
        var_list = list(var_list)
        self._index = {id(v): i for i, v in enumerate(var_list)}
        self._held = var_list
        if self.use_ema:
            self._averages = [
                self.add_variable_from_reference(v, "average", initial_value=v)
                for v in var_list
            ]

    def add_variable(
        self,
        shape: Any,
        dtype: Any = None,
        initializer: Any = "zeros",
        name: str | None = None,
    ) -> Any:
        """A new variable of the optimizer."""
        from_name = {"zeros": tf.zeros, "ones": tf.ones}
        make = (
            from_name.get(initializer, initializer)
            if isinstance(initializer, str)
            else initializer
        )
        variable = tf.Variable(
            make(shape, dtype or backend.floatx()), name=name, trainable=False
        )
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self,
        model_variable: Any,
        variable_name: str,
        shape: Any = None,
        initial_value: Any = None,
    ) -> Any:
        """A new variable that belongs to a weight: of its shape and dtype, at first zeros."""
        if initial_value is None:
            dims = model_variable.shape if shape is None else shape
            initial_value = tf.zeros(dims, model_variable.dtype)
        name = f"{self._prefix}{variable_name}/{model_variable.name.split(':')[0]}"
        variable = tf.Variable(
            initial_value, dtype=model_variable.dtype, name=name, trainable=False
        )
        self._variables.append(variable)
        return variable

    def _new_slots(self, var_list: Sequence[Any], name: str) -> list[Any]:
        return [self.add_variable_from_reference(v, name) for v in var_list]

    # Steps

    def minimize(self, loss: Any, var_list: Any, tape: Any = None) -> Any:
        """Compute the gradients of a loss and apply them.

        Args:
            loss: function of no arguments; or a tensor, with the tape that recorded it.
            var_list: the weights, or a function that gives them.
            tape: a tape.
        """
        grads_and_vars = self.compute_gradients(loss, var_list, tape)
        return self.apply_gradients(grads_and_vars)

    def compute_gradients(self, loss: Any, var_list: Any, tape: Any = None) -> list[Any]:
        """The pairs (gradient, weight) of a loss; arguments as for `minimize`.

        Raises:
            ValueError: a tensor without a tape.
        """
        if not callable(loss) and tape is None:
            raise ValueError(
                "`tape` is required when a `Tensor` loss is passed. Received: "
                f"loss={loss}, tape={tape}."
            )
        if tape is None:
            tape = tf.GradientTape()
        if callable(loss):
            with tape:
                if not callable(var_list):
                    tape.watch(var_list)
                loss = loss()
        if callable(var_list):
            var_list = var_list()
        return list(zip(tape.gradient(loss, var_list), var_list, strict=True))

    def apply_gradients(
        self,
        grads_and_vars: Any,
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Make one step.

        Args:
            grads_and_vars: pairs (gradient, weight), a zip for instance; pairs without a
                gradient are left out.
            name: what the names of a graph's operations begin with (default: its own).
            skip_gradients_aggregation: for several devices; nothing is to be summed on one.
            kwargs: `experimental_aggregate_gradients`, the older name of that.
        Returns: the number of steps so far.
        Raises:
            ValueError: no gradient at all. KeyError: a weight that it was not built for.
        """
        kwargs.pop("experimental_aggregate_gradients", None)
        if kwargs:
            raise TypeError(f"apply_gradients got unexpected arguments {list(kwargs)}")
        pairs = _with_gradients(tuple(grads_and_vars))
        gradients = [g for g, _ in pairs]
        weights = [v for _, v in pairs]
        if not self._index:
            self._prefix = f"{name or self.name}/"
            with tf.init_scope():
                self.build(weights)
            self._prefix = ""
        with graph_scope(name or self.name):
            return self._make_step(gradients, weights)

    def _make_step(self, gradients: Sequence[Any], weights: Sequence[Any]) -> Any:
        places = [self._place(v) for v in weights]
        gradients = [_summed(g) for g in self._clipped(gradients)]
        rate = self._rate()
        if self.weight_decay is not None:
            self._decay(weights, rate)
        self._begin_step()
        self._update_all(gradients, weights, places, rate)
        if self.use_ema:
            self._average(weights, places)
        iterations = self._iterations.assign_add(1)
        for weight in weights:
            if weight._constraint is not None:
                weight.assign(weight._constraint(weight), read_value=False)
        return iterations

    @staticmethod
    def _var_key(variable: Any) -> int:
        """By what `_index_dict` knows a weight: optimizers of users look there."""
        return id(variable)

    @property
    def _index_dict(self) -> dict[int, int]:
        """The places of the weights in the lists that `build` makes."""
        return self._index

    def _place(self, weight: Any) -> int:
        place = self._index.get(id(weight))
        if place is None:
            raise KeyError(
                f"The optimizer cannot recognize variable {weight.name}. This usually "
                "means you "
                "are trying to call the optimizer to update different parts of the model "
                "separately. Please call `optimizer.build(variables)` with the full list of "
                "trainable variables before the training loop or use legacy optimizer "
                f"`tf.keras.optimizers.legacy.{type(self).__name__}."
            )
        return place

    def _clipped(self, gradients: list[Any]) -> list[Any]:
        if self.clipnorm is not None and self.clipnorm > 0:
            return [tf.clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm is not None and self.global_clipnorm > 0:
            return tf.clip_by_global_norm(gradients, self.global_clipnorm)[0]
        if self.clipvalue is not None and self.clipvalue > 0:
            return [tf.clip_by_value(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return gradients

    def exclude_from_weight_decay(
        self, var_list: Any = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave weights out of the decay.

        Args:
            var_list: these weights.
            var_names: weights with one of these words in their names.
        Raises:
            ValueError: it is built already.
        """
        if self._index:
            raise ValueError(
                "`exclude_from_weight_decay()` can only be configued before the optimizer is "
                "built."
            )
        self._unused_decay = {id(v) for v in var_list or ()}
        self._unused_words = list(var_names or ())

    _unused_words: Sequence[str] = ()

    def _decay(self, weights: Sequence[Any], rate: Any) -> None:
        factors: dict[Any, Any] = {}
        for weight in weights:
            excluded = id(weight) in self._unused_decay
            if excluded or any(word in weight.name for word in self._unused_words):
                continue
            dtype = weight.dtype
            if dtype not in factors:
                factors[dtype] = tf.cast(rate, dtype) * self.weight_decay
            weight.assign_sub(weight * factors[dtype], read_value=False)

    def update_step(self, gradient: Any, variable: Any) -> None:
        """Update one weight; subclasses of users write it, with variables of `add_variable`.

        Args:
            gradient: tensor of the weight's shape, or `tf.IndexedSlices`.
            variable: the weight.
        """
        rate = tf.convert_to_tensor(self.learning_rate)
        self._apply_rule([gradient], [variable], [self._place(variable)], rate)

    def _update_all(
        self, gradients: Sequence[Any], weights: Sequence[Any], places: Sequence[int], rate: Any
    ) -> None:
        if type(self).update_step is Optimizer.update_step:
            self._apply_rule(gradients, weights, places, rate)
            return
        for gradient, weight in zip(gradients, weights, strict=True):
            self.update_step(gradient, weight)

    # The rules of Keras' own optimizers

    _by_rows = False
    """Whether a row without gradient stays as it is, with what is kept for it."""

    def _begin_step(self) -> None:
        """Update what is kept for the step alone."""

    def _slots(self) -> list[list[Any]]:
        """The variables that the rule takes and changes: a list for each kind."""
        raise NotImplementedError(f"{type(self).__name__} does not implement update_step().")

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        """What the rule needs of a step.

        Args:
            of: where functions such as `sqrt` are found: NumPy or TensorFlow.
            step: the number of the step, beginning with 1, as a float.
            rate: its learning rate, of the same dtype.
        """
        raise NotImplementedError

    def _rule(self, of: Any, coefficients: Any, gradient: Any, *slots: Any) -> Any:
        """What a weight loses, and the new values of its slots; see `training.update_all`."""
        raise NotImplementedError

    def _scalar(self, value: Any, dtype: Any) -> Any:
        """A scalar in a dtype: NumPy's scalar where the dtype is NumPy's."""
        if isinstance(dtype, np.dtype):
            return dtype.type(float(value))
        return tf.cast(value, dtype)

    def _rule_of(self, rate: Any) -> Callable[..., Any]:
        """The rule for this step, which computes the coefficients once for each dtype."""
        known: dict[Any, Any] = {}

        def rule(of: Any, gradient: Any, *slots: Any) -> Any:
            dtype = gradient.dtype
            key = of is np, dtype
            if key not in known:
                wide = _widened(dtype)
                step = self._scalar(self._iterations, wide) + 1
                found = self._coefficients(of, step, self._scalar(rate, wide))
                if wide is not dtype:
                    found = tf.nest.map_structure(lambda c: self._scalar(c, dtype), found)
                known[key] = found
            return self._rule(of, known[key], gradient, *slots)

        return rule

    def _apply_rule(
        self, gradients: Sequence[Any], weights: Sequence[Any], places: Sequence[int], rate: Any
    ) -> None:
        rule = self._rule_of(rate)
        slots = [[kind[place] for place in places] for kind in self._slots()]
        sparse = [isinstance(gradient, tf.IndexedSlices) for gradient in gradients]
        if not any(sparse) or not self._by_rows:
            tf.__internal__.training.update_all(rule, weights, slots, gradients)
            return
        update = {True: _update_rows, False: tf.__internal__.training.update_all}
        for place, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            kept = [[kind[place]] for kind in slots]
            update[sparse[place]](rule, [weight], kept, [gradient])

    def _average(self, weights: Sequence[Any], places: Sequence[int]) -> None:
        keep = self.ema_momentum
        for weight, place in zip(weights, places, strict=True):
            average = self._averages[place]
            average.assign(keep * average + (1 - keep) * weight, read_value=False)
        if self.ema_overwrite_frequency:
            tf.cond(
                (self._iterations + 1) % self.ema_overwrite_frequency == 0,
                lambda: self.finalize_variable_values(weights),
                lambda: None,
            )

    def finalize_variable_values(self, var_list: Iterable[Any]) -> None:
        """Replace weights by their moving averages."""
        if self.use_ema:
            for weight in var_list:
                weight.assign(self._averages[self._place(weight)], read_value=False)

    # Saying how it was made

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as far as this base class knows them."""
        return {
            "name": self.name,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "jit_compile": self.jit_compile,
            "is_legacy_optimizer": False,
        }

    def _serialized_rate(self) -> Any:
        rate = self._learning_rate
        if isinstance(rate, schedules.LearningRateSchedule):
            return schedules.serialize(rate)
        return rate.numpy()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """An optimizer from what `get_config` gave."""
        return cls(**{k: v for k, v in config.items() if k != "is_legacy_optimizer"})


class _CallableList(list):  # type: ignore[type-arg]
    """A list that may also be called for itself: older code writes `optimizer.variables()`."""

    def __call__(self) -> list[Any]:
        return self


def _with_gradients(pairs: tuple[Any, ...]) -> list[Any]:
    """The pairs that have a gradient; a warning names the others.

    Raises:
        ValueError: none has.
    """
    found = [(g, v) for g, v in pairs if g is not None]
    if not found:
        names = ([v.name for _, v in pairs],)
        raise ValueError(
            f"No gradients provided for any variable: {names}. Provided `grads_and_vars` is "
            f"{pairs}."
        )
    if len(found) < len(pairs):
        _log.warning(
            "Gradients do not exist for variables %s when minimizing the loss. If you're using "
            "`model.compile()`, did you forget to provide a `loss` argument?",
            [v.name for g, v in pairs if g is None],
        )
    return found


def _widened(dtype: Any) -> Any:
    """The dtype in which what depends on a step is computed for weights of a dtype."""
    if isinstance(dtype, np.dtype):
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    return tf.float32 if dtype.size == 2 else dtype


def _summed(gradient: Any) -> Any:
    """Eagerly, a sparse gradient with one row a position; others as they are."""
    if not isinstance(gradient, tf.IndexedSlices) or not tf.executing_eagerly():
        return gradient
    positions, where = np.unique(gradient.indices.numpy(), return_inverse=True)
    values = tf.math.unsorted_segment_sum(gradient.values, where.reshape(-1), len(positions))
    return tf.IndexedSlices(values, positions, gradient.dense_shape)


def _update_rows(rule: Any, weights: Any, slots: Any, gradients: Any) -> None:
    """Update the rows that a gradient names, and no others; see `training.update_all`.

    In a graph a position may come more than once: the sum of its rows stands at each of them
    then, so that all of them write the same.
    """
    (weight,), (gradient,) = weights, gradients
    rows, values = gradient.indices, gradient.values
    if not slots:
        (step,) = rule(tf, values)
        weight.scatter_sub(tf.IndexedSlices(step, rows))
        return
    if not tf.executing_eagerly():
        sums = tf.math.unsorted_segment_sum(values, rows, tf.shape(weight)[0])
        values = tf.gather(sums, rows)
    variables = [slot for (slot,) in slots]
    step, *results = rule(tf, values, *(tf.gather(slot, rows) for slot in variables))
    for slot, new in zip(variables, results, strict=True):
        slot.scatter_update(tf.IndexedSlices(new, rows))
    weight.scatter_update(tf.IndexedSlices(tf.gather(weight, rows) - step, rows))
