"""Initial weights. An initializer called twice gives the same numbers, as its seed says."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend
from headrace.keras.utils.serialization import deserialize as deserialize_object
from headrace.keras.utils.serialization import interpret, serialize_keras_object

TABLE: dict[str, Any] = {}


def _named(*names: str) -> Any:
    def register(cls: type) -> type:
        TABLE[cls.__name__] = cls
        for name in names:
            TABLE[name] = cls
        return export(*(f"keras.initializers.{n}" for n in (cls.__name__, *names)))(cls)

    return register


def _checked_dtype(dtype: Any, name: str, numeric: bool = False) -> Any:
    wanted = tf.as_dtype(backend.floatx() if dtype is None else dtype)
    if numeric and not (wanted.is_numeric or wanted == tf.bool):
        raise ValueError(f"Expected numeric or boolean dtype, got {wanted}.")
    if not numeric and not wanted.is_floating:
        raise ValueError(f"Expected float point type, got {wanted}.")
    return wanted


@export("keras.initializers.Initializer")
class Initializer:
    """Base of initializers: `initializer(shape, dtype)` gives a tensor."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "Initializer subclasses must implement the `__call__()` method."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer from what `get_config` gave."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


@_named("zeros")
class Zeros(Initializer):
    """Zeros.

    >>> keras.initializers.Zeros()((2,)).numpy()
    array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.zeros(shape, _checked_dtype(dtype, "Zeros", numeric=True))


@_named("ones")
class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.ones(shape, _checked_dtype(dtype, "Ones", numeric=True))


@_named("constant")
class Constant(Initializer):
    """One value everywhere.

    Args:
        value: the value.
    """

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.constant(self.value, _checked_dtype(dtype, "Constant", numeric=True), shape)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class _Random(Initializer):
    """An initializer with a seed."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        self._seed = backend.SeedGenerator.draw() if seed is None else seed
        self._used = False

    def _stateless_seed(self) -> list[int]:
        if self._used and self.seed is None:
            warnings.warn(
                f"The initializer {type(self).__name__} is unseeded and being called multiple "
                "times, which will return identical values each time (even if the initializer "
                "is unseeded). Please update your code to provide a seed to the "
                "initializer, or "
                "avoid using the same initializer instance more than once.",
                stacklevel=4,
            )
        self._used = True
        return [self._seed, 0]

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


@_named("random_uniform")
class RandomUniform(_Random):
    """Numbers from a uniform distribution.

    Args:
        minval, maxval: its bounds.
        seed: int.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        wanted = tf.as_dtype(backend.floatx() if dtype is None else dtype)
        if not wanted.is_floating and not wanted.is_integer:
            raise ValueError(f"Expected float or integer dtype, got {wanted}.")
        return tf.random.stateless_uniform(
            shape, self._stateless_seed(), self.minval, self.maxval, wanted
        )

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


@_named("random_normal")
class RandomNormal(_Random):
    """Numbers from a normal distribution.

    Args:
        mean, stddev: of the distribution.
        seed: int.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.random.stateless_normal(
            shape,
            self._stateless_seed(),
            self.mean,
            self.stddev,
            _checked_dtype(dtype, "RandomNormal"),
        )

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


@_named("truncated_normal")
class TruncatedNormal(RandomNormal):
    """Normals less than 2 deviations from the mean.

    Args:
        mean, stddev: of the distribution before truncation.
        seed: int.
    """

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return tf.random.stateless_truncated_normal(
            shape,
            self._stateless_seed(),
            self.mean,
            self.stddev,
            _checked_dtype(dtype, "TruncatedNormal"),
        )


def _fans(shape: Any) -> tuple[float, float]:
    """How many numbers come in and go out of a weight of this shape."""
    dims = tuple(shape)
    if len(dims) < 1:
        return 1, 1
    if len(dims) == 1:
        return dims[0], dims[0]
    field = math.prod(dims[:-2])
    return dims[-2] * field, dims[-1] * field


