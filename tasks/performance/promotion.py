"""Promote a challenger: its settings apply to the runs from a date on, until the promotion is reverted.

A promotion is a record in the lake. The settings file stays as it is: settings of a promotion replace those of the
file, and `--set` replaces both. The manifest of every run names the promotion that it was made with.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.performance import FOLDER
from schemas.records import Record
from schemas.settings.challenger import ChallengerSettings, change_texts
from tasks.storage.lake import S3_SCHEME, Lake, open_lake

PROMOTIONS = f"{FOLDER}/promotions"
PROMOTED, REVERTED = "promoted", "reverted"


class Promotion(Record):
    """One entry of the log.

    Attributes:
        at: time (ISO 8601, UTC).
        action: ``promoted`` or ``reverted``.
        challenger: its name.
        settings: what it changes, in the layout of the settings file.
        since: first run date that it applies to.
        by: who.
        note: why.
    """

    at: str
    action: str
    challenger: str
    settings: dict[str, Any]
    since: date
    by: str
    note: str = ""

    def text(self) -> str:
        """Name, date and person, for the manifest."""
        return f"{self.challenger}, {self.action} for run dates from {self.since} by {self.by}"

    def changes(self) -> list[str]:
        """The settings as ``key.path=value`` texts."""
        return change_texts(self.settings)


def promotions(lake: Lake) -> list[Promotion]:
    """Return the log of promotions, oldest first."""
    return [Promotion.model_validate_json(lake.read_bytes(key)) for key in lake.keys(PROMOTIONS)]


def promotion_for(lake: Lake, as_of: date) -> Promotion | None:
    """Return the promotion that applies to a run date; None if no promotion applies.

    Runs of earlier dates keep the settings that they had, so that a backfill gives the same files.
    """
    log = [entry for entry in promotions(lake) if entry.since <= as_of]
    return log[-1] if log and log[-1].action == PROMOTED else None


def find_promotion(storage: str, as_of: date) -> Promotion | None:
    """Return the promotion that applies to a run date; a lake that does not exist is not created.

    Args:
        storage: the setting ``storage``.
        as_of: run date.
    """
    if not storage.startswith(S3_SCHEME) and not (Path(storage) / PROMOTIONS).exists():
        return None
    return promotion_for(open_lake(storage), as_of)


def promote(lake: Lake, challenger: ChallengerSettings, since: date, by: str, note: str = "") -> Promotion:
    """Promote the challenger of the settings.

    Args:
        lake: lake of the publications; call it within ``lake.exclusive()``.
        challenger: block of the settings.
        since: first run date.
        by: who promotes.
        note: why.

    Raises:
        ConfigError: the settings have no challenger, or it is promoted already.
    """
    if challenger.lake is not None:
        raise ConfigError(
            f"The challenger {challenger.name} is another installation ({challenger.lake}). To use it, install its "
            "version of Restock here, and remove challenger.lake."
        )
    if not challenger.settings:
        raise ConfigError(
            "The settings have no challenger. Set challenger.settings; see docs/reference/performance.md."
        )
    current = promotion_for(lake, since)
    if current is not None and current.settings == challenger.settings:
        raise ConfigError(f"The challenger {challenger.name} is already promoted since {current.since}.")
    return _add(lake, PROMOTED, challenger.name, challenger.settings, since, by, note)


def revert(lake: Lake, since: date, by: str, note: str = "") -> Promotion:
    """Revert the promotion in force: runs from a date on use only the settings file.

    Raises:
        ConfigError: nothing is promoted on this date.
    """
    current = promotion_for(lake, since)
    if current is None:
        raise ConfigError(f"No challenger is promoted for run dates from {since}.")
    return _add(lake, REVERTED, current.challenger, current.settings, since, by, note)


def _add(
    lake: Lake, action: str, challenger: str, settings: dict[str, Any], since: date, by: str, note: str
) -> Promotion:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = Promotion(at=now, action=action, challenger=challenger, settings=settings, since=since, by=by, note=note)
    number = len(lake.keys(PROMOTIONS)) + 1
    lake.write_bytes(f"{PROMOTIONS}/{number:04d}.json", entry.model_dump_json(indent=1).encode())
    return entry
