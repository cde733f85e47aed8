"""The errors of `tf.errors`.

Every class has the constructor `(node_def, op, message)` and a numeric code, as TensorFlow's
have; inside Headrace they are made by the short functions at the end, which add the name of the
op to the text.
"""

from __future__ import annotations

from typing import Any

from headrace.base.export import export, export_value


@export("errors.OpError")
class OpError(Exception):
    """Base of the errors that ops raise.

    Args:
        node_def: the graph node, if there was one.
        op: the operation, if there was one.
        message: what went wrong.
        error_code: TensorFlow's number for this sort of error.
    """

    code = 2

    def __init__(
        self, node_def: Any, op: Any, message: str, error_code: int | None = None, *args: Any
    ) -> None:
        super().__init__(message)
        self._node_def, self._op, self._message = node_def, op, message
        self._code = self.code if not isinstance(error_code, int) else error_code

    @property
    def message(self) -> str:
        """What went wrong."""
        return self._message

    @property
    def op(self) -> Any:
        """The operation that failed, if known."""
        return self._op

    @property
    def node_def(self) -> Any:
        """The graph node that failed, if known."""
        return self._node_def

    @property
    def error_code(self) -> int:
        """TensorFlow's number for this sort of error."""
        return self._code

    @property
    def experimental_payloads(self) -> dict[str, bytes]:
        """Further data on the error; there is none."""
        return {}

    def __str__(self) -> str:
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._node_def, None, self._message)


_CLASSES = (
    ("CancelledError", 1, "The operation was cancelled."),
    ("UnknownError", 2, "Something failed for a reason that is not known."),
    ("InvalidArgumentError", 3, "An argument has a value, shape or dtype that cannot be."),
    ("DeadlineExceededError", 4, "The operation took longer than was allowed."),
    ("NotFoundError", 5, "A file or an object that was asked for does not exist."),
    ("AlreadyExistsError", 6, "What was to be made exists already."),
    ("PermissionDeniedError", 7, "The caller may not do this."),
    ("ResourceExhaustedError", 8, "Memory, or a quota, is used up."),
    ("FailedPreconditionError", 9, "The system is not in the state that this needs."),
    ("AbortedError", 10, "The operation was aborted."),
    ("OutOfRangeError", 11, "The end of the data was passed."),
    ("UnimplementedError", 12, "This is not implemented."),
    ("InternalError", 13, "Something that must hold does not."),
    ("UnavailableError", 14, "What was asked for cannot be had just now."),
    ("DataLossError", 15, "Data is lost or damaged."),
    ("UnauthenticatedError", 16, "The caller did not prove who it is."),
)


def _define(name: str, code: int, doc: str) -> type[OpError]:
    defined = type(name, (OpError,), {"__doc__": doc, "code": code, "__module__": __name__})
    constant = "".join("_" + c if c.isupper() else c for c in name[:-5]).lstrip("_").upper()
    export_value(f"errors.{constant}", code)
    return export_value(f"errors.{name}", defined)


_defined = {name: _define(name, code, doc) for name, code, doc in _CLASSES}
CancelledError = _defined["CancelledError"]
InvalidArgumentError = _defined["InvalidArgumentError"]
NotFoundError = _defined["NotFoundError"]
AlreadyExistsError = _defined["AlreadyExistsError"]
FailedPreconditionError = _defined["FailedPreconditionError"]
OutOfRangeError = _defined["OutOfRangeError"]
UnimplementedError = _defined["UnimplementedError"]
InternalError = _defined["InternalError"]


def _made(kind: type[OpError], message: str, op: str | None) -> OpError:
    return kind(None, None, message if op is None else f"{message} [Op:{op}]")


def invalid_argument(message: str, op: str | None = None) -> OpError:
    """An InvalidArgumentError, with ` [Op:NAME]` behind its text where an op is named."""
    return _made(InvalidArgumentError, message, op)


def not_found(message: str, op: str | None = None) -> OpError:
    """A NotFoundError."""
    return _made(NotFoundError, message, op)


def out_of_range(message: str, op: str | None = None) -> OpError:
    """An OutOfRangeError."""
    return _made(OutOfRangeError, message, op)


def failed_precondition(message: str, op: str | None = None) -> OpError:
    """A FailedPreconditionError."""
    return _made(FailedPreconditionError, message, op)


def unimplemented(message: str, op: str | None = None) -> OpError:
    """An UnimplementedError."""
    return _made(UnimplementedError, message, op)


def internal(message: str, op: str | None = None) -> OpError:
    """An InternalError."""
    return _made(InternalError, message, op)
