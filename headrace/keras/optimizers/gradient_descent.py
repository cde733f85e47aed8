"""Optimizers: SGD, and those that adapt the rate of each weight."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras.optimizers.optimizer import Optimizer


def _optimizer(cls: type) -> type:
    name = cls.__name__
    return export(f"keras.optimizers.{name}", f"keras.optimizers.experimental.{name}")(cls)


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
        self.momentums = self._new_slots(var_list, "m")

    def _slots(self) -> list[list[Any]]:
        return [self.momentums] if self.momentum else []

    @property
    def _by_rows(self) -> bool:
        return not self.momentum

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        return rate

    def _rule(self, of: Any, rate: Any, gradient: Any, *slots: Any) -> Any:
        change = gradient * rate
        if not slots:
            return (change,)
        (moment,) = slots
        moment *= self.momentum
        moment -= change
        return (change - moment * self.momentum if self.nesterov else -moment), moment

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

    def _slots(self) -> list[list[Any]]:
        return [self._momentums, self._velocities]

    def _move(self, m: Any, v: Any, gradient: Any) -> tuple[Any, Any]:
        """Move both averages, m towards the gradient and v towards its square."""
        m += (gradient - m) * (1.0 - self.beta_1)
        v += (gradient * gradient - v) * (1.0 - self.beta_2)
        return m, v

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
            self._velocity_hats = self._new_slots(var_list, "vhat")

    def _slots(self) -> list[list[Any]]:
        return [*super()._slots(), *([self._velocity_hats] if self.amsgrad else [])]

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        return rate * of.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)

    def _rule(self, of: Any, alpha: Any, gradient: Any, m: Any, v: Any, *largest: Any) -> Any:
        m, v = self._move(m, v, gradient)
        largest = tuple(of.maximum(before, v) for before in largest)
        root = of.sqrt(largest[0] if largest else v)
        return m * alpha / (root + self.epsilon), m, v, *largest

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

    def build(self, var_list: Any) -> None:
        super().build(var_list)
        dtype = tf.float64 if var_list[0].dtype == tf.float64 else tf.float32
        self._u_product = tf.Variable(1.0, dtype=dtype, trainable=False)

    def set_weights(self, weights: Any) -> None:
        """Give all variables values; the product of the momentums follows from the steps."""
        super().set_weights(weights)
        momentums = self._u(np.arange(1.0, int(self._iterations) + 1.0))
        self._u_product.assign(float(np.prod(momentums)))

    def _u(self, step: Any) -> Any:
        """The momentum of a step: it warms up towards beta_1."""
        return self.beta_1 * (1.0 - 0.5 * 0.96**step)

    def _begin_step(self) -> None:
        dtype, eager = self._u_product.dtype, tf.executing_eagerly()
        native = np.dtype(dtype.as_numpy_dtype) if eager else dtype
        u = self._u(self._scalar(self._iterations, native) + 1)
        product = self._scalar(self._u_product, native) * u
        self._u_product.assign(float(product) if eager else product, read_value=False)

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        product = self._scalar(self._u_product, rate.dtype)
        u, following = self._u(step), self._u(step + 1.0)
        return (
            rate * following / (1.0 - product * following),
            rate * (1.0 - u) / (1.0 - product),
            1.0 / (1.0 - self.beta_2**step),
        )

    def _rule(self, of: Any, factors: Any, gradient: Any, m: Any, v: Any) -> Any:
        of_m, of_gradient, of_v = factors
        m, v = self._move(m, v, gradient)
        step = m * of_m + gradient * of_gradient
        return step / (of.sqrt(v * of_v) + self.epsilon), m, v


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

    def _slots(self) -> list[list[Any]]:
        return [self._m, self._largest]

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        return rate / (1.0 - self.beta_1**step)

    def _rule(self, of: Any, alpha: Any, gradient: Any, m: Any, largest: Any) -> Any:
        m += (gradient - m) * (1.0 - self.beta_1)
        largest = of.maximum(largest * self.beta_2, of.abs(gradient))
        return m * alpha / (largest + self.epsilon), m, largest


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
        self._velocities = self._new_slots(var_list, "velocity")
        self._momentums = self._new_slots(var_list, "momentum") if self.momentum else []
        self._means = self._new_slots(var_list, "average_gradient") if self.centered else []

    def _slots(self) -> list[list[Any]]:
        return [slots for slots in (self._velocities, self._momentums, self._means) if slots]

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        return rate

    def _rule(self, of: Any, rate: Any, gradient: Any, v: Any, *others: Any) -> Any:
        rest = iter(others)
        moment = next(rest) if self.momentum else None
        mean = next(rest) if self.centered else None
        v += (of.square(gradient) - v) * (1.0 - self.rho)
        square = v
        if mean is not None:
            mean += (gradient - mean) * (1.0 - self.rho)
            square = v - of.square(mean)
        step = gradient * rate / of.sqrt(square + self.epsilon)
        if moment is not None:
            moment *= self.momentum
            moment += step
            step = moment
        return step, v, *(slot for slot in (moment, mean) if slot is not None)

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

    _by_rows = True

    def _slots(self) -> list[list[Any]]:
        return [self._accumulators]

    def _coefficients(self, of: Any, step: Any, rate: Any) -> Any:
        return rate

    def _rule(self, of: Any, rate: Any, gradient: Any, total: Any) -> Any:
        total += of.square(gradient)
        return gradient * rate / of.sqrt(total + self.epsilon), total

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate": self._serialized_rate(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
