"""Pruning removes what is old and unneeded, and nothing that is in force or that it depends on."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from schemas.records import TableRef
from tasks.publication.approved import Reviewed, keep_reviewed
from tasks.publication.prune import prune
from tasks.publication.transaction import publish_run
from tasks.publication.versions import verify, versions_of
from tasks.storage.lake import Lake, open_lake
from tests.publication import fake_run

pytestmark = pytest.mark.usefixtures("short_page")
NOW = datetime(2025, 6, 1, tzinfo=UTC)
WEEKS = timedelta(weeks=8)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def publish(lake: Lake, needs: TableRef, units: int = 0, dry_run: bool = False) -> None:
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    targets = made.replenishment.copy()
    targets.loc[0, c.TARGET_QUANTITY] += units
    facts = replace(fake_run.facts(), plan_inputs={"tables": {"stores": needs.model_dump(mode="json")}})
    publish_run(lake, fake_run.context(dry_run=dry_run), replace(made, replenishment=targets), facts)


def table(lake: Lake, number: int) -> TableRef:
    return lake.write_table("features/panel", pd.DataFrame({"x": [number]}))


def all_of_age(lake: Lake, age: timedelta) -> None:
    seconds = (NOW - age).timestamp()
    for key in lake.keys(""):
        os.utime(Path(lake.uri(key)), (seconds, seconds))


def test_old_results_previews_and_replaced_versions_go_and_the_rest_stays(lake: Lake) -> None:
    needed, used, unused = (table(lake, number) for number in range(3))
    publish(lake, needed, units=9, dry_run=True)
    publish(lake, needed)
    publish(lake, needed, units=5)
    lake.store_record("features", "old", {"table": unused.model_dump(mode="json")})
    all_of_age(lake, timedelta(weeks=9))
    lake.store_record("features", "new", {"table": used.model_dump(mode="json")})
    os.utime(Path(lake.uri("records/features/new.json")), ((NOW - timedelta(days=3)).timestamp(),) * 2)

    planned = prune(lake, WEEKS, NOW, dry_run=True)
    before = lake.keys("")
    assert before == lake.keys(""), "a dry run removed something"
    assert planned.keys["stage results"] == sorted([unused.key, "records/features/old.json"])
    assert all(key.startswith("versions/2025-01-02/0001/") for key in planned.keys["versions"])
    assert planned.keys["versions"]
    assert all(key.startswith("previews/2025-01-02/") for key in planned.keys["previews"])
    assert planned.bytes["versions"] == sum(len(lake.read_bytes(key)) for key in planned.keys["versions"])

    prune(lake, WEEKS, NOW, dry_run=False)
    removed = set(before) - set(lake.keys(""))
    assert removed == {key for keys in planned.keys.values() for key in keys}
    assert lake.holds(needed)
    assert lake.holds(used)
    assert [(version.number, version.in_force) for version in versions_of(lake, fake_run.AS_OF)] == [(2, True)]
    assert verify(lake) == (2, [])
    assert prune(lake, WEEKS, NOW, dry_run=False).keys == {kind: [] for kind in planned.keys}


def test_nothing_younger_than_the_age_is_removed(lake: Lake) -> None:
    publish(lake, table(lake, 1))
    publish(lake, table(lake, 1), units=5)
    lake.store_record("features", "old", {"table": table(lake, 2).model_dump(mode="json")})
    all_of_age(lake, timedelta(weeks=7))
    assert not any(prune(lake, WEEKS, NOW, dry_run=True).keys.values())


def test_a_table_that_a_run_has_just_written_is_not_removed(lake: Lake) -> None:
    table(lake, 1)
    all_of_age(lake, timedelta(hours=20))
    assert not any(prune(lake, timedelta(0), NOW, dry_run=False).keys.values())
    all_of_age(lake, timedelta(hours=30))
    assert prune(lake, timedelta(0), NOW, dry_run=False).keys["stage results"]
    assert lake.keys("") == []


def test_what_a_run_has_asked_to_approve_outlives_pruning(lake: Lake) -> None:
    def ask(units: int) -> Reviewed:
        made = fake_run.outputs()
        targets = made.replenishment.copy()
        targets.loc[0, c.TARGET_QUANTITY] += units
        preview = replace(made, replenishment=targets, history=None, stock_by_day=None)
        return keep_reviewed(lake, publish_run(lake, fake_run.context(dry_run=True), preview, fake_run.facts()), "r1")

    asked, day = ask(0), timedelta(days=1)
    all_of_age(lake, 3 * day)
    assert not any(prune(lake, day, NOW, dry_run=False, waiting=4 * day).keys.values())
    removed = prune(lake, day, NOW, dry_run=False, waiting=2 * day).keys
    assert removed["previews"]
    assert len(removed["reviewed files"]) == 2
    assert ask(7) == asked, "the run would publish files that nobody reviewed"
