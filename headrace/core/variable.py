"""Variables: named, mutable buffers.

A variable owns an array. Reading it wraps that array in a tensor without a copy; an update
writes in place only while nobody else holds the array, and otherwise moves on to a fresh one,
so a tensor that was read before an assignment keeps its own value (copy on write). Who holds
the array is what Python counts anyway: its references. Updates of one variable are ordered by
its lock, under which readers take the array; a refused update changes nothing. Scatter updates
stand in `core/scatter.py`.

Short compiled programs need no lock: they keep the interpreter's, and take a buffer only while
nobody but its variable holds it. So whoever computes a new value from the old one takes a
reference to the buffer before looking at it, and keeps it until the new value is there.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import DType, as_dtype, from_numpy, resource
from headrace.base.export import export
from headrace.base.shapes import TensorShape
from headrace.core.context import DEVICE, modes, state
from headrace.core.convert import convert
from headrace.core.scatter import Scatter
from headrace.core.tensor import EagerTensor, Reference, Tensor, value_repr, wrap


@export("VariableSynchronization")
class VariableSynchronization(Enum):
    """When a distributed variable's copies are brought together."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


@export("VariableAggregation")
class VariableAggregation(Enum):
    """How a distributed variable's copies are combined."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3


_serials = itertools.count()


class Handle:
    """What TensorFlow calls a variable's resource: its identity, dtype and shape."""

    __slots__ = ("_variable",)
    dtype = resource

    def __init__(self, variable: Variable) -> None:
        self._variable = variable

    @property
    def shape(self) -> TensorShape:
        return TensorShape(())

    def __repr__(self) -> str:
        return f"<Resource of {self._variable!r}>"


class _Hooks:
    """What later floors provide for variables while a graph is built.

    `read(variable, name)` and `update(variable, method, value, name)` add operations;
    `handle(variable, name)` gives what stands for a variable there;
    `lift(variable, initial_value, dtype)` gives the eager value of a variable that is made.
    """

    read: Callable[..., Tensor]
    update: Callable[..., None]
    handle: Callable[..., Tensor]
    lift: Callable[..., Any]


hooks = _Hooks()


