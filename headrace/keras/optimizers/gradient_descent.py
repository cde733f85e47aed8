"""Optimizers: SGD, and those that adapt the rate of each weight."""

from __future__ import annotations

import math
from typing import Any

import headrace as tf
from headrace.base.export import export
from headrace.keras.optimizers.optimizer import Optimizer


def _optimizer(cls: type) -> type:
    name = cls.__name__
    return export(f"keras.optimizers.{name}", f"keras.optimizers.experimental.{name}")(cls)


def _dense(gradient: Any) -> Any:
    return tf.convert_to_tensor(gradient)


@_optimizer
class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Args:
        learning_rate: number or schedule.
        momentum: in [0, 1].
        nesterov: whether to look ahead (Nesterov).
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.

    >>> v = tf.Variable(1.)
    >>> _ = keras.optimizers.SGD(0.1).apply_gradients([(tf.constant(2.), v)])
    >>> float(v).__round__(3)
    0.8
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        name: str = "SGD",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if isinstance(momentum, (int, float)) and not 0 <= momentum <= 1:
            raise ValueError("`momentum` must be between [0, 1].")
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum, self.nesterov = momentum, nesterov

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        self.momentums = self._slots(var_list, "m")

    def _begin_step(self) -> None:
        self._lr = self._rate()

    def _update(self, gradient: Any, weight: Any, place: int) -> None:
        if not self.momentum:
            if isinstance(gradient, tf.IndexedSlices):
                change = tf.IndexedSlices(gradient.values * self._lr, gradient.indices)
                weight.scatter_sub(change)
            else:
                weight.assign_sub(gradient * self._lr, read_value=False)
            return
        change = _dense(gradient) * self._lr
        moment = self.momentums[place]
        moment.assign(moment * self.momentum - change, read_value=False)
        step = moment * self.momentum - change if self.nesterov else moment
        weight.assign_add(step, read_value=False)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialized_rate(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }


class _Moments(Optimizer):
    """Keeps moving averages of the gradients (m) and of their squares (v)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or type(self).__name__, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        self._momentums, self._velocities = [], []
        for weight in var_list:
            self._momentums.append(self.add_variable_from_reference(weight, "m"))
            self._velocities.append(self.add_variable_from_reference(weight, "v"))

    def _step(
        self, gradients: Any, weights: Any, places: Any, of_momentum: float, **others: float
    ) -> None:
        """Move both averages and the weights; see `apply_adam`."""
        tf.__internal__.training.apply_adam(
            weights,
            [self._momentums[place] for place in places],
            [self._velocities[place] for place in places],
            gradients,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            of_momentum=of_momentum,
            **others,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialized_rate(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


@_optimizer
class Adam(_Moments):
    """Adam (Kingma and Ba 2015).

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2: how slowly the averages of gradients and squares move.
        epsilon: added to the root of the squares.
        amsgrad: whether the squares' average only grows (Reddi et al. 2018).
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name, **kwargs)
        self.amsgrad = amsgrad

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        if self.amsgrad:
            self._velocity_hats = self._slots(var_list, "vhat")

    def _begin_step(self) -> None:
        step = int(self._iterations) + 1
        self._alpha = self._rate() * math.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)

    def _update_all(self, gradients: Any, weights: Any, places: Any) -> None:
        if self.amsgrad:
            super()._update_all(gradients, weights, places)
        else:
            self._step(gradients, weights, places, self._alpha)

    def _update(self, gradient: Any, weight: Any, place: int) -> None:
        gradient = _dense(gradient)
        m, v = self._momentums[place], self._velocities[place]
        m.assign_add((gradient - m) * (1.0 - self.beta_1), read_value=False)
        v.assign_add((tf.square(gradient) - v) * (1.0 - self.beta_2), read_value=False)
        largest = self._velocity_hats[place]
        largest.assign(tf.maximum(largest, v), read_value=False)
        step = (m * self._alpha) / (tf.sqrt(largest) + self.epsilon)
        weight.assign_sub(step, read_value=False)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amsgrad": self.amsgrad}


