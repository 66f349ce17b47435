"""A run that is killed starts again where it stopped, and never leaves a half-written folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.breadth import sample
from tests.commands import Process, Restock, Start
from tests.flows import mini_company

pytestmark = pytest.mark.flow

SECONDS_TO_WAIT = 120


def wait_for(folder: Path, process: Process) -> None:
    """Wait until a stage has stored its record."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while not any(folder.glob("*.json")):
        assert process.poll() is None, f"the run ended before {folder.name} was stored"
        assert time.monotonic() < until, f"{folder.name} was not stored in time"
        time.sleep(0.02)


@pytest.mark.parametrize("stage", sample(["features", "compare"], ["compare"]))
def test_a_killed_run_starts_again_where_it_stopped(start: Start, restock: Restock, company: Path, stage: str) -> None:
    lake = company.parent / "lake"
    process = start("flows", "weekly", "--settings", company, "--as-of", mini_company.AS_OF)
    wait_for(lake / "records" / stage, process)
    process.kill_all()
    assert not (lake / "runs").exists() or not any((lake / "runs").iterdir())

    code, _, err = restock("weekly", "--settings", company, "--as-of", mini_company.AS_OF)
    assert code == 0, err
    assert "ingest: reused from the lake" in err
    assert f"{stage}: reused from the lake" in err
    assert "publish: computed" in err
    assert (lake / "runs" / mini_company.AS_OF / "replenishment.csv").exists()


def test_a_damaged_object_is_computed_again(restock: Restock, published_company: Path) -> None:
    lake = published_company.parent / "lake"
    before = (lake / "runs" / mini_company.AS_OF / "replenishment.csv").read_bytes()
    for file in (lake / "comparison" / "forecast").glob("*.parquet"):
        file.write_bytes(b"damaged")
    (lake / "runs" / mini_company.AS_OF / "report.html").unlink()

    code, _, err = restock("weekly", "--settings", published_company, "--as-of", mini_company.AS_OF)
    assert code == 0, err
    assert "compare: computed" in err
    assert "features: reused from the lake" in err
    assert (lake / "runs" / mini_company.AS_OF / "replenishment.csv").read_bytes() == before
    assert (lake / "runs" / mini_company.AS_OF / "report.html").exists()


def test_force_computes_everything_and_changes_nothing(restock: Restock, published_company: Path) -> None:
    run = published_company.parent / "lake" / "runs" / mini_company.AS_OF
    before = {name: (run / name).read_bytes() for name in ("replenishment.csv", "levels.csv", "forecast.parquet")}
    code, _, err = restock("weekly", "--settings", published_company, "--as-of", mini_company.AS_OF, "--force")
    assert code == 0, err
    assert "reused" not in err
    assert {name: (run / name).read_bytes() for name in before} == before
