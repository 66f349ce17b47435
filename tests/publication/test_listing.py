"""The list of publications."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from schemas import columns as c
from schemas.alarms import raise_alarm
from schemas.records import Approval
from tasks.publication.listing import publication_rows
from tasks.publication.transaction import publish_run
from tasks.publication.versions import roll_back, withdraw
from tasks.storage.lake import open_lake
from tests.publication import fake_run

pytestmark = pytest.mark.usefixtures("short_page")
WEEK_BEFORE = date(2024, 12, 26)


def test_the_list_says_what_is_in_force_by_whom_and_how_much_changed(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    assert publication_rows(lake) == []
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    more = made.replenishment.copy()
    more.loc[0, c.TARGET_QUANTITY] += 5
    approved = Approval(by="Ana", at="2025-01-02T08:00:00+00:00")
    facts = replace(fake_run.facts(), alarms=[raise_alarm("rejected_rows", "x")], approval=approved)
    publish_run(lake, fake_run.context(as_of=WEEK_BEFORE), made, fake_run.facts(), "schedule")
    publish_run(lake, fake_run.context(), made, fake_run.facts(), "schedule")
    publish_run(lake, fake_run.context(), replace(made, replenishment=more), facts, "Ana")
    rows = publication_rows(lake)
    assert [(row["date"], row["version"], row["state"], row["by"]) for row in rows] == [
        ("2025-01-02", 2, "in force", "Ana"),
        ("2025-01-02", 1, "replaced", "schedule"),
        ("2024-12-26", 1, "in force", "schedule"),
    ]
    count, units = len(more), int(more[c.TARGET_QUANTITY].sum())
    assert (rows[0]["rows"], rows[0]["units"], rows[1]["units"]) == (count, units, units - 5)
    assert (rows[0]["approved"], rows[0]["alarms"], rows[1]["alarms"]) == ("Ana", "rejected_rows", "")
    assert rows[1]["changed"].startswith("0")
    assert rows[0]["published"].startswith("20")

    roll_back(lake, fake_run.AS_OF, None, "Tom", "wrong stock")
    withdraw(lake, WEEK_BEFORE, "Tom")
    states = {(row["date"], row["version"]): (row["state"], row["by"], row["note"]) for row in publication_rows(lake)}
    assert states == {
        ("2025-01-02", 2): ("replaced", "Ana", ""),
        ("2025-01-02", 1): ("in force", "schedule", "put back in force by Tom: wrong stock"),
        ("2024-12-26", 1): ("withdrawn", "schedule", "withdrawn by Tom"),
    }


def test_a_version_that_never_came_into_force_is_not_called_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    promote = lake.promote

    def killed(folder: Path, key: str, last: str) -> None:
        if key.startswith("runs/"):
            raise KeyboardInterrupt
        promote(folder, key, last)

    with monkeypatch.context() as patch:
        patch.setattr(lake, "promote", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_run(lake, fake_run.context(), made, fake_run.facts(), "schedule")
    assert [(row["version"], row["state"], row["by"]) for row in publication_rows(lake)] == [(1, "interrupted", "")]
    publish_run(lake, fake_run.context(), made, fake_run.facts(), "schedule")
    assert [(row["version"], row["state"], row["by"]) for row in publication_rows(lake)] == [
        (1, "in force", "schedule")
    ]
