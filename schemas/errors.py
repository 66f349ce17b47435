"""The error classes, by the person who must act.

A message says what is wrong and where, what was found and expected, and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.facts import FailureKind
from schemas.secrets import without_secrets

EXAMPLES_SHOWN = 5


def numbered(number: int, text: str) -> str:
    """A number with its words: ``#`` is the number, ``[s]`` and ``[one|several]`` follow it.

    >>> numbered(1, "# store[s] [has|have] no row"), numbered(1200, "# store[s] [has|have] no row")
    ('1 store has no row', '1,200 stores have no row')
    """

    def chosen(match: re.Match[str]) -> str:
        one, mark, several = match[1].partition("|")
        if not mark:
            one, several = "", one
        return one if number == 1 else several

    return re.sub(r"\[([^\]]*)\]", chosen, text).replace("#", f"{number:,}")


def first_few(items: Sequence[object], shown: int = EXAMPLES_SHOWN, count: int | None = None) -> str:
    """The first items of a list and the full count, as error messages quote them.

    Args:
        items: the items, or at least the first ones.
        shown: number of items to quote.
        count: number of items, if ``items`` are only the first ones.

    >>> first_few(["a", "b"])
    'a, b (2 in all)'
    >>> first_few(["a"])
    'a'
    """
    count = len(items) if count is None else count
    if count == 1:
        return str(items[0])
    head = ", ".join(str(item) for item in items[:shown])
    tail = ", ..." if count > shown else ""
    return f"{head}{tail} ({count} in all)"


class PipelineError(Exception):
    """Base class of all errors that are shown to a user. Secrets in addresses are masked in its message.

    Attributes:
        exit_code: exit code of the command line (docs/reference/contract.md#commands).
    """

    exit_code = 1

    def __init__(self, *args: object) -> None:
        """Create the error; see the class."""
        super().__init__(*(without_secrets(part) if isinstance(part, str) else part for part in args))


class ConfigError(PipelineError):
    """The settings are wrong; the operator must correct them."""

    exit_code = 2


class DataContractError(PipelineError):
    """An input table breaks its rules; the data owner must correct it."""

    exit_code = 2


class TrainingError(PipelineError):
    """Too many series or a whole model could not be fitted; the developer or operator must act.

    Args:
        message: what failed and what to do.
        kind: why, if it is known.
    """

    def __init__(self, message: str, kind: FailureKind = FailureKind.ERROR) -> None:
        super().__init__(message)
        self.kind = kind


class EngineError(PipelineError):
    """The machines that compute shards are unreachable, refused or failing; the operator must act.

    Finished shards are kept.
    """


class PublicationError(PipelineError):
    """The new files break their rules or cannot be written. The previous run stays in force. The operator acts."""


class PublicationHeldError(PublicationError):
    """A limit held the new file back. The previous file stays in force. The operator acts."""

    exit_code = 3


class BackfillError(PipelineError):
    """Some weeks of a backfill failed; the others are published.

    Args:
        message: the failed weeks and their reasons.
        exit_code: the exit code of the failed weeks if they all have the same one, else 1.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StorageError(PipelineError):
    """The lake is unreachable or a stored object is damaged; the operator must act."""
