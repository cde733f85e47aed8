"""The short functions that make errors, and the codes of files and compiled functions."""

import pytest

from headrace.base import errors

MAKERS = {
    errors.invalid_argument: errors.InvalidArgumentError,
    errors.not_found: errors.NotFoundError,
    errors.already_exists: errors.AlreadyExistsError,
    errors.resource_exhausted: errors.ResourceExhaustedError,
    errors.failed_precondition: errors.FailedPreconditionError,
    errors.out_of_range: errors.OutOfRangeError,
    errors.unimplemented: errors.UnimplementedError,
    errors.internal: errors.InternalError,
    errors.data_loss: errors.DataLossError,
}


@pytest.mark.parametrize(("make", "kind"), MAKERS.items(), ids=lambda x: x.__name__)
def test_makers_return_the_error_with_the_name_of_the_op(make, kind):
    error = make("Something is wrong.", "MatMul")
    assert type(error) is kind
    assert str(error) == error.message == "Something is wrong. [Op:MatMul]"
    assert error.error_code == kind.code
    assert error.op is None and error.node_def is None
    assert str(make("Something is wrong.")) == "Something is wrong."


def test_every_code_has_a_class():
    assert sorted(errors.BY_CODE) == list(range(1, 17))
    for code, kind in errors.BY_CODE.items():
        error = errors.of_code(code, "text")
        assert (type(error), error.error_code, str(error)) == (kind, code, "text")


def test_payloads_default_to_none_at_all():
    assert errors.InternalError(None, None, "m").experimental_payloads == {}
    assert errors.InternalError(None, None, "m", 5).experimental_payloads == {}
