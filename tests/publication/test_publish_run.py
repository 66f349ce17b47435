"""Publication as a transaction, in a local lake."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from schemas import columns as c
from schemas.alarms import Severity, raise_alarm
from schemas.errors import ConfigError, PublicationError, PublicationHeldError, StorageError
from schemas.outputs import COSTS, RunOutputs, output_tables
from schemas.records import PublicationRecord
from schemas.settings import OutputSettings
from tasks.publication import transaction as publish
from tasks.publication.earlier_runs import published
from tasks.publication.transaction import publish_run
from tasks.storage.lake import Lake, open_lake
from tests.publication import fake_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_page")]
WEEK_BEFORE = date(2024, 12, 26)
FILES = {
    *("replenishment.csv", "deliveries.csv", "forecast.parquet", "backtest.parquet", "metrics.parquet"),
    *("champions.parquet", "visits.csv", "levels.csv", "costs.csv", "report.html", "manifest.json"),
    *("quarantine.parquet", "quarantine.csv", "transfers.csv", "replenishment.xlsx"),
}


def outputs_without_figures(**changed: Any) -> RunOutputs:
    """Outputs without the tables of figures, because drawing figures takes most of the time."""
    return replace(fake_run.outputs(**changed), history=None, stock_by_day=None)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


@pytest.fixture(scope="module")
def good() -> RunOutputs:
    return outputs_without_figures()


@pytest.fixture(scope="module")
def published_once(good: RunOutputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        fake_run.draw_no_page(patch)
        publish_run(open_lake(str(root)), fake_run.context(), good, fake_run.facts())
    return root


@pytest.fixture
def published_lake(published_once: Path, tmp_path: Path) -> Lake:
    """A lake with a publication of the same run date."""
    shutil.copytree(published_once, tmp_path / "lake")
    return open_lake(str(tmp_path / "lake"))


def digests(lake: Lake, folder: str = "runs/2025-01-02") -> dict[str, str]:
    return {
        key.removeprefix(f"{folder}/"): hashlib.sha256(lake.read_bytes(key)).hexdigest() for key in lake.keys(folder)
    }


def shuffled(outputs: RunOutputs) -> RunOutputs:
    frames = {
        field.name: frame.sample(frac=1, random_state=5)
        for field in fields(outputs)
        if (frame := getattr(outputs, field.name)) is not None
    }
    frames["forecast"] = frames["forecast"].astype({c.STORE_ID: "category", c.MODEL: "category"})
    return replace(outputs, **frames)


def checksums(record: PublicationRecord) -> dict[str, str]:
    return {file.key.rsplit("/", 1)[1]: file.sha256 for file in record.files}


def test_every_file_is_published_with_its_checksum(lake: Lake, good: RunOutputs) -> None:
    record = publish_run(lake, fake_run.context(), good, fake_run.facts())
    found = digests(lake)
    assert set(found) == FILES
    assert checksums(record) == found
    assert record.folder == lake.uri("runs/2025-01-02")
    assert (record.written, record.dry_run, record.changed_share) == (True, False, None)
    manifest = json.loads(lake.read_bytes("runs/2025-01-02/manifest.json"))
    assert manifest["outputs"] == {name: digest for name, digest in found.items() if name != "manifest.json"}


def test_files_have_documented_columns_and_all_rows(published_lake: Lake, good: RunOutputs, tmp_path: Path) -> None:
    folder = tmp_path / "lake" / "runs" / "2025-01-02"
    for table in output_tables(fake_run.QUANTILES):
        path = folder / table.file
        found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={c.STORE_ID: str})
        assert tuple(found.columns[: len(table.columns)]) == table.columns
        assert len(found) == len(getattr(good, table.name))
    assert (folder / "visits.csv").read_text().splitlines()[1] == "101,2025-01-02"
    forecast = pd.read_parquet(folder / "forecast.parquet")
    assert forecast[c.DATE].dtype.kind == "M"
    assert forecast[c.CHAMPION].dtype == bool
    assert forecast[c.STORE_ID].iloc[0] == "101"
    quarantine = pd.read_parquet(folder / "quarantine.parquet")
    assert quarantine.loc[0, "Uns"] == "x"


@pytest.mark.usefixtures("whole_page")
def test_bytes_do_not_depend_on_row_order(tmp_path: Path) -> None:
    good = fake_run.outputs()
    one, two = (open_lake(str(tmp_path / name)) for name in ("one", "two"))
    publish_run(one, fake_run.context(), good, fake_run.facts())
    publish_run(two, fake_run.context(), shuffled(good), fake_run.facts())
    assert digests(one) == digests(two)


@pytest.mark.usefixtures("page_without_figures")
def test_given_frames_are_not_modified(lake: Lake) -> None:
    outputs, untouched = fake_run.outputs(), fake_run.outputs()
    publish_run(lake, fake_run.context(), outputs, fake_run.facts())
    for field in fields(outputs):
        given = getattr(outputs, field.name)
        if given is not None:
            pd.testing.assert_frame_equal(given, getattr(untouched, field.name))


def test_identical_run_writes_nothing(lake: Lake, good: RunOutputs, tmp_path: Path) -> None:
    first = publish_run(lake, fake_run.context(), good, fake_run.facts())
    folder = tmp_path / "lake" / "runs" / "2025-01-02"
    stamps = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = publish_run(lake, fake_run.context(), good, fake_run.facts(seconds={"ingest": 99.0}))
    assert not again.written
    assert again.files == first.files
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps


def test_repeated_run_is_identical_if_an_earlier_week_exists(lake: Lake, good: RunOutputs) -> None:
    earlier = outputs_without_figures(seed=2, as_of=WEEK_BEFORE)
    publish_run(lake, fake_run.context(as_of=WEEK_BEFORE), earlier, fake_run.facts())
    first = publish_run(lake, fake_run.context(), good, fake_run.facts())
    assert first.changed_share is not None
    assert first.changed_share > 0.5
    assert "What changed" in first.warnings[0]
    before = digests(lake)
    assert not publish_run(lake, fake_run.context(), good, fake_run.facts()).written
    assert digests(lake) == before


@pytest.mark.parametrize("name", ["replenishment.csv", "report.html", "manifest.json"])
def test_damaged_or_missing_file_is_published_again(
    published_lake: Lake, good: RunOutputs, tmp_path: Path, name: str
) -> None:
    before = digests(published_lake)
    (tmp_path / "lake" / "runs" / "2025-01-02" / name).write_text("{}")
    assert publish_run(published_lake, fake_run.context(), good, fake_run.facts()).written
    assert digests(published_lake) == before


@pytest.mark.usefixtures("page_without_figures")
def test_damaged_earlier_file_is_a_warning_or_with_a_limit_an_error(
    published_lake: Lake, good: RunOutputs, tmp_path: Path
) -> None:
    (tmp_path / "lake" / "runs" / "2025-01-02" / "replenishment.csv").write_text("?")
    week_after = date(2025, 1, 9)
    with pytest.raises(PublicationError, match=r"replenishment.csv: cannot read the earlier file"):
        publish_run(
            published_lake, fake_run.context(as_of=week_after, publication={"max_change": 0.5}), good, fake_run.facts()
        )
    record = publish_run(published_lake, fake_run.context(as_of=week_after), good, fake_run.facts())
    assert "cannot read the earlier file" in record.warnings[0]
    assert "cannot read the earlier file" in published_lake.read_bytes("runs/2025-01-09/report.html").decode()


def test_invalid_table_keeps_the_previous_run(published_lake: Lake, good: RunOutputs) -> None:
    before = digests(published_lake)
    bad = good.replenishment.assign(**{c.TARGET_QUANTITY: -1})
    with pytest.raises(PublicationError, match="target_quantity"):
        publish_run(published_lake, fake_run.context(), replace(good, replenishment=bad), fake_run.facts())
    assert digests(published_lake) == before


class DisasterError(Exception):
    """An unexpected error."""


@pytest.mark.parametrize(
    "broken", ["replenishment_bytes", "render_report", "build_manifest", "check_folder", *sorted(FILES)]
)
def test_failure_at_any_file_keeps_the_previous_run(
    published_lake: Lake, good: RunOutputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before, temporary = digests(published_lake), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    if broken in FILES:
        copy = shutil.copyfile

        def failing(source: Any, target: Any) -> Any:
            if Path(source).name == broken:
                raise OSError("no space left")
            return copy(source, target)

        monkeypatch.setattr(shutil, "copyfile", failing)
    else:

        def disaster(*_: object, **__: object) -> None:
            raise DisasterError

        monkeypatch.setattr(publish, broken, disaster)
    changed = replace(good, replenishment=good.replenishment.assign(**{c.TARGET_QUANTITY: 1}))
    with pytest.raises((DisasterError, StorageError)):
        publish_run(published_lake, fake_run.context(), changed, fake_run.facts())
    assert digests(published_lake) == before
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("writer", [table.file for table in output_tables(fake_run.QUANTILES)])
def test_failure_while_writing_a_table_keeps_the_previous_run(
    published_lake: Lake, good: RunOutputs, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    before, write = digests(published_lake), publish.write_output

    def failing(frame: pd.DataFrame, table: Any, folder: Path, output: OutputSettings | None = None) -> None:
        if table.file == writer:
            raise DisasterError
        write(frame, table, folder, output)

    monkeypatch.setattr(publish, "write_output", failing)
    with pytest.raises(DisasterError):
        publish_run(published_lake, fake_run.context(seed=8), good, fake_run.facts())
    assert digests(published_lake) == before


@pytest.mark.parametrize("survived", [0, 5, 11])
def test_killed_publication_keeps_the_previous_run(published_lake: Lake, good: RunOutputs, survived: int) -> None:
    before = digests(published_lake)
    child = os.fork()
    if child == 0:
        copies, copy = [], shutil.copyfile

        def dying(source: Any, target: Any) -> Any:
            if len(copies) == survived:
                os._exit(9)
            copies.append(source)
            return copy(source, target)

        shutil.copyfile = dying  # type: ignore[assignment]
        try:
            publish_run(published_lake, fake_run.context(seed=8), good, fake_run.facts())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    reopened = open_lake(published_lake.root)
    assert digests(reopened) == before
    assert publish_run(reopened, fake_run.context(seed=8), good, fake_run.facts()).written


def test_manifest_names_the_replaced_file_of_the_same_date(published_lake: Lake, good: RunOutputs) -> None:
    def replaced() -> Any:
        return json.loads(published_lake.read_bytes("runs/2025-01-02/manifest.json"))["replaces"]

    assert replaced() is None
    before = digests(published_lake)["replenishment.csv"]
    publish_run(published_lake, fake_run.context(seed=8), good, fake_run.facts())
    assert replaced() == {"replenishment_sha256": before, "approval": None}
    assert not publish_run(published_lake, fake_run.context(seed=8), good, fake_run.facts()).written


def test_dry_run_writes_only_a_preview(lake: Lake, good: RunOutputs) -> None:
    record = publish_run(lake, fake_run.context(dry_run=True), good, fake_run.facts())
    assert record.dry_run
    assert record.folder == lake.uri("previews/2025-01-02")
    assert lake.keys("runs") == []
    assert digests(lake, "previews/2025-01-02") == checksums(record)


def test_too_many_changes_write_a_preview_and_raise_an_error(lake: Lake, good: RunOutputs) -> None:
    limited = {"publication": {"max_change": 0.25}}
    earlier = outputs_without_figures(seed=2, as_of=WEEK_BEFORE)
    publish_run(lake, fake_run.context(as_of=WEEK_BEFORE, **limited), earlier, fake_run.facts())
    with pytest.raises(PublicationHeldError) as caught:
        publish_run(lake, fake_run.context(**limited), good, fake_run.facts())
    assert lake.uri("previews/2025-01-02") in str(caught.value)
    assert lake.keys("runs/2025-01-02") == []
    assert set(digests(lake, "previews/2025-01-02")) == FILES
    dry = publish_run(lake, fake_run.context(dry_run=True, **limited), good, fake_run.facts())
    assert dry.held_by == ["changed_targets"]
    assert dry.warnings[0] == "Unless it is accepted, this file is held back by: changed_targets"


@pytest.mark.usefixtures("page_without_figures")
def test_an_alarm_of_severity_hold_keeps_the_previous_file_until_it_is_accepted(
    published_lake: Lake, good: RunOutputs
) -> None:
    before = digests(published_lake)
    alarm = raise_alarm("rejected_rows", "sales: 9 of 10 rows").model_copy(update={"severity": Severity.HOLD})
    facts = replace(fake_run.facts(), alarms=[alarm])
    week_after = date(2025, 1, 9)
    with pytest.raises(PublicationHeldError, match=r"rejected_rows: sales: 9 of 10 rows\..*rejected_rows@2025-01-09"):
        publish_run(published_lake, fake_run.context(as_of=week_after), good, facts)
    assert {name: digest for name, digest in digests(published_lake).items() if "previews/" not in name} == before
    accepted = fake_run.context(as_of=week_after, publication={"accept": ["rejected_rows@2025-01-09"]})
    record = publish_run(published_lake, accepted, good, facts)
    assert record.written
    assert record.alarms == [alarm]
    manifest = json.loads(published_lake.read_bytes("runs/2025-01-09/manifest.json"))
    assert manifest["alarms"] == [alarm.model_dump(mode="json")]
    assert "sales: 9 of 10 rows" in published_lake.read_bytes("runs/2025-01-09/report.html").decode()


def test_limit_compares_with_the_file_of_the_same_date(lake: Lake, good: RunOutputs) -> None:
    publish_run(
        lake, fake_run.context(as_of=WEEK_BEFORE), outputs_without_figures(seed=2, as_of=WEEK_BEFORE), fake_run.facts()
    )
    publish_run(lake, fake_run.context(), good, fake_run.facts())
    one = good.replenishment.copy()
    one.loc[0, c.TARGET_QUANTITY] += 5
    nearly = replace(good, replenishment=one)
    limited = fake_run.context(publication={"max_change": 0.1})
    assert publish_run(lake, limited, nearly, fake_run.facts()).written
    with pytest.raises(PublicationHeldError, match="differ from the file of 2025-01-02"):
        publish_run(lake, limited, outputs_without_figures(seed=3), fake_run.facts())


def test_earlier_file_is_read_with_its_own_output_settings(lake: Lake, good: RunOutputs) -> None:
    latin = {"output": {"delimiter": ";", "encoding": "latin-1", "columns": {"sku": "Artículo"}}}
    renamed = good.replenishment.assign(**{c.STORE_ID: "Viña; " + good.replenishment[c.STORE_ID]})
    outputs = replace(good, replenishment=renamed)
    publish_run(lake, fake_run.context(as_of=WEEK_BEFORE, **latin), outputs, fake_run.facts())
    assert publish_run(lake, fake_run.context(), outputs, fake_run.facts()).changed_share == 0.0


@pytest.mark.usefixtures("page_without_figures")
def test_scoped_run_is_compared_on_its_stores_and_never_used_for_comparison(lake: Lake, good: RunOutputs) -> None:
    publish_run(lake, fake_run.context(as_of=date(2024, 12, 19)), good, fake_run.facts())
    part = replace(good, replenishment=good.replenishment[good.replenishment[c.STORE_ID] == "101"])
    scoped = publish_run(lake, fake_run.context(as_of=WEEK_BEFORE, stores=("101",)), part, fake_run.facts())
    assert scoped.changed_share == 0.0
    assert scoped.dry_run
    assert lake.keys("runs/2024-12-26") == []
    page = lake.read_bytes("previews/2024-12-26/report.html").decode()
    assert "covers only a part of the network: store 101" in page
    assert publish_run(lake, fake_run.context(), good, fake_run.facts()).changed_share == 0.0
    manifest = json.loads(lake.read_bytes("runs/2025-01-02/manifest.json"))
    assert manifest["compared_with"] == "2024-12-19"


def test_id_outside_the_encoding_stops_the_publication(lake: Lake, good: RunOutputs) -> None:
    strange = good.replenishment.assign(**{c.STORE_ID: "鞋" + good.replenishment[c.STORE_ID]})
    with pytest.raises(ConfigError, match="鞋101, 鞋102, 鞋103"):
        publish_run(
            lake,
            fake_run.context(output={"encoding": "cp1252"}),
            replace(good, replenishment=strange),
            fake_run.facts(),
        )
    assert lake.keys("runs") == []


def test_error_names_a_table_with_mixed_types(lake: Lake, good: RunOutputs) -> None:
    mixed = pd.concat([good.quarantine, good.quarantine.assign(**{c.ROW_NUMBER: 18, "Uns": 5})])
    with pytest.raises(PublicationError, match=r"quarantine.parquet cannot be written"):
        publish_run(lake, fake_run.context(), replace(good, quarantine=mixed), fake_run.facts())


@pytest.mark.usefixtures("page_without_figures")
def test_no_cell_of_a_published_file_is_a_formula(lake: Lake, good: RunOutputs) -> None:
    evil = "=cmd|' /C calc'!A0"
    skus = good.replenishment[c.SKU].unique().tolist()
    products = pd.DataFrame({c.SKU: skus, c.PRODUCT_NAME: evil, c.COLOR: "@red", c.UNIT_PRICE: 10.0})
    override = {
        **dict.fromkeys(("store_id", "sku", "category")), "number": 1, "date_from": "2025-01-02",
        "date_to": "2025-01-02", "action": "set", "value": 1.0, "reason": evil, "author": "+ana", "status": "expired",
        "pairs": 0, "changed_pairs": 0, "units": 0,
    }  # fmt: skip
    outputs = replace(
        good, products=products, quarantine=good.quarantine.assign(**{"Uns": evil, "reason": "-x", evil: 1}),
        overridden=pd.DataFrame(
            {c.STORE_ID: ["101"], c.SKU: [evil], "planned": 1, c.TARGET_QUANTITY: 2, "overrides": ["=1"]}
        ),
    )  # fmt: skip
    publish_run(lake, fake_run.context(), outputs, fake_run.facts(overrides=[override]))
    read = 0
    for key in lake.keys("runs/2025-01-02"):
        if key.endswith(".csv"):
            cells = [cell for row in csv.reader(io.StringIO(lake.read_bytes(key).decode())) for cell in row]
            read += sum(evil in cell for cell in cells)
            assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))], key
    assert read == len(good.replenishment) + 3  # also a column of the rejected row
    with zipfile.ZipFile(io.BytesIO(lake.read_bytes("runs/2025-01-02/replenishment.xlsx"))) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if "sheet" in name]
    assert not [sheet for sheet in sheets if "<f" in sheet]
    assert "=cmd|" in "".join(sheets)


def test_earlier_tables_are_read_in_their_own_format(lake: Lake, good: RunOutputs) -> None:
    output = {"output": {"delimiter": ";", "decimal": ",", "encoding": "utf-8-sig", "columns": {"policy": "Política"}}}
    costs = good.costs.assign(**{c.GAP: 0.125})
    publish_run(lake, fake_run.context(**output), replace(good, costs=costs), fake_run.facts())
    text = lake.read_bytes("runs/2025-01-02/costs.csv").decode("utf-8-sig")
    assert text.startswith("Política;transport;")
    assert ";0,125;" in text
    run = published(lake, date(2025, 1, 2))
    assert run is not None
    found = run.table(COSTS)
    assert found[c.GAP].tolist() == [0.125] * 3
    assert found[c.CHOSEN].tolist() == costs[c.CHOSEN].tolist()
    assert found[c.POLICY].tolist() == costs[c.POLICY].tolist()
