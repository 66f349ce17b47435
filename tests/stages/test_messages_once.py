"""The engine's log has the message of an expected error once."""

from __future__ import annotations

import logging

import pytest

from schemas.errors import DataContractError
from tasks.stages.engine_log import _MessageOnce

TASK = 'Finished in state Failed("Task run encountered an exception DataContractError: sales: no rows\nin a.csv")'
FLOW = "Encountered exception during execution: DataContractError('sales: no rows\\nin a.csv')"


def logged(texts: list[str], shown_at_end: bool = False) -> list[str]:
    found, keep = [], _MessageOnce(shown_at_end)
    for text in texts:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, text, None, None)
        record.exc_info = (DataContractError, DataContractError("x"), None)
        assert keep.filter(record)
        assert record.exc_info is None
        found.append(record.getMessage())
    return found


def test_the_first_record_has_the_message() -> None:
    assert logged([TASK, FLOW]) == [
        TASK,
        "Encountered exception during execution: DataContractError (message above)",
    ]


def test_the_command_line_shows_the_message_at_its_end() -> None:
    assert logged([TASK, FLOW], shown_at_end=True) == [
        'Finished in state Failed("Task run encountered an exception DataContractError (message below)',
        "Encountered exception during execution: DataContractError (message below)",
    ]


@pytest.mark.parametrize("text", ["ValueError: x", "all is well: 100 %", "Crash detected"])
def test_other_records_stay(text: str) -> None:
    record = logging.LogRecord("x", logging.ERROR, "x", 1, text, None, None)
    assert _MessageOnce(shown_at_end=True).filter(record)
    assert record.getMessage() == text
