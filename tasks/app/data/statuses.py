"""Decisions of planners about exceptions: one small object per exception, so that planners never block each other."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

from pydantic import ValidationError

from schemas.errors import ConfigError, StorageError
from schemas.records import Record
from tasks.report.language import message
from tasks.storage.lake import PLANNER, Lake

OPEN, ACCEPTED, CHANGED = message("open"), message("accepted"), message("changed")
STATUSES = (OPEN, ACCEPTED, CHANGED)
_ID_DIGITS = 20


class Decision(Record):
    """The status of one exception: who set it, and when (UTC)."""

    status: str
    by: str
    at: str


def exception_id(kind: str, store: str, sku: str, category: str, reason: str = "") -> str:
    """Return the id of an exception: the same in every reading of the same week.

    Args:
        kind: kind of the exception.
        store: store, empty if it is not about one.
        sku: SKU, empty if it is not about one.
        category: category, empty if it is not about one.
        reason: reason, if the other parts do not identify the exception.
    """
    text = json.dumps([kind, store, sku, category, reason])
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def read_decisions(lake: Lake, as_of: date) -> dict[str, Decision]:
    """Return the decisions on the exceptions of a week by id; a damaged one counts as open."""
    found = {}
    for key in lake.keys(_folder(as_of)):
        try:
            found[key.rsplit("/", 1)[1].removesuffix(".json")] = Decision.model_validate_json(lake.read_bytes(key))
        except (ValidationError, StorageError):
            continue
    return found


def decide(lake: Lake, as_of: date, exception: str, status: str, by: str) -> Decision:
    """Store the status of an exception; the last planner's decision counts.

    Raises:
        ConfigError: the status or the name is not valid.
    """
    if status not in STATUSES:
        raise ConfigError(f"status: '{status}' is not one of {', '.join(STATUSES)}.")
    if not by.strip():
        raise ConfigError("Enter your name at the top of the page first. It is stored with the status.")
    decision = Decision(status=status, by=by.strip(), at=datetime.now(UTC).isoformat(timespec="seconds"))
    content: dict[str, Any] = decision.model_dump()
    lake.write_bytes(f"{_folder(as_of)}/{exception}.json", json.dumps(content, ensure_ascii=False).encode())
    return decision


def _folder(as_of: date) -> str:
    return f"{PLANNER}/exceptions/{as_of}"