@export("Variable")
class Variable(Scatter):
    """A tensor whose value can be changed, and that tapes watch by themselves.

    Args:
        initial_value: tensor, or what `tf.convert_to_tensor` takes, or a function of no
            arguments that gives one.
        trainable: whether tapes watch it and optimizers update it (default True).
        name: its name; need not be unique.
        dtype: dtype to convert the initial value to.
        constraint: function of the new value that optimizers apply after an update.
        shape: allowed shapes; unknown dimensions may change at an `assign`.
    Raises:
        ValueError: no initial value, or one that does not fit `shape`.

    >>> v = tf.Variable([1., 2.], name="weights")
    >>> v.assign_add([10., 10.]).numpy()
    array([11., 12.], dtype=float32)
    """

    __slots__ = ("_buffer",)  # compiled code reads it at its place in the object
    __array_priority__ = 100
    _buffer: np.ndarray

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Tensor], Any] | None = None,
        synchronization: VariableSynchronization = VariableSynchronization.AUTO,
        aggregation: VariableAggregation = VariableAggregation.NONE,
        shape: Any = None,
        experimental_enable_variable_lifting: bool = True,
    ) -> None:
        if variable_def is not None:
            raise ValueError(_of_definition(initial_value, variable_def))
        if initial_value is None:
            raise ValueError(
                "The `initial_value` arg to `tf.Variable` must be specified except when you "
                "are not providing a `variable_def`. You provided neither."
            )
        if constraint is not None and not callable(constraint):
            raise ValueError(
                "Argument `constraint` must be None or a callable. a callable. Got a "
                f"{type(constraint)}:  {constraint}"
            )
        if state.graph is not None:
            initial_value = hooks.lift(self, initial_value, dtype)
        if callable(initial_value) and not isinstance(initial_value, (Tensor, Variable)):
            initial_value = initial_value()
        value = _initial(initial_value, None if dtype is None else as_dtype(dtype))
        declared = value.shape if shape is None else TensorShape(shape)
        if not declared.is_compatible_with(value.shape):
            raise ValueError(
                "In this `tf.Variable` creation, the initial value's shape "
                f"({value.shape}) is not compatible with the explicitly supplied `shape` "
                f"argument ({shape})."
            )
        assert isinstance(value, EagerTensor)
        self._lock = threading.RLock()
        self._buffer = _owned(value._array)
        self._shape = declared
        self._fixed = declared.is_fully_defined()
        self._trainable = True if trainable is None else bool(trainable)
        self._name = "/".join((*state.scopes, "Variable" if name is None else str(name))) + ":0"
        self._constraint = constraint
        self._synchronization = synchronization
        self._aggregation = aggregation
        self._serial = next(_serials)

    # What it is

    @property
    def name(self) -> str:
        """The name, with the `:0` that TensorFlow's graphs put behind it."""
        return self._name

    @property
    def _shared_name(self) -> str:
        return self._name[:-2]

    @property
    def dtype(self) -> DType:
        """The type of the elements, a `tf.DType`."""
        return from_numpy[self._buffer.dtype]

    @property
    def shape(self) -> TensorShape:
        """The declared shape, a `tf.TensorShape`."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """The declared shape (older spelling of `shape`)."""
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Narrow the declared shape to what is also compatible with `shape`."""
        self._shape = self._shape.merge_with(shape)
        self._fixed = self._shape.is_fully_defined()

    @property
    def trainable(self) -> bool:
        """Whether tapes watch this variable when it is read."""
        return self._trainable

    @property
    def constraint(self) -> Callable[[Tensor], Any] | None:
        """The function that optimizers apply to the value after an update."""
        return self._constraint

    @property
    def synchronization(self) -> VariableSynchronization:
        return self._synchronization

    @property
    def aggregation(self) -> VariableAggregation:
        return self._aggregation

    @property
    def device(self) -> str:
        """The device that holds the value, in TensorFlow's full spelling."""
        return DEVICE

    @property
    def handle(self) -> Handle:
        return Handle(self)

    @property
    def initializer(self) -> None:
        """The op that gives the initial value: none, eager variables have it at once."""
        return None

    @property
    def initial_value(self) -> Any:
        raise RuntimeError("This property is not supported when eager execution is enabled.")

    def is_initialized(self, name: str | None = None) -> EagerTensor:
        """A scalar bool tensor: whether the variable has a value. It always has."""
        return wrap(np.array(True))

    def ref(self) -> Reference:
        """A hashable reference that compares by identity; `.deref()` gives the variable."""
        return Reference(self)

    def __hash__(self) -> int:
        raise TypeError(
            "Variable is unhashable. Instead, use variable.ref() as the key. "
            f"(Variable: {self!r})"
        )

    # Reading

    @property
    def _array(self) -> np.ndarray:
        """The buffer, for reading. Taken under the lock: whoever updates in place has either
        finished, or will see that somebody holds it."""
        with self._lock:
            return self._buffer

    def value(self) -> Tensor:
        """The current value as a tensor; tapes see the read."""
        if modes and state.graph is not None:
            return hooks.read(self)
        tensor = wrap(self._array)
        if modes:
            for recorder in state.recorders:
                recorder.read(self, tensor)
        return tensor

    def read_value(self) -> Tensor:
        """The current value as a tensor; tapes see the read."""
        if state.graph is not None:
            return hooks.read(self, "Read/ReadVariableOp")
        return self.value()

    def numpy(self) -> Any:
        """A copy of the current value as an array (or NumPy scalar)."""
        if state.graph is not None:
            raise NotImplementedError(
                "numpy() is only available when eager execution is enabled."
            )
        array = self._array
        return array.copy() if array.ndim else array[()]

    def __tf_tensor__(self, dtype: DType | None = None, name: str | None = None) -> Tensor:
        if dtype is not None and dtype != self.dtype:
            raise ValueError(
                f"Incompatible type conversion requested to type {dtype.name} for "
                f"`tf.Variable of type {self.dtype.name}. (Variable: {self!r})"
            )
        return self.value()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype=dtype)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.value())  # type: ignore[call-overload]

    def __bool__(self) -> bool:
        return bool(self._array)

    def __int__(self) -> int:
        return int(self._array)

    def __float__(self) -> float:
        return float(self._array)

    def __complex__(self) -> complex:
        return complex(self._array)

    def __index__(self) -> int:
        return self._array.__index__()

    def __repr__(self) -> str:
        return (
            f"<tf.Variable {self.name!r} shape={self.shape} dtype={self.dtype.name}, "
            f"numpy={value_repr(self._array)}>"
        )

    # Writing

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Give the variable a new value.

        Args:
            value: what `tf.convert_to_tensor` takes; must have the variable's dtype and a
                shape that fits the declared one.
        Returns:
            The variable as it is from now on (None with `read_value=False`).
        Raises:
            ValueError: wrong dtype or shape; the old value stays.
        """
        if modes and state.graph is not None:
            hooks.update(self, "assign", value, name)
            return UnreadVariable(self) if read_value else None
        tensor: Any = value if value.__class__ is EagerTensor else convert(value, self.dtype)
        array = tensor._array
        if array.dtype is not self._buffer.dtype:
            convert(tensor, self.dtype)
        fits = array.shape == self._buffer.shape if self._fixed else self._accepts(array)
        if not fits:
            raise ValueError(
                f"Cannot assign value to variable ' {self.name}': Shape mismatch."
                f"The variable shape {self.shape}, and the assigned value shape "
                f"{tensor.shape} are incompatible."
            )
        with self._lock:
            self._buffer = _owned(array)
        return UnreadVariable(self) if read_value else None

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Add `delta`, a tensor of the variable's shape and dtype, to the value."""
        if modes and state.graph is not None:
            hooks.update(self, "assign_add", delta, name)
        else:
            self._update(np.add, delta, "AssignAddVariableOp")
        return UnreadVariable(self) if read_value else None

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """Subtract `delta`, a tensor of the variable's shape and dtype, from the value."""
        if modes and state.graph is not None:
            hooks.update(self, "assign_sub", delta, name)
        else:
            self._update(np.subtract, delta, "AssignSubVariableOp")
        return UnreadVariable(self) if read_value else None

    def _unread(self) -> UnreadVariable:
        return UnreadVariable(self)

    def _accepts(self, array: np.ndarray) -> bool:
        return self._shape.is_compatible_with(array.shape)

    def _update(self, ufunc: Callable[..., np.ndarray], delta: Any, op: str) -> None:
        tensor: Any = delta if delta.__class__ is EagerTensor else convert(delta, self.dtype)
        change = tensor._array
        if change.dtype is not self._buffer.dtype:
            convert(tensor, self.dtype)
        if change.shape != self._buffer.shape:
            raise errors.invalid_argument(
                f"Cannot update variable with shape {_brackets(self._buffer)} using a Tensor "
                f"with shape {_brackets(change)}, shapes must be equal.",
                op,
            )
        if change.dtype.kind in "bO":
            raise errors.invalid_argument(
                f"No OpKernel was registered to support Op '{op}' used by with these attrs: "
                f"[dtype=DT_{self.dtype.name.upper()}]",
                op,
            )
        with self._lock:
            buffer = self._buffer
            if sys.getrefcount(buffer) <= OWNED:
                ufunc(buffer, change, out=buffer)
            else:
                self._buffer = np.asarray(ufunc(buffer, change))

    def _writable(self) -> np.ndarray:
        """The buffer, after making sure that nobody else holds it. Call under the lock, and
        keep what it gives until it is changed."""
        buffer = self._buffer
        if sys.getrefcount(buffer) <= OWNED:
            return buffer
        self._buffer = own = buffer.copy()
        return own

    def eval(self, session: Any = None) -> Any:
        """The value in a session: there is none."""
        raise RuntimeError("This operation is not supported when eager execution is enabled.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        copied = Variable(
            wrap(self._array.copy()),
            trainable=self._trainable,
            constraint=self._constraint,
            shape=self._shape,
            synchronization=self._synchronization,
            aggregation=self._aggregation,
        )
        copied._name = self._name
        memo[id(self)] = copied
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self._array, self._trainable, self._name, self._constraint, self._shape)
        return _restore, arguments

    def __getattr__(self, name: str) -> Any:
        if name in ("op", "graph"):
            raise AttributeError(f"Tensor.{name} is undefined when eager execution is enabled.")
        raise AttributeError(f"'ResourceVariable' object has no attribute {name!r}")


