"""The errors of `tf.errors`.

Every class has the constructor `(node_def, op, message)` and a numeric code, as TensorFlow's
have. Inside Headrace they are made by the short functions at the end, which add the name of the
op to the text and return the error for the caller to raise.
"""

from __future__ import annotations

from typing import Any

from headrace.base.export import export, export_value


@export("errors.OpError")
class OpError(Exception):
    """Base of the errors that ops raise.

    Args:
        node_def: the graph node that failed, or None.
        op: the operation that failed, or None.
        message: what went wrong.
        error_code: TensorFlow's number for this sort of error.
        *args: may begin with a dict of further data (`experimental_payloads`).
    """

    def __init__(
        self, node_def: Any, op: Any, message: str, error_code: int, *args: Any
    ) -> None:
        super().__init__()
        self._node_def = node_def
        self._op = op
        self._message = message
        self._error_code = error_code
        self._payloads = dict(args[0]) if args and isinstance(args[0], dict) else {}

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
        return self._error_code

    @property
    def experimental_payloads(self) -> dict[str, bytes]:
        """Further data on the error."""
        return self._payloads

    def __str__(self) -> str:
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        details = (self._node_def, self._op, self._message, self._error_code, self._payloads)
        return OpError, details


class _CodedError(OpError):
    """An OpError whose class says which code it has."""

    code: int

    def __init__(self, node_def: Any, op: Any, message: str, *args: Any) -> None:
        super().__init__(node_def, op, message, self.code, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._node_def, self._op, self._message, self._payloads)


@export("errors.CancelledError")
class CancelledError(_CodedError):
    """The operation was cancelled."""

    code = 1


@export("errors.UnknownError")
class UnknownError(_CodedError):
    """Something failed for a reason that is not known."""

    code = 2


@export("errors.InvalidArgumentError")
class InvalidArgumentError(_CodedError):
    """An argument has a value, a shape or a dtype that it cannot have."""

    code = 3


@export("errors.DeadlineExceededError")
class DeadlineExceededError(_CodedError):
    """The operation took longer than was allowed."""

    code = 4


@export("errors.NotFoundError")
class NotFoundError(_CodedError):
    """A file or an object that was asked for does not exist."""

    code = 5


@export("errors.AlreadyExistsError")
class AlreadyExistsError(_CodedError):
    """What was to be made exists already."""

    code = 6


@export("errors.PermissionDeniedError")
class PermissionDeniedError(_CodedError):
    """The caller may not do this."""

    code = 7


@export("errors.ResourceExhaustedError")
class ResourceExhaustedError(_CodedError):
    """Memory, or a quota, is used up."""

    code = 8


@export("errors.FailedPreconditionError")
class FailedPreconditionError(_CodedError):
    """Something has to be done first: a variable or a table is not initialized."""

    code = 9


@export("errors.AbortedError")
class AbortedError(_CodedError):
    """The operation gave way to another one."""

    code = 10


@export("errors.OutOfRangeError")
class OutOfRangeError(_CodedError):
    """The end of the data was passed."""

    code = 11


@export("errors.UnimplementedError")
class UnimplementedError(_CodedError):
    """This has not been written."""

    code = 12


@export("errors.InternalError")
class InternalError(_CodedError):
    """Something that must hold does not: a mistake in Headrace."""

    code = 13


@export("errors.UnavailableError")
class UnavailableError(_CodedError):
    """What was asked for cannot be had just now."""

    code = 14


@export("errors.DataLossError")
class DataLossError(_CodedError):
    """Data is lost or damaged."""

    code = 15


@export("errors.UnauthenticatedError")
class UnauthenticatedError(_CodedError):
    """The caller did not prove who it is."""

    code = 16


@export("errors.OperatorNotAllowedInGraphError")
class OperatorNotAllowedInGraphError(TypeError):
    """Python asked a tensor without a value for one: `if symbol`, `for x in symbol`."""


BY_CODE: dict[int, type[_CodedError]] = {
    kind.code: kind for kind in _CodedError.__subclasses__()
}


def _publish_codes() -> None:
    """`errors.INVALID_ARGUMENT` is 3, and so on."""
    export_value("errors.OK", 0)
    for code, kind in BY_CODE.items():
        words = kind.__name__.removesuffix("Error")
        constant = "".join("_" + c if c.isupper() else c for c in words).lstrip("_").upper()
        export_value(f"errors.{constant}", code)


_publish_codes()


def of_code(code: int, message: str) -> OpError:
    """The error of a status code, as a file or a compiled function reports it."""
    return BY_CODE[code](None, None, message)


def _made(kind: type[_CodedError], message: str, op: str | None) -> OpError:
    return kind(None, None, message if op is None else f"{message} [Op:{op}]")


def invalid_argument(message: str, op: str | None = None) -> OpError:
    """An InvalidArgumentError, with ` [Op:NAME]` behind its text where an op is named."""
    return _made(InvalidArgumentError, message, op)


def not_found(message: str, op: str | None = None) -> OpError:
    """A NotFoundError."""
    return _made(NotFoundError, message, op)


def already_exists(message: str, op: str | None = None) -> OpError:
    """An AlreadyExistsError."""
    return _made(AlreadyExistsError, message, op)


def resource_exhausted(message: str, op: str | None = None) -> OpError:
    """A ResourceExhaustedError."""
    return _made(ResourceExhaustedError, message, op)


def failed_precondition(message: str, op: str | None = None) -> OpError:
    """A FailedPreconditionError."""
    return _made(FailedPreconditionError, message, op)


def out_of_range(message: str, op: str | None = None) -> OpError:
    """An OutOfRangeError."""
    return _made(OutOfRangeError, message, op)


def unimplemented(message: str, op: str | None = None) -> OpError:
    """An UnimplementedError."""
    return _made(UnimplementedError, message, op)


def internal(message: str, op: str | None = None) -> OpError:
    """An InternalError."""
    return _made(InternalError, message, op)


def data_loss(message: str, op: str | None = None) -> OpError:
    """A DataLossError."""
    return _made(DataLossError, message, op)
