"""What a training or inference ends with when it cannot go on, worded as SageMaker's container does."""

from __future__ import annotations


class ClientError(Exception):
    """Bad data or a bad hyperparameter: whoever asked acts."""

    def __str__(self) -> str:
        return f"ClientError: {super().__str__()}"
