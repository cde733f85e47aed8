"""`tf.config.optimizer`: which passes run, and whether functions become native code at once.

Each of TensorFlow's options stands for some of our passes; the others are accepted and have no
effect here. A program is made with the options that hold at that time.
"""

from __future__ import annotations

from typing import Any

from headrace.base import flags
from headrace.base.export import export

OPTIONS = (
    "layout_optimizer",
    "constant_folding",
    "shape_optimization",
    "remapping",
    "arithmetic_optimization",
    "dependency_optimization",
    "loop_optimization",
    "function_optimization",
    "debug_stripper",
    "disable_model_pruning",
    "scoped_allocator_optimization",
    "pin_to_host_optimization",
    "implementation_selector",
    "auto_mixed_precision",
    "disable_meta_optimizer",
    "auto_mixed_precision_onednn_bfloat16",
    "auto_mixed_precision_mkl",
    "min_graph_nodes",
)
_ALWAYS_TOLD = ("disable_model_pruning", "disable_meta_optimizer")
_AUTOCLUSTERING = "autoclustering"


class _Settings:
    """What was asked for in this process."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.jit = False


settings = _Settings()


@export("config.optimizer.set_experimental_options")
def set_experimental_options(options: dict[str, Any]) -> None:
    """Say which passes run over the graphs of functions; what is not named stays as it is.

    Args:
        options: True or False for TensorFlow's names. Those with an effect here:
            `constant_folding`, `shape_optimization`, `remapping`, `arithmetic_optimization`
            (simplification and common subexpressions), `dependency_optimization`
            (operations that change nothing), `loop_optimization` (branches and loops that do
            not run), `function_optimization` (calls are put in line), `disable_model_pruning`,
            `disable_meta_optimizer` (no pass runs), and the number `min_graph_nodes`: smaller
            graphs stay as they are. Functions that have run keep what they were made with.
    Raises: TypeError: a value that is no bool, or no int for `min_graph_nodes`.

    >>> tf.config.optimizer.set_experimental_options({"constant_folding": True})
    >>> tf.config.optimizer.get_experimental_options()["constant_folding"]
    True
    """
    for name, value in options.items():
        wanted: type = int if name == "min_graph_nodes" else bool
        if name in OPTIONS and type(value) is not wanted and value is not None:
            raise TypeError(
                f"The optimizer option {name!r} must be of type {wanted.__name__}, "
                f"got {value!r}."
            )
    settings.options.update(options)


@export("config.optimizer.get_experimental_options")
def get_experimental_options() -> dict[str, Any]:
    """The options that were set, by TensorFlow's names.

    >>> tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
    False
    """
    found = {name: settings.options.get(name) for name in OPTIONS}
    for name in _ALWAYS_TOLD:
        found[name] = bool(found[name])
    return {name: value for name, value in found.items() if value is not None}


@export("config.optimizer.set_jit")
def set_jit(enabled: bool | str) -> None:
    """Say whether functions become native code without being asked one by one.

    Args:
        enabled: `"autoclustering"` (or True, its old spelling), or False.

    >>> tf.config.optimizer.set_jit(False)
    >>> tf.config.optimizer.get_jit()
    ''
    """
    settings.jit = enabled is True or enabled == _AUTOCLUSTERING


@export("config.optimizer.get_jit")
def get_jit() -> str:
    """`"autoclustering"` if functions become native code by themselves, else an empty text.

    >>> tf.config.optimizer.get_jit()
    ''
    """
    return _AUTOCLUSTERING if settings.jit else ""


def wants(name: str, option: str) -> bool:
    """Whether a pass runs.

    Args:
        name: of the pass, as `HEADRACE_PASSES` names it.
        option: TensorFlow's option that it belongs to.
    """
    chosen = flags.PASSES.value
    if chosen is not None and name not in chosen:
        return False
    told = settings.options
    if told.get("disable_meta_optimizer"):
        return False
    if option.startswith("disable_"):
        return not told.get(option)
    return told.get(option) is not False


def smallest() -> int:
    """Programs of fewer nodes stay as they are."""
    return settings.options.get("min_graph_nodes") or 0
