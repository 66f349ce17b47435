"""What the pages show of a published run, of an old lake, of an empty one, and of files that are being replaced."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import yaml

from schemas import columns as c
from schemas.errors import ConfigError, StorageError
from schemas.outputs import output_tables
from tasks.app.data import series
from tasks.app.data.company import Company, WeekName
from tasks.app.data.exceptions import FALLBACK, LARGE_CHANGE, exception_table
from tasks.app.data.statuses import ACCEPTED, OPEN, decide, read_decisions
from tasks.app.data.this_week import capacity_use, held_back, largest_losses, source_ages
from tasks.app.data.week import RunWeek, read_week
from tasks.publication.output_files import write_output
from tasks.publication.prune import prune
from tasks.storage.lake import open_lake
from tests.flows import mini_company

pytestmark = pytest.mark.flow

DAY = date.fromisoformat(mini_company.AS_OF)


def open_week(settings: Path) -> tuple[Company, RunWeek]:
    company = Company(settings)
    chosen = company.chosen(None)
    assert chosen is not None
    return company, company.week(chosen)


def published_again(settings: Path, as_of: str) -> Path:
    """The folder of an earlier publication: the same files under an earlier run date, with one target changed."""
    folder = settings.parent / "lake/runs" / as_of
    shutil.copytree(settings.parent / "lake/runs" / mini_company.AS_OF, folder)
    targets = pd.read_csv(folder / "replenishment.csv", dtype={c.STORE_ID: str, c.SKU: str})
    targets.loc[0, c.TARGET_QUANTITY] += 5
    targets.to_csv(folder / "replenishment.csv", index=False)
    return folder


def test_the_pages_show_the_published_numbers(published: Path) -> None:
    company, week = open_week(published)
    assert company.weeks() == [WeekName(DAY)]
    file = pd.read_csv(published.parent / "lake/runs" / mini_company.AS_OF / "replenishment.csv", dtype=str)
    expected = {(row.store_id, row.sku): (int(row.target_quantity), int(row.to_send)) for row in file.itertuples()}
    pairs = week.pairs
    shown = zip(pairs[c.STORE_ID], pairs[c.SKU], pairs[c.TARGET_QUANTITY], pairs[c.TO_SEND], strict=True)
    assert {(store, sku): (target, send) for store, sku, target, send in shown} == expected
    assert pairs[c.MONEY].tolist() == sorted(pairs[c.MONEY], reverse=True)
    assert pairs[c.MONEY].sum() == pytest.approx(1990 * pairs[c.TO_SEND].sum())
    ages = {source.table: source for source in source_ages(week)}
    assert (ages["sales"].last, ages["sales"].age) == (date(2024, 6, 30), 1)
    assert ages["stock"].last is None
    assert held_back(company) is None
    use = capacity_use(week, 7)
    stock = week.outputs.stock_by_day
    assert stock is not None
    own = stock[(stock[c.STORE_ID] == use.loc[0, c.STORE_ID]) & (stock[c.DATE] == use.loc[0, c.DATE])]
    assert use.loc[0, c.STOCK] in own[c.STOCK].tolist()
    assert use.groupby(c.STORE_ID).size().tolist() == [7, 7, 7]
    fullest = use.groupby(c.STORE_ID, sort=False)[c.SHARE].max().tolist()
    assert fullest == sorted(fullest, reverse=True)
    assert (use[c.DATE] < pd.Timestamp(DAY) + pd.Timedelta(days=7)).all()


def test_a_series_has_history_forecast_stock_and_reasons(published: Path) -> None:
    _, week = open_week(published)
    sales = mini_company.sales()
    view = series.series_view(week, "north/1", "10")
    own = sales[(sales[c.STORE_ID] == "north/1") & (sales[c.SKU] == "10")].set_index(c.DATE)[c.UNITS]
    last = view.history.iloc[-1]
    assert last[series.UNITS] == own.get(str(last[c.DATE].date()), 0)
    assert len(view.forecast) == 14
    assert {c.MEAN, "q0.1", "q0.9"} <= set(view.forecast.columns)
    assert len(series.stock_of(week, "north/1")) == 14
    pair = week.pairs[(week.pairs[c.STORE_ID] == "north/1") & (week.pairs[c.SKU] == "10")].iloc[0]
    sku = series.sku_view(week, "north/1", "10")
    assert sku.reasons[-1] == f"  = {pair[c.TARGET_QUANTITY]}  target"
    assert sku.deliveries[c.QUANTITY].iloc[0] == pair[c.TO_SEND]
    assert series.series_view(week, "no store", "10").history.empty


def test_a_panel_of_a_later_date_is_not_that_of_the_run(published_company: Path) -> None:
    """A backfill builds it to judge its weeks; its SKU facts can be equal."""
    lake = open_lake(str(published_company.parent / "lake"))
    (key,) = lake.keys("records/features")
    record = json.loads(lake.read_bytes(key))
    later = {**record, "as_of": "2024-07-15", "panel": {**record["panel"], "horizon": 0}}
    lake.store_record("features", "zzz", later)
    _, week = open_week(published_company)
    assert week.records.horizon == 14
    assert series.series_view(week, "north/1", "10").history[c.DATE].max() == pd.Timestamp("2024-06-30")


def test_exceptions_keep_their_status_and_compare_with_the_week_before(published_company: Path) -> None:
    published_again(published_company, "2024-06-24")
    _, week = open_week(published_company)
    frame = exception_table(week, {})
    change = frame[frame[c.KIND] == LARGE_CHANGE].iloc[0]
    assert (change[c.UNITS], change[c.MONEY]) == (-5, -5 * 1990)
    assert "in the run of 24 Jun 2024, now" in change[c.REASON]
    assert frame["id"].is_unique
    decide(week.lake, DAY, change["id"], ACCEPTED, "Ana <b>")
    again = exception_table(open_week(published_company)[1], read_decisions(week.lake, DAY)).set_index("id")
    assert again.loc[change["id"], [c.STATUS, "by"]].tolist() == [ACCEPTED, "Ana <b>"]
    assert (again.drop(index=change["id"])[c.STATUS] == OPEN).all()
    with pytest.raises(ConfigError, match="Enter your name"):
        decide(week.lake, DAY, change["id"], ACCEPTED, " ")
    # Pruning keeps what planners decided.
    from datetime import UTC, datetime, timedelta

    prune(week.lake, timedelta(days=1), datetime.now(UTC) + timedelta(days=400), dry_run=False)
    assert read_decisions(week.lake, DAY)[change["id"]].by == "Ana <b>"
    (key,) = week.lake.keys("planner")
    week.lake.write_bytes(key, b"{")
    assert read_decisions(week.lake, DAY) == {}, "a damaged decision counts as open"


def test_deliveries_are_found_for_ids_with_quotes_and_line_ends(published_company: Path) -> None:
    _, week = open_week(published_company)
    table = next(one for one in output_tables(week.run.settings.quantiles) if one.name == "deliveries")
    skus = ["10", '42 "b"', "two\nlines", "=1"]
    rows = pd.DataFrame({c.STORE_ID: "a", c.SKU: skus, c.QUANTITY: range(4), c.VISIT_DATE: pd.Timestamp("2024-07-02")})
    rows = rows.assign(**{c.ON_HAND: 0, c.IN_TRANSIT: 0, c.STATUS: "firm"})
    write_output(rows, table, published_company.parent / "lake/runs" / mini_company.AS_OF)
    assert [week.deliveries("a", sku)[c.QUANTITY].tolist() for sku in skus] == [[0], [1], [2], [3]]
    assert week.deliveries("b", "10").empty


def test_promotions_events_closed_days_and_deliveries_lie_on_the_time_axis(published: Path) -> None:
    _, week = open_week(published)
    days = pd.date_range("2024-06-01", "2024-07-20")
    table = {c.DATE: days, c.STORE_ID: None, c.HOLIDAY: "NORMAL", c.EVENT: None, c.OPEN: 1}
    calendar = pd.DataFrame(table).astype({c.EVENT: object})
    calendar.loc[calendar[c.DATE].isin(["2024-06-29", "2024-06-30"]), c.EVENT] = "fair <b>"
    calendar.loc[calendar[c.DATE].eq("2024-07-16"), [c.HOLIDAY, c.OPEN]] = ["CARMEN", 0]
    other = calendar.iloc[[3]].assign(**{c.STORE_ID: "001", c.OPEN: 0})
    events = {c.NAME: ["sale", "boots only"], c.DATE_FROM: "2024-05-01", c.DATE_TO: "2024-06-20"}
    tables = {
        "calendar": pd.concat([calendar, other]),
        "events": pd.DataFrame({**events, c.CATEGORY: [None, "boots"]}),
        "promotions": pd.DataFrame(
            {c.SKU: ["10", "10", "0013"], c.STORE_ID: [None, "001", None], c.DATE_FROM: "2024-07-02",
             c.DATE_TO: "2024-07-03"}
        ),
        "stores": pd.DataFrame({c.STORE_ID: ["2", "001"], c.CLOSED_ON: pd.to_datetime(["2024-07-12", None])}),
    }  # fmt: skip
    refs = dict.fromkeys(tables, next(iter(week.records.tables.values())))
    week = replace(week, records=replace(week.records, tables=refs), cache=dict(tables))
    spans = series.spans_of(week, "2", "10", days[0], days[-1])
    found = [(span.kind, span.name, str(span.first.date()), str(span.last.date())) for span in spans]
    deliveries = [row for row in found if row[0] == "Delivery"]
    assert [row for row in found if row[0] != "Delivery"] == [
        ("Promotion", "promotion of 1 SKUs", "2024-07-02", "2024-07-03"),
        ("Event", "sale", "2024-06-01", "2024-06-20"),
        ("Event", "fair <b>", "2024-06-29", "2024-06-30"),
        ("Event", "CARMEN", "2024-07-16", "2024-07-16"),
        ("Closed", "Closed", "2024-07-12", "2024-07-20"),
        ("Closed", "Closed", "2024-07-16", "2024-07-16"),
    ]
    visits = week.outputs.visits
    assert [row[2] for row in deliveries] == sorted(visits.loc[visits[c.STORE_ID].eq("2"), c.DATE].astype(str))


def test_the_export_is_a_workbook_with_text_ids(published_company: Path) -> None:
    from tasks.app.pages.exceptions import workbook

    published_again(published_company, "2024-06-24")
    _, week = open_week(published_company)
    frame = exception_table(week, {}).assign(status_text="open")
    frame.loc[frame.index[0], c.REASON] = "=1+1"
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(week, frame))).active
    header = [cell.value for cell in sheet[1]]
    cells = dict(zip(header, sheet[2], strict=True))
    assert (cells["reason"].value, cells["reason"].data_type) == ("=1+1", "s")
    assert cells["store_id"].data_type == "s"


def test_a_series_on_a_fallback_is_an_exception(published_company: Path) -> None:
    _, week = open_week(published_company)
    champions = week.outputs.champions.set_index([c.STORE_ID, c.CATEGORY])[c.MODEL]
    model = champions["001", "10"]
    failure = {"store_id": "001", "category": "10", "stage": model, "reason": "too short", "fallback": "seasonal_naive"}
    for key in week.lake.keys("records/compare"):
        record = json.loads(week.lake.read_bytes(key))
        record["failures"] = [failure, {**failure, "stage": "another model"}, {"broken": 1}]
        week.lake.write_bytes(key, json.dumps(record).encode())
    frame = exception_table(open_week(published_company)[1], {})
    assert frame[frame[c.KIND] == FALLBACK][c.STORE_ID].tolist() == ["001"]
    assert (frame[frame[c.KIND] == FALLBACK][c.MONEY] > 0).all()


def test_an_old_lake_shows_what_it_has(published_company: Path) -> None:
    lake = published_company.parent / "lake"
    shutil.rmtree(lake / "records")
    folder = lake / "runs" / mini_company.AS_OF
    (folder / "explanations.parquet").unlink()
    (folder / "costs.csv").write_text("policy\nx\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["alarms"] = [{"name": "of another version"}]
    (folder / "manifest.json").write_text(
        json.dumps({k: manifest[k] for k in ("name", "alarms", "inputs", "settings")})
    )
    company, week = open_week(published_company)
    assert len(week.pairs) == 12
    assert exception_table(week, {}).empty
    assert series.series_view(week, "001", "10").history.empty
    assert len(series.series_view(week, "001", "10").forecast) == 14
    assert series.sku_view(week, "001", "10").reasons == ()
    assert len(source_ages(week)) == 4
    assert any("costs.csv" in problem for problem in week.problems)
    (folder / "replenishment.csv").write_text("x")
    with pytest.raises(StorageError, match="restock weekly --as-of 2024-07-01"):
        read_week(company.lake, week.key, DAY, company.settings)


def test_an_empty_lake_and_a_missing_settings_file(tmp_path: Path) -> None:
    company = Company(mini_company.write(tmp_path / "company"))
    with pytest.raises(ConfigError, match=r"no run has written to it.*start the first run: restock weekly"):
        company.weeks()
    open_lake(str(tmp_path / "company/lake"))
    assert (company.weeks(), company.chosen("2024-07-01"), held_back(company)) == ([], None, None)
    with pytest.raises(ConfigError, match="Settings file not found"):
        Company(tmp_path / "other.yaml").settings  # noqa: B018


def test_files_that_are_replaced_while_they_are_read_are_read_again(
    published_company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, before = open_week(published_company)
    folder = published_company.parent / "lake/runs" / mini_company.AS_OF
    taken = folder.with_name("taken")
    folder.rename(taken)
    waits = []

    def put_back(seconds: float) -> None:
        waits.append(seconds)
        taken.rename(folder)

    monkeypatch.setattr("tasks.app.data.week.time.sleep", put_back)
    week = read_week(company.lake, before.key, DAY, company.settings)
    assert week.stamp == before.stamp
    assert len(waits) == 1


def test_a_preview_that_is_held_back_says_why(published_company: Path) -> None:
    lake = published_company.parent / "lake"
    shutil.copytree(lake / "runs" / mini_company.AS_OF, lake / "previews/2024-07-08")
    file = lake / "previews/2024-07-08/manifest.json"
    manifest = json.loads(file.read_text())
    manifest["alarms"] = [{"name": "stale_sales", "severity": "hold", "message": "Sales end on 30 June"}]
    file.write_text(json.dumps(manifest))
    company = Company(published_company)
    found = held_back(company)
    assert found is not None
    assert [alarm.message for alarm in found.alarms] == ["Sales end on 30 June"]
    assert company.chosen(None) == WeekName(DAY), "the page opens with what is in force"
    assert company.chosen("2024-07-08-preview") == WeekName(date(2024, 7, 8), preview=True)
    settings = yaml.safe_load(published_company.read_text())
    settings["publication"] = {"accept": ["stale_sales"]}
    published_company.write_text(yaml.safe_dump(settings))
    accepted = held_back(Company(published_company))
    assert accepted is not None
    assert accepted.alarms == ()


def test_the_skus_that_lose_most_money_are_added_up_over_stores(published_company: Path) -> None:
    file = published_company.parent / "lake/runs" / mini_company.AS_OF / "replenishment.csv"
    targets = pd.read_csv(file, dtype={c.STORE_ID: str, c.SKU: str})
    targets.loc[targets[c.SKU].isin(["10", "11"]), c.TARGET_QUANTITY] = 0
    targets.to_csv(file, index=False)
    _, week = open_week(published_company)
    explained = week.outputs.explanations
    assert explained is not None
    demand = explained[explained[c.SKU] == "10"].set_index(c.STORE_ID)[c.SKU_FORECAST]
    first, second = largest_losses(week).to_dict("records")
    assert (first[c.SKU], second[c.SKU], first["stores"]) == ("10", "11", 3)
    assert first[c.UNITS] == pytest.approx(float((demand - 10).sum()), abs=0.05)  # 10 on hand in every store
    assert first[c.MONEY] == pytest.approx(1990 * first[c.UNITS], rel=1e-3)