def _in_place(symbol: str, remedy: str, name: str = "variable") -> Callable[..., Any]:
    """`v += x` would silently make `v` a tensor; it is refused."""

    def method(self: Any, other: Any) -> Any:
        raise RuntimeError(
            f"`{name} {symbol}= value` with `tf.Variable`s is not supported. Use `{remedy}` to "
            f"modify the variable, or `out = {name} {symbol} value` if you need to get a new "
            "output Tensor."
        )

    return method


for _method, _symbol, _remedy, _who in (
    ("__iadd__", "+", "variable.assign_add(value)", "variable"),
    ("__isub__", "-", "variable.assign_sub(value)", "variable"),
    ("__imul__", "*", "var.assign(var * value)", "var"),
    ("__itruediv__", "/", "var.assign(var / value)", "var"),
    ("__ipow__", "**", "var.assign(var ** value)", "var"),
):
    setattr(Variable, _method, _in_place(_symbol, _remedy, _who))


class UnreadVariable(Variable):
    """What an assignment returns: the same variable, read when it is looked at."""

    _parent: Variable

    def __init__(self, parent: Variable) -> None:
        self._parent = parent._parent if isinstance(parent, UnreadVariable) else parent

    @property
    def name(self) -> str:
        return "UnreadVariable"

    @property
    def _array(self) -> np.ndarray:
        return self._parent._array

    def value(self) -> Tensor:
        return self._parent.value()

    def assign(self, *args: Any, **kwargs: Any) -> Any:
        return self._parent.assign(*args, **kwargs)

    def _update(self, ufunc: Callable[..., np.ndarray], delta: Any, op: str) -> None:
        self._parent._update(ufunc, delta, op)

    def _writable(self) -> np.ndarray:
        return self._parent._writable()

    def __getattr__(self, name: str) -> Any:
        if name == "_parent":
            raise AttributeError(name)
        return getattr(self._parent, name)