@_optimizer
class Nadam(_Moments):
    """Adam with Nesterov momentum (Dozat 2016).

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2: how slowly the averages of gradients and squares move.
        epsilon: added to the root of the squares.
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.
    """

    _u_product, _counted = 1.0, 0

    def _u(self, step: int) -> float:
        """The momentum of a step: it warms up towards beta_1."""
        return self.beta_1 * (1.0 - 0.5 * 0.96**step)

    def _begin_step(self) -> None:
        step = int(self._iterations) + 1
        if self._counted != step - 1:
            self._u_product = math.prod(self._u(t) for t in range(1, step))
        u, following = self._u(step), self._u(step + 1)
        self._u_product *= u
        self._counted = step
        rate = self._rate()
        self._of_m = rate * following / (1.0 - self._u_product * following)
        self._of_gradient = rate * (1.0 - u) / (1.0 - self._u_product)
        self._of_v = 1.0 / (1.0 - self.beta_2**step)

    def _update_all(self, gradients: Any, weights: Any, places: Any) -> None:
        self._step(
            gradients,
            weights,
            places,
            self._of_m,
            of_gradient=self._of_gradient,
            of_velocity=self._of_v,
        )


@_optimizer
class Adamax(_Moments):
    """Adam with the largest gradient instead of squares (Kingma and Ba 2015, section 7).

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2: how slowly the averages move.
        epsilon: added to the largest gradient.
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.
    """

    def build(self, var_list: Any) -> None:
        Optimizer.build(self, var_list)
        self._m, self._largest = [], []
        for weight in var_list:
            self._m.append(self.add_variable_from_reference(weight, "m"))
            self._largest.append(self.add_variable_from_reference(weight, "u"))

    def _begin_step(self) -> None:
        self._alpha = self._rate() / (1 - self.beta_1 ** (int(self._iterations) + 1))

    def _update(self, gradient: Any, weight: Any, place: int) -> None:
        gradient = _dense(gradient)
        m, largest = self._m[place], self._largest[place]
        m.assign_add((gradient - m) * (1.0 - self.beta_1), read_value=False)
        largest.assign(tf.maximum(largest * self.beta_2, tf.abs(gradient)), read_value=False)
        weight.assign_sub((m * self._alpha) / (largest + self.epsilon), read_value=False)


@_optimizer
class RMSprop(Optimizer):
    """Divides gradients by a moving root mean square (Hinton 2012).

    Args:
        learning_rate: number or schedule.
        rho: how slowly the average moves.
        momentum: of the steps.
        epsilon: added to the mean square.
        centered: whether to take off the squared mean of the gradients.
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *,
        name: str = "RMSprop",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.centered = centered

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        self._velocities = self._slots(var_list, "velocity")
        self._momentums = self._slots(var_list, "momentum") if self.momentum else []
        self._means = self._slots(var_list, "average_gradient") if self.centered else []

    def _begin_step(self) -> None:
        self._lr = self._rate()

    def _update(self, gradient: Any, weight: Any, place: int) -> None:
        gradient = _dense(gradient)
        v = self._velocities[place]
        v.assign_add((tf.square(gradient) - v) * (1.0 - self.rho), read_value=False)
        square = v
        if self.centered:
            mean = self._means[place]
            mean.assign_add((gradient - mean) * (1.0 - self.rho), read_value=False)
            square = v - tf.square(mean)
        step = gradient * self._lr / tf.sqrt(square + self.epsilon)
        if self.momentum:
            moment = self._momentums[place]
            moment.assign(moment * self.momentum + step, read_value=False)
            step = moment
        weight.assign_sub(step, read_value=False)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialized_rate(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


@_optimizer
class Adagrad(Optimizer):
    """Divides gradients by the root of the sum of their squares so far (Duchi et al. 2011).

    Args:
        learning_rate: number or schedule.
        initial_accumulator_value: where that sum begins.
        epsilon: added to the sum.
        name: its name.
        kwargs: as for `keras.optimizers.Optimizer`, and `lr` for `learning_rate`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        name: str = "Adagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        self._accumulators = [
            self.add_variable_from_reference(
                v, "accumulator", initial_value=tf.ones_like(v) * self.initial_accumulator_value
            )
            for v in var_list
        ]

    def _begin_step(self) -> None:
        self._lr = self._rate()

    def _update(self, gradient: Any, weight: Any, place: int) -> None:
        gradient, total = _dense(gradient), self._accumulators[place]
        total.assign_add(tf.square(gradient), read_value=False)
        step = gradient * self._lr / tf.sqrt(total + self.epsilon)
        weight.assign_sub(step, read_value=False)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialized_rate(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
