"""The weekly run, driven through the command line as a user would."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from schemas import columns as c
from tests.commands import Restock
from tests.flows import mini_company

pytestmark = pytest.mark.flow

OUTPUTS = {
    "replenishment.csv",
    "deliveries.csv",
    "forecast.parquet",
    "backtest.parquet",
    "metrics.parquet",
    "champions.parquet",
    "visits.csv",
    "levels.csv",
    "explanations.parquet",
    "shortages.csv",
    "costs.csv",
    "report.html",
    "manifest.json",
    "quarantine.parquet",
    "quarantine.csv",
    "transfers.csv",
    "replenishment.xlsx",
}


def weekly(restock: Restock, settings: Path, *more: object) -> tuple[int, str, str]:
    return restock("weekly", "--settings", settings, "--as-of", mini_company.AS_OF, *more)


def run_folder(settings: Path) -> Path:
    return settings.parent / "lake" / "runs" / mini_company.AS_OF


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def targets(settings: Path) -> pd.DataFrame:
    return pd.read_csv(run_folder(settings) / "replenishment.csv", dtype={c.STORE_ID: str, c.SKU: str})


def with_bad_lines(count: int) -> pd.DataFrame:
    sales = mini_company.sales().astype({c.UNITS: object})
    sales.loc[: count - 1, c.UNITS] = "many"
    return sales


def test_a_weekly_run_leaves_every_output_and_a_target_for_every_pair(restock: Restock, published: Path) -> None:
    company = published
    assert set(digests(run_folder(company))) == OUTPUTS
    table = targets(company)
    assert set(zip(table[c.STORE_ID], table[c.SKU], strict=True)) == {
        (store, sku) for store in mini_company.STORES for sku in mini_company.SKUS
    }
    assert (table[c.TARGET_QUANTITY] >= 0).all()
    assert table[c.TARGET_QUANTITY].dtype.kind == "i"
    _the_run_answers(restock, company)


def _the_run_answers(restock: Restock, company: Path) -> None:
    asked = ("--settings", company, "--as-of", mini_company.AS_OF)
    target = targets(company).iloc[0]
    code, out, err = restock("why", *asked, "--store", target[c.STORE_ID], "--sku", target[c.SKU])
    assert code == 0, err
    assert out.splitlines()[-1] == f"  = {target[c.TARGET_QUANTITY]}  target"
    code, out, err = restock("why", *asked, "--store", "nowhere", "--sku", "10")
    assert code == 2
    assert "Traceback" not in err
    before = digests(run_folder(company))
    code, out, err = restock("what-if", *asked, "--capacity", "0.5")
    assert code == 0, err
    assert "Lower bound" in out
    assert digests(run_folder(company)) == before


def test_the_manifest_vouches_for_every_other_file(published: Path) -> None:
    manifest = json.loads((run_folder(published) / "manifest.json").read_text())
    found = digests(run_folder(published))
    found.pop("manifest.json")
    assert manifest["outputs"] == found
    for file in manifest["inputs"]:
        assert file["rows_read"] == file["rows_accepted"] + file["rows_quarantined"]


def test_each_series_has_one_champion_and_a_whole_horizon(published: Path) -> None:
    forecast = pd.read_parquet(run_folder(published) / "forecast.parquet")
    champions = forecast[forecast[c.CHAMPION]]
    per_series = champions.groupby([c.STORE_ID, c.CATEGORY], observed=True)
    assert (per_series.size() == mini_company.SETTINGS["horizon"]).all()
    assert per_series[c.MODEL].nunique().eq(1).all()
    assert champions[c.DATE].min() == pd.Timestamp(mini_company.AS_OF)


def test_a_second_run_recomputes_nothing_and_leaves_identical_files(restock: Restock, published: Path) -> None:
    company = published
    before = digests(run_folder(company))
    stamps = {path: path.stat().st_mtime_ns for path in run_folder(company).iterdir()}
    code, out, err = weekly(restock, company)
    assert code == 0
    assert "replenishment.csv" in out
    assert digests(run_folder(company)) == before
    assert {path: path.stat().st_mtime_ns for path in run_folder(company).iterdir()} == stamps
    assert "Cached" in err
    assert "computed" not in err


def test_what_happens_from_as_of_on_changes_no_target(restock: Restock, published: Path, planned_company: Path) -> None:
    future = mini_company.sales()
    future[c.DATE] = (pd.to_datetime(future[c.DATE]) + pd.Timedelta(days=182)).dt.strftime("%Y-%m-%d")
    future[c.UNITS] *= 50
    # Stages whose inputs differ are computed again.
    mini_company.write(planned_company.parent, sales=pd.concat([mini_company.sales(), future]))
    code, _, err = weekly(restock, planned_company)
    assert code == 0, err
    assert "ingest: computed" in err
    pd.testing.assert_frame_equal(targets(published), targets(planned_company))


def test_many_bad_rows_stop_the_run_and_leave_the_last_good_output(restock: Restock, published_company: Path) -> None:
    before = digests(run_folder(published_company))
    mini_company.write(published_company.parent, sales=with_bad_lines(200))
    code, out, err = weekly(restock, published_company)
    assert code == 2
    assert "sales.csv" in err
    assert "200" in err
    assert "max_quarantined_share" in err
    assert "Traceback" not in out + err
    assert digests(run_folder(published_company)) == before


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("horizn=3", ["horizn", "horizon"]),
        ("horizon=3", ["horizon", "review_period"]),
        ("category=[colour]", ["colour", "products"]),
        ("sources.sales.path=nowhere.csv", ["sales", "nowhere.csv"]),
    ],
)
def test_bad_settings_end_with_code_2_and_say_what_to_do(
    restock: Restock, company: Path, override: str, words: list[str]
) -> None:
    code, out, err = weekly(restock, company, "--set", override)
    assert code == 2
    for word in words:
        assert word in err
    assert "Traceback" not in out + err


def test_a_dry_run_publishes_nothing(restock: Restock, planned_company: Path) -> None:
    code, out, _ = weekly(restock, planned_company, "--dry-run")
    assert code == 0
    assert not run_folder(planned_company).exists()
    assert "Dry run" in out


def test_too_many_changed_targets_hold_the_publication_back(restock: Restock, published_company: Path) -> None:
    company = published_company
    week_before = run_folder(company).rename(run_folder(company).with_name("2024-06-24"))
    file = week_before / "replenishment.csv"
    changed = pd.read_csv(file, dtype={c.STORE_ID: str, c.SKU: str})
    changed[c.TARGET_QUANTITY] += 1
    changed.to_csv(file, index=False)
    code, out, err = weekly(restock, company, "--set", "publication.max_change=0")
    assert code == 3
    assert "max_change" in err
    assert "Traceback" not in out + err
    assert not run_folder(company).exists()


def test_a_run_with_a_scope_is_a_preview_of_its_stores(restock: Restock, planned_company: Path) -> None:
    company = planned_company
    code, out, err = weekly(restock, company, "--stores", "001")
    assert code == 0, err
    assert not run_folder(company).exists()
    assert "nothing was published" in out
    preview = company.parent / "lake/previews" / mini_company.AS_OF / "replenishment.csv"
    assert set(pd.read_csv(preview, dtype=str)[c.STORE_ID]) == {"001"}


def test_a_scope_that_is_not_there_is_refused_before_sales_are_read(restock: Restock, company: Path) -> None:
    (company.parent / "sales.csv").write_text("not even a table")
    code, out, err = weekly(restock, company, "--stores", "1", "--stores", "001")
    assert code == 2
    assert "stores: no such store in the table of sources.stores: 1" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("command", ["ingest", "features", "baselines", "compare"])
def test_a_stage_command_ends_well_and_publishes_nothing(restock: Restock, planned_company: Path, command: str) -> None:
    code, out, err = restock(command, "--settings", planned_company, "--as-of", mini_company.AS_OF)
    assert code == 0, out + err
    assert not (planned_company.parent / "lake" / "runs").exists()


def test_optimize_publishes_what_weekly_would(restock: Restock, published: Path, planned_company: Path) -> None:
    code, _, err = restock("optimize", "--settings", planned_company, "--as-of", mini_company.AS_OF)
    assert code == 0, err
    pd.testing.assert_frame_equal(targets(published), targets(planned_company))


def test_a_young_assortment_and_a_chain_wide_promotion_do_not_stop_the_run(restock: Restock, tmp_path: Path) -> None:
    sales = mini_company.sales()
    old = sales[c.SKU] == mini_company.SKUS[0]
    sales = sales[old | (sales[c.DATE] >= "2024-06-24")]
    promotions = pd.DataFrame(
        {c.SKU: mini_company.SKUS[:2], c.DATE_FROM: "2024-07-02", c.DATE_TO: "2024-07-09", c.DISCOUNT: 0.2}
    ).assign(**{c.STORE_ID: ["", "001"]})
    settings = mini_company.write(tmp_path / "young", sales=sales, promotions=promotions)
    code, _, err = restock(
        *("weekly", "--settings", settings, "--as-of", mini_company.AS_OF),
        *("--set", f"sources.promotions.path={settings.parent / 'promotions.csv'}", "--set", "models={ets: {}}"),
    )
    assert code == 0, err
    assert not pd.read_parquet(settings.parent / "lake/runs" / mini_company.AS_OF / "quarantine.parquet").size
