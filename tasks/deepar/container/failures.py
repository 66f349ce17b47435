"""Errors that end a training or an inference, with the wording of SageMaker's container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# Start of the errors that torch's distributions raise for parameters that are not numbers.
_REFUSED = ("Expected parameter ", "Expected value argument ")


class ClientError(Exception):
    """Bad data or a bad hyperparameter: the caller must act."""

    def __str__(self) -> str:
        return f"ClientError: {super().__str__()}"


@contextmanager
def non_finite_in_short(message: str) -> Iterator[None]:
    """Shorten a distribution's error about non-finite parameters to one sentence.

    Args:
        message: text of the error.

    Raises:
        ClientError: with the message.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(_REFUSED):
            raise
        raise ClientError(message) from error
