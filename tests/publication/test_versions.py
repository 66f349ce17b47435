"""Versions of a publication: kept, listed, put in force again, withdrawn and verified."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from schemas import columns as c
from schemas.errors import ConfigError, PublicationError, PublicationHeldError
from schemas.outputs import MANIFEST, RunOutputs
from schemas.records import Approval
from tasks.publication.approved import is_outdated, keep_reviewed
from tasks.publication.earlier_runs import latest_before, published
from tasks.publication.transaction import publish_run
from tasks.publication.versions import events_of, roll_back, verify, versions_of, withdraw
from tasks.storage.lake import Lake, open_lake
from tests.publication import fake_run

pytestmark = pytest.mark.usefixtures("short_page")
AS_OF = fake_run.AS_OF
WEEK_BEFORE = date(2024, 12, 26)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


def outputs(units: int = 0) -> RunOutputs:
    """The outputs of a run, with this many units more in the first target."""
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    targets = made.replenishment.copy()
    targets.loc[0, c.TARGET_QUANTITY] += units
    return replace(made, replenishment=targets)


def publish(lake: Lake, units: int = 0, as_of: date = AS_OF, by: str = "schedule") -> None:
    publish_run(lake, fake_run.context(as_of=as_of), outputs(units), fake_run.facts(), by)


def in_force(lake: Lake, folder: str = f"runs/{AS_OF}") -> dict[str, bytes]:
    return {key.rsplit("/", 1)[-1]: lake.read_bytes(key) for key in lake.keys(folder)}


def test_every_publication_of_a_date_is_kept_and_one_is_in_force(lake: Lake) -> None:
    publish(lake)
    first = in_force(lake)
    publish(lake, units=5)
    second = in_force(lake)
    publish(lake, units=5, by="someone else")
    assert [(v.number, v.in_force) for v in versions_of(lake, AS_OF)] == [(1, False), (2, True)]
    assert in_force(lake, f"versions/{AS_OF}/0001") == first
    assert in_force(lake, f"versions/{AS_OF}/0002") == second == in_force(lake)
    assert [(e.action, e.version, e.by) for e in events_of(lake, AS_OF)] == [
        ("published", 1, "schedule"),
        ("published", 2, "schedule"),
    ]
    assert verify(lake) == (3, [])


def test_a_rollback_restores_the_bytes_and_is_recorded(lake: Lake) -> None:
    publish(lake)
    first = in_force(lake)
    publish(lake, units=5)
    chosen = roll_back(lake, AS_OF, None, "Ana", "wrong stock")
    assert (chosen.number, chosen.in_force) == (1, True)
    assert in_force(lake) == first
    last = events_of(lake, AS_OF)[-1]
    assert (last.action, last.version, last.by, last.note) == ("rolled back", 1, "Ana", "wrong stock")
    assert roll_back(lake, AS_OF, 2, "Ana").number == 2
    assert verify(lake) == (3, [])


def test_an_impossible_rollback_says_what_there_is(lake: Lake) -> None:
    with pytest.raises(ConfigError, match=r"No publication of 2025-01-02 .* Known run dates: none"):
        roll_back(lake, AS_OF, None, "Ana")
    publish(lake)
    with pytest.raises(ConfigError, match=r"before version 1, which is in force\. Run .*--withdraw"):
        roll_back(lake, AS_OF, None, "Ana")
    with pytest.raises(ConfigError, match="has no version 7; expected one of 1"):
        roll_back(lake, AS_OF, 7, "Ana")
    with pytest.raises(ConfigError, match="Version 1 of 2025-01-02 is already in force"):
        roll_back(lake, AS_OF, 1, "Ana")


def test_a_withdrawn_week_is_no_longer_compared_and_can_come_back(lake: Lake) -> None:
    publish(lake, as_of=WEEK_BEFORE)
    publish(lake)
    before = in_force(lake)
    withdraw(lake, AS_OF, "Ana", "sent to the wrong ERP")
    assert published(lake, AS_OF) is None
    earlier = latest_before(lake, date(2025, 1, 9))
    assert earlier is not None
    assert earlier.as_of == WEEK_BEFORE
    with pytest.raises(ConfigError, match="No publication of 2025-01-02 is in force"):
        withdraw(lake, AS_OF, "Ana")
    roll_back(lake, AS_OF, 1, "Ana")
    assert in_force(lake) == before
    assert [e.action for e in events_of(lake, AS_OF)] == ["published", "withdrawn", "rolled back"]


def test_a_damaged_version_is_never_put_in_force(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    publish(lake, units=5)
    before = in_force(lake)
    (tmp_path / f"lake/versions/{AS_OF}/0001/costs.csv").write_text("?")
    with pytest.raises(PublicationError, match=r"Version 1 of 2025-01-02 is damaged: .*costs.csv differs"):
        roll_back(lake, AS_OF, None, "Ana")
    assert in_force(lake) == before


def test_verify_finds_missing_changed_and_foreign_files_in_both_directions(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    folder = tmp_path / f"lake/runs/{AS_OF}"
    (folder / "costs.csv").write_text("?")
    (folder / "visits.csv").unlink()
    (folder / "notes.txt").write_text("mine")
    checked, problems = verify(lake, AS_OF)
    assert checked == 2
    assert roll_back(lake, AS_OF, 1, "Ana", "restored").in_force
    assert verify(lake, AS_OF)[1] == []
    (folder / "costs.csv").write_text("?")
    (folder / "visits.csv").unlink()
    (folder / "notes.txt").write_text("mine")
    assert problems == [
        f"runs/{AS_OF}/visits.csv is missing",
        f"runs/{AS_OF}/notes.txt is not in the manifest",
        f"runs/{AS_OF}/costs.csv differs from its checksum in the manifest",
    ]
    (folder / MANIFEST).write_text("[]")
    assert verify(lake, AS_OF)[1] == [f"runs/{AS_OF}/{MANIFEST} is not a manifest"]
    with pytest.raises(ConfigError, match="No publication of 2024-12-26"):
        verify(lake, WEEK_BEFORE)


def test_a_publication_of_an_older_restock_becomes_a_version_when_it_is_replaced(lake: Lake, tmp_path: Path) -> None:
    publish(lake)
    first = in_force(lake)
    shutil.rmtree(tmp_path / "lake/versions")
    publish(lake, units=5)
    assert [(v.number, v.in_force) for v in versions_of(lake, AS_OF)] == [(1, False), (2, True)]
    assert in_force(lake, f"versions/{AS_OF}/0001") == first


def approval(lake: Lake, units: int, run_id: str = "r1") -> Approval:
    preview = publish_run(lake, fake_run.context(dry_run=True), outputs(units), fake_run.facts())
    reviewed = keep_reviewed(lake, preview, run_id)
    at, seen = "2025-01-02T08:00:00+00:00", {"accepted": reviewed.held_by, "in_force": reviewed.in_force}
    return Approval(by="Ana", at=at, checksum=reviewed.checksum, **seen)


def test_the_approved_bytes_are_published_or_nothing_is(lake: Lake) -> None:
    agreed = approval(lake, units=5)
    reviewed = in_force(lake, f"previews/{AS_OF}")
    facts = replace(fake_run.facts(), approval=agreed)
    with pytest.raises(PublicationHeldError, match=r"changed since Ana reviewed it\. 1 of \d+ targets differ: store "):
        publish_run(lake, fake_run.context(), outputs(6), facts)
    assert lake.keys("runs") == []
    publish_run(lake, fake_run.context(), outputs(5), facts)
    now = in_force(lake)
    assert {name: data for name, data in now.items() if name != MANIFEST} == {
        name: data for name, data in reviewed.items() if name != MANIFEST
    }
    assert json.loads(now[MANIFEST])["approval"]["checksum"] == agreed.checksum


def test_an_approval_replaces_only_the_file_that_its_reader_knew(lake: Lake) -> None:
    publish(lake)
    facts = replace(fake_run.facts(), approval=approval(lake, units=5))
    publish(lake, units=7)
    with pytest.raises(PublicationHeldError, match=r"another file for 2025-01-02 was put in force since Ana reviewed"):
        publish_run(lake, fake_run.context(), outputs(5), facts)
    assert [version.number for version in versions_of(lake, AS_OF) if version.in_force] == [2]
    withdraw(lake, AS_OF, "Ana", "wrong stock")
    publish_run(lake, fake_run.context(), outputs(5), facts)
    assert [version.number for version in versions_of(lake, AS_OF) if version.in_force] == [3]


def test_a_run_that_starts_again_is_bound_to_what_it_asked_about_the_first_time(lake: Lake) -> None:
    first = approval(lake, units=5)
    assert not is_outdated(lake, AS_OF, "r1")
    assert approval(lake, units=6).checksum == first.checksum
    assert approval(lake, units=6, run_id="r2").checksum != first.checksum
    assert [is_outdated(lake, AS_OF, run) for run in ("r1", "r2")] == [True, False]


def test_other_changed_files_stop_an_approved_publication_too(lake: Lake) -> None:
    agreed = approval(lake, units=5)
    other = outputs(5)
    other = replace(other, visits=other.visits.iloc[:-1])
    with pytest.raises(PublicationHeldError, match=r"No target differs, but these files do: .*visits.csv"):
        publish_run(lake, fake_run.context(), other, replace(fake_run.facts(), approval=agreed))


def test_another_format_of_the_files_stops_an_approved_publication(lake: Lake) -> None:
    facts = replace(fake_run.facts(), approval=approval(lake, units=5))
    other = fake_run.context(output={"delimiter": ";", "columns": {"target_quantity": "qty"}})
    with pytest.raises(PublicationHeldError, match=r"No target differs, but .* review, the settings have changed\."):
        publish_run(lake, other, outputs(5), facts)
    inputs = [facts.inputs[0].model_copy(update={"sha256": "0" * 64}), *facts.inputs[1:]]
    with pytest.raises(PublicationHeldError, match=r"1 of \d+ targets .* the input files of sales have changed\."):
        publish_run(lake, other, outputs(6), replace(facts, inputs=inputs))


def test_a_report_that_changed_alone_is_explained(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "tasks.publication.transaction.render_report"
    monkeypatch.setattr(page, lambda data: f"{data.code_version} against {data.change and data.change.against}")
    publish(lake, as_of=WEEK_BEFORE, units=3)
    facts = replace(fake_run.facts(), approval=approval(lake, units=5))
    with monkeypatch.context() as upgraded:
        for module in ("transaction", "manifest"):
            upgraded.setattr(f"tasks.publication.{module}.code_version", lambda: "9.9")
        with pytest.raises(PublicationHeldError, match=r"do: report\.html\. Since the review, Restock was upgraded"):
            publish_run(lake, fake_run.context(), outputs(5), facts)
    withdraw(lake, WEEK_BEFORE, "Ana")
    with pytest.raises(PublicationHeldError, match=r"review, the last file before this run date, .* or withdrawn"):
        publish_run(lake, fake_run.context(), outputs(5), facts)


def test_an_approval_accepts_the_alarms_that_its_reader_saw(lake: Lake) -> None:
    stale = replace(fake_run.facts(), sales_end=date(2024, 11, 1))
    with pytest.raises(PublicationHeldError, match=r"stale_sales@2025-01-02"):
        publish_run(lake, fake_run.context(), outputs(), stale)
    preview = publish_run(lake, fake_run.context(dry_run=True), outputs(), stale)
    reviewed = keep_reviewed(lake, preview, "r1")
    assert reviewed.held_by == ["stale_sales"]
    agreed = Approval(by="Ana", at="2025-01-02T08:00:00+00:00", checksum=reviewed.checksum, accepted=["stale_sales"])
    assert publish_run(lake, fake_run.context(), outputs(), replace(stale, approval=agreed)).written