def _owned(array: np.ndarray) -> np.ndarray:
    """An array that a variable can keep: whole and contiguous, so that it pins no other."""
    if array.base is None and array.flags.c_contiguous:
        return array
    return np.array(array, order="C")


def _initial(value: Any, dtype: DType | None) -> Tensor:
    try:
        return convert(value, dtype)
    except ValueError as error:
        if not isinstance(value, Tensor):
            raise
        raise ValueError(f"initial_value: {error}") from None


def _of_definition(initial_value: Any, variable_def: Any) -> str:
    if initial_value is None:
        return "A variable cannot be made of a `variable_def` here; give its `initial_value`."
    return (
        "The variable_def and initial_value args to `tf.Variable` are mutually exclusive, but "
        f"got both: variable_def={variable_def},\ninitial_value={initial_value}"
    )


def _brackets(array: np.ndarray) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _restore(
    array: np.ndarray, trainable: bool, name: str, constraint: Any, shape: TensorShape
) -> Variable:
    variable = Variable(wrap(array), trainable=trainable, constraint=constraint, shape=shape)
    variable._name = name
    return variable


def _count_of_owned() -> int:
    """What `sys.getrefcount(buffer)` says when only a variable and `buffer` hold it."""

    class Probe:
        __slots__ = ("_buffer",)
        _buffer: np.ndarray

    probe = Probe()
    probe._buffer = np.zeros(1)
    buffer = probe._buffer
    return sys.getrefcount(buffer)


OWNED = _count_of_owned()