@_named("variance_scaling")
class VarianceScaling(_Random):
    """Numbers whose spread goes with the size of the layer.

    Args:
        scale: factor of the variance.
        mode: "fan_in", "fan_out" or "fan_avg": what the variance is divided by.
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: int.
    Raises:
        ValueError: a scale that is not positive, or another word.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"`scale` must be positive float. Received: scale={scale}.")
        if mode not in {"fan_in", "fan_out", "fan_avg"}:
            raise ValueError(
                f"Invalid `mode` argument: {mode}. Please use one of the "
                f"{{'fan_in', 'fan_out', "
                "'fan_avg'}."
            )
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in {"uniform", "truncated_normal", "untruncated_normal"}:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. Allowed distributions: "
                "{'uniform', 'truncated_normal', 'untruncated_normal'}."
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        wanted = _checked_dtype(dtype, "VarianceScaling")
        fan_in, fan_out = _fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        scale = self.scale / max(1.0, fan[self.mode])
        seed = self._stateless_seed()
        if self.distribution == "truncated_normal":
            # 0.8796... is the deviation of a standard normal cut off at 2.
            stddev = math.sqrt(scale) / 0.87962566103423978
            return tf.random.stateless_truncated_normal(shape, seed, 0.0, stddev, wanted)
        if self.distribution == "untruncated_normal":
            return tf.random.stateless_normal(shape, seed, 0.0, math.sqrt(scale), wanted)
        limit = math.sqrt(3.0 * scale)
        return tf.random.stateless_uniform(shape, seed, -limit, limit, wanted)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "seed": self.seed,
        }


def _scaled(
    class_name: str, name: str, scale: float, mode: str, distribution: str, doc: str
) -> None:
    """A VarianceScaling with everything but the seed settled."""

    def __init__(self: Any, seed: int | None = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed)

    def get_config(self: Any) -> dict[str, Any]:
        return {"seed": self.seed}

    members = {"__init__": __init__, "get_config": get_config, "__doc__": doc}
    members["__module__"] = __name__
    globals()[class_name] = _named(name)(type(class_name, (VarianceScaling,), members))


_SOURCES = {
    "glorot": ("fan_avg", 1.0, "Glorot and Bengio 2010"),
    "he": ("fan_in", 2.0, "He et al. 2015"),
    "lecun": ("fan_in", 1.0, "LeCun et al. 1998"),
}
for _prefix, (_mode, _scale, _source) in _SOURCES.items():
    _title = {"glorot": "Glorot", "he": "He", "lecun": "Lecun"}[_prefix]
    for _suffix, _kind in (("Uniform", "uniform"), ("Normal", "truncated_normal")):
        _scaled(
            f"{_title}{_suffix}",
            f"{_prefix}_{_suffix.lower()}",
            _scale,
            _mode,
            _kind,
            f"VarianceScaling with scale {_scale}, {_mode}, {_kind} ({_source}).\n\n"
            "Args:\n    seed: int.\n",
        )


@_named("orthogonal")
class Orthogonal(_Random):
    """An orthogonal matrix (of the weight seen as a matrix; Saxe et al. 2013).

    Args:
        gain: a factor.
        seed: int.
    Raises:
        ValueError: a shape of less than two dimensions.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        wanted = _checked_dtype(dtype, "Orthogonal")
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        flat = (max(rows, columns), min(rows, columns))
        normal = tf.random.stateless_normal(flat, self._stateless_seed(), dtype=wanted)
        q, r = np.linalg.qr(normal.numpy())
        q = q * np.sign(np.diag(r))
        q = q.T if rows < columns else q
        return tf.constant(self.gain * q.reshape(shape), wanted)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


@_named("identity")
class Identity(Initializer):
    """The identity matrix times a factor.

    Args:
        gain: the factor.
    Raises:
        ValueError: a shape that is no matrix's.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        wanted = _checked_dtype(dtype, "Identity")
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. Received: "
                f"shape={shape} of rank {len(shape)}."
            )
        return self.gain * tf.eye(*shape, dtype=wanted)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


TABLE.update(
    {
        name: TABLE[of]
        for name, of in (
            ("uniform", "RandomUniform"),
            ("normal", "RandomNormal"),
            ("one", "Ones"),
            ("zero", "Zeros"),
        )
    }
)


@export("keras.initializers.serialize")
def serialize(initializer: Any, use_legacy_format: bool = False) -> Any:
    """An initializer as a dictionary."""
    return serialize_keras_object(initializer)


@export("keras.initializers.deserialize")
def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """An initializer from its dictionary or name."""
    return deserialize_object(config, TABLE, custom_objects, "initializer")


@export("keras.initializers.get")
def get(identifier: Any) -> Any:
    """An initializer from a name, a dictionary, a class, an object, a function, or None.

    Raises:
        ValueError: an unknown name, or none of these.

    >>> keras.initializers.get("he_normal").get_config()
    {'seed': None}
    """
    return interpret(identifier, deserialize, "initializer")
