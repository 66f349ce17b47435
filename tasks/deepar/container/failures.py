"""What a training or inference ends with when it cannot go on, worded as SageMaker's container does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

# How torch's distributions begin to refuse parameters that are no numbers.
_REFUSED = ("Expected parameter ", "Expected value argument ")


class ClientError(Exception):
    """Bad data or a bad hyperparameter: whoever asked acts."""

    def __str__(self) -> str:
        return f"ClientError: {super().__str__()}"


@contextmanager
def no_numbers_told(message: str) -> Iterator[None]:
    """Tell a distribution's refusal of parameters that are no numbers, a page of them, in words.

    Args:
        message: what to tell.

    Raises:
        ClientError: with the message.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(_REFUSED):
            raise
        raise ClientError(message) from error
