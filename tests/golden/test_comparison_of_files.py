"""How the golden run's files are stored and compared: every change is found, and named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.golden.snapshot import Snapshot, take_snapshots
from tests.golden.stored import StoredFile, byte_differences, figure_differences, read_stored, write_stored


def _publish(company: Path, code_version: str = "0.1.0+3f2a91", **changed: object) -> dict[str, Snapshot]:
    """Snapshots of a run folder with one file of each kind."""
    run = company / "lake" / "runs" / "2024-07-01"
    run.mkdir(parents=True)
    table = pd.DataFrame({"sku": ["10", "11"], "mean": [1 / 3, 2.0], "file": f"{company}/sales.csv"}).assign(**changed)
    table.to_parquet(run / "forecast.parquet", index=False)
    (run / "targets.csv").write_text("sku,units\n10,4\n", encoding="utf-8")
    (run / "report.html").write_text(f"<p>Code {code_version}</p><p>Target <b>4</b></p>", encoding="utf-8")
    manifest = {
        "code_version": code_version,
        "packages": {"numpy": code_version},
        "settings_sha256": "5e771465",
        "seconds": {"ingest": len(code_version)},
        "outputs": dict.fromkeys(["forecast.parquet", "targets.csv", "report.html"], str(company)),
        "plan_inputs": {"forecast": {"key": "a", "rows": 2, "sha256": str(company)}, "holding_factor": 2.5},
        "storage": f"{company}/lake",
    }
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return take_snapshots(run, company)


def _stored(snapshot: Snapshot) -> StoredFile:
    return StoredFile(snapshot.name, snapshot.sha256, snapshot.text, snapshot.columns)


def test_the_folder_and_the_code_version_change_nothing(tmp_path: Path) -> None:
    one, other = _publish(tmp_path / "one"), _publish(tmp_path / "another", "0.2.0+77aa10ff")
    assert {name: file.sha256 for name, file in one.items()} == {name: file.sha256 for name, file in other.items()}
    assert str(tmp_path) not in "".join(file.text for file in one.values())


def test_the_stored_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = _publish(tmp_path / "company")
    write_stored(found, tmp_path / "expected")
    stored = read_stored(tmp_path / "expected")
    assert stored.files == {name: _stored(snapshot) for name, snapshot in found.items()}
    assert all(not byte_differences(stored.files[name], found[name]) for name in found)


def test_a_changed_value_is_named_with_its_column_and_row(tmp_path: Path) -> None:
    before = _publish(tmp_path / "before")
    after = _publish(tmp_path / "after", mean=[1 / 3, 2.5])
    difference = byte_differences(_stored(before["forecast.parquet"]), after["forecast.parquet"])
    assert "columns with other values or types: mean\n" in difference
    assert "-11,2," in difference
    assert "+11,2.5," in difference
    assert "sku,mean,file" in difference
    assert figure_differences(_stored(before["forecast.parquet"]), after["forecast.parquet"])
    # The manifest holds the checksum of every file.
    assert byte_differences(_stored(before["manifest.json"]), after["manifest.json"])
    assert not byte_differences(_stored(before["targets.csv"]), after["targets.csv"])


def test_a_change_below_six_digits_is_a_change_of_bytes_alone(tmp_path: Path) -> None:
    before = _stored(_publish(tmp_path / "before")["forecast.parquet"])
    after = _publish(tmp_path / "after", mean=[np.nextafter(1 / 3, 1), 2.0])["forecast.parquet"]
    assert "columns with other values or types: mean\n" in byte_differences(before, after)
    assert not figure_differences(before, after)


def test_a_changed_type_is_named(tmp_path: Path) -> None:
    before = _stored(_publish(tmp_path / "before", mean=[1.0, 2.0])["forecast.parquet"])
    after = _publish(tmp_path / "after", mean=[1, 2])["forecast.parquet"]
    assert "type of mean: double -> int64" in byte_differences(before, after)


@pytest.mark.parametrize(
    ("stored", "found", "differs"),
    [
        ("a,1.00000,b", "a,1.00001,b", False),
        ("a,1.0,b", "a,1.1,b", True),
        ("a,1.0,b", "c,1.0,b", True),
        ("a,1\na,2", "a,1", True),
        ("q0.5,-3", "q0.5,3", True),
        ("0" * 64, "f" * 64, False),
    ],
)
def test_figures_may_differ_by_rounding_and_words_may_not(stored: str, found: str, differs: bool) -> None:
    difference = figure_differences(StoredFile("x", "", stored, {}), Snapshot("x", found.encode(), found))
    assert bool(difference) is differs
