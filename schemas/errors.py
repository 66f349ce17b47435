"""The error tree, by who must act. Every message says what, where, expected, got and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.facts import FailureKind

EXAMPLES_SHOWN = 5


def first_few(items: Sequence[object], shown: int = EXAMPLES_SHOWN) -> str:
    """The first items of a list and the full count, as error messages quote them.

    >>> first_few(["a", "b"])
    'a, b (2 in all)'
    """
    head = ", ".join(str(item) for item in items[:shown])
    tail = ", ..." if len(items) > shown else ""
    return f"{head}{tail} ({len(items)} in all)"


class PipelineError(Exception):
    """Root of every error that a user of the product can meet.

    Attributes:
        exit_code: what the command line ends with (contract, section 1).
    """

    exit_code = 1


class ConfigError(PipelineError):
    """The settings are wrong: the operator acts."""

    exit_code = 2


class DataContractError(PipelineError):
    """An input table breaks its contract: the data owner acts."""

    exit_code = 2


class TrainingError(PipelineError):
    """Too many series or a whole model could not be fitted: the developer or operator acts.

    Args:
        message: what failed and what to do.
        kind: why, where it is known.
    """

    def __init__(self, message: str, kind: FailureKind = FailureKind.ERROR) -> None:
        super().__init__(message)
        self.kind = kind


class PublicationError(PipelineError):
    """The new files break the contract or cannot be written; the last good run stands: the operator acts."""


class PublicationHeldError(PublicationError):
    """The new file was held back by a limit; the last good one stands: the operator acts."""

    exit_code = 3


class BackfillError(PipelineError):
    """Some weeks of a backfill failed; the others stand: whoever must act for those weeks.

    Args:
        message: the failed weeks and their reasons.
        exit_code: the weeks' own where they all end with the same, else 1.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StorageError(PipelineError):
    """The lake is unreachable or a stored object is damaged: the operator acts."""
