"""Devices: `tf.device`, and what `tf.config` and `tf.test` tell about them.

There is one device, the CPU. Another one that is asked for is replaced by it, as TensorFlow
does with soft placement, which is its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from headrace.base import errors
from headrace.base.export import export
from headrace.core.context import DEVICE, state


@export("config.PhysicalDevice")
class PhysicalDevice(NamedTuple):
    """A device of this machine."""

    name: str
    device_type: str


@export("config.LogicalDevice")
class LogicalDevice(NamedTuple):
    """A device as programs use it; its name can be given to `tf.device`."""

    name: str
    device_type: str


CPU = PhysicalDevice("/physical_device:CPU:0", "CPU")


class _Placement:
    """What `tf.config` has set, for all threads."""

    soft = True
    visible: tuple[PhysicalDevice, ...] = (CPU,)


@export("device")
class device:
    """Context manager: what runs inside runs on the named device if there is such a one.

    Args:
        device_name: `"/CPU:0"`, `"/device:GPU:0"`, `"cpu:0"`, a full name with job, replica and
            task, or None.
    Raises:
        ValueError: no name of a device.
        InvalidArgumentError: there is no such device and soft placement is off.

    >>> with tf.device("/CPU:0"):
    ...     tf.constant(1.).device
    '/job:localhost/replica:0/task:0/device:CPU:0'
    """

    def __init__(self, device_name: str | None) -> None:
        if device_name is not None and not isinstance(device_name, str):
            raise ValueError(
                f"Expecting a string device name. Got {type(device_name)}({device_name})"
            )
        self._name = device_name or ""
        self._kind = _device_type(self._name)

    def __enter__(self) -> None:
        if self._kind not in ("", "CPU") and not _Placement.soft:
            raise errors.invalid_argument(
                f"Could not satisfy device specification '{self._name}'. "
                "enable_soft_placement=0. Supported device types [CPU]. All available devices "
                f"[{DEVICE}]."
            )
        state.devices = (*state.devices, self._name)

    def __exit__(self, *exc: object) -> None:
        state.devices = state.devices[:-1]


def _device_type(name: str) -> str:
    """The type in a device's name, in capitals, or nothing; refuses what is no such name."""
    found = ""
    for part in filter(None, name.split("/")):
        key, *rest = part.split(":")
        if key in ("job", "replica", "task") and len(rest) == 1:
            continue
        if key == "device" and rest:
            key, *rest = rest
        if not key.isalpha() or key.upper() not in ("CPU", "GPU", "TPU") or len(rest) > 1:
            raise ValueError(
                f"Unknown attribute {key!r} is encountered while parsing the device spec: "
                f"{name!r}."
            )
        found = key.upper()
    return found


@export("config.list_physical_devices", "config.experimental.list_physical_devices")
def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this machine.

    Args:
        device_type: `"CPU"` or `"GPU"` to ask for these alone.

    >>> tf.config.list_physical_devices("GPU")
    []
    """
    return [CPU] if device_type in (None, "CPU") else []


@export("config.list_logical_devices", "config.experimental.list_logical_devices")
def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices that programs can use.

    >>> tf.config.list_logical_devices()
    [LogicalDevice(name='/device:CPU:0', device_type='CPU')]
    """
    visible = get_visible_devices(device_type)
    return [LogicalDevice("/device:CPU:0", found.device_type) for found in visible]


@export("config.get_visible_devices", "config.experimental.get_visible_devices")
def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this machine that programs may use.

    >>> tf.config.get_visible_devices()
    [PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')]
    """
    return [d for d in _Placement.visible if device_type in (None, d.device_type)]


@export("config.set_visible_devices", "config.experimental.set_visible_devices")
def set_visible_devices(
    devices: PhysicalDevice | Sequence[PhysicalDevice], device_type: str | None = None
) -> None:
    """Say which devices programs may use.

    Args:
        devices: a physical device, or a list of them.
        device_type: the type that is meant; other types stay as they are.
    Raises:
        ValueError: a device that there is not, or of another type.

    >>> tf.config.set_visible_devices([], "GPU")
    """
    wanted = [devices] if isinstance(devices, PhysicalDevice) else list(devices)
    for found in wanted:
        if found != CPU:
            raise ValueError(f"Unrecognized device: {found!r}")
        if device_type not in (None, found.device_type):
            raise ValueError(f"Unrecognized device: {found!r}")
    if device_type in (None, "CPU"):
        _Placement.visible = tuple(wanted)


@export("config.experimental.set_memory_growth")
def set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Let a GPU's memory be taken as it is needed. There is no GPU, so no device fits.

    Raises:
        ValueError: the device is no GPU.
    """
    raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")


@export("config.get_soft_device_placement")
def get_soft_device_placement() -> bool:
    """Whether a device that is missing is replaced by one that is there.

    >>> tf.config.get_soft_device_placement()
    True
    """
    return _Placement.soft


@export("config.set_soft_device_placement")
def set_soft_device_placement(enabled: bool) -> None:
    """Say whether a device that is missing is replaced by one that is there."""
    _Placement.soft = bool(enabled)


@export("test.is_gpu_available")
def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU that ops can run on: there is none.

    >>> tf.test.is_gpu_available()
    False
    """
    return False


@export("test.gpu_device_name")
def gpu_device_name() -> str:
    """The name of a GPU, or nothing.

    >>> tf.test.gpu_device_name()
    ''
    """
    return ""
