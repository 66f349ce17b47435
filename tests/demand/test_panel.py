"""The panel as a whole: axis, leakage, order of rows, round trip, cleaning log."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError, StorageError
from schemas.frequency import Frequency
from schemas.settings.slices import PanelSlice
from tasks.demand.assemble import PanelInputs
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.panel import build_panel, from_frames, to_frames
from tasks.demand.stored import load_demand, load_panel
from tasks.performance.drift_alarms import assemble_watched_panel
from tasks.storage.arrow_tables import of_size
from tasks.storage.lake import open_lake

AS_OF = date(2024, 3, 1)


@pytest.fixture
def rich_tables(make_tables):
    """Sixty days of two stores, with every optional table, some of it after as_of."""
    rng = np.random.default_rng(3)
    dates = pd.date_range("2024-01-01", "2024-03-20")
    sales = [
        (day, store, sku, units, round(units * rng.uniform(5, 9), 2))
        for day in dates
        for store in ("s1", "s2")
        for sku in ("a1", "a2", "b1")
        for units in (float(rng.integers(-1, 6)), round(float(rng.uniform(0, 2)), 3))
        if rng.random() < 0.5
    ]
    flags = pd.DataFrame(
        [(day, "s1", sku, bool(rng.random() < 0.8)) for day in dates for sku in ("a1", "b1")],
        columns=[c.DATE, c.STORE_ID, c.SKU, c.IN_STOCK],
    )
    plan = pd.DataFrame(
        {
            c.DATE: np.tile(pd.date_range("2024-01-01", "2024-04-10"), 2),
            c.STORE_ID: np.repeat(["s1", "s2"], 101),
            c.OPEN: rng.random(202) < 0.9,
            c.EVENT: rng.choice(["", "presale", "mothers day"], 202, p=[0.8, 0.1, 0.1]),
        }
    )
    promotions = pd.DataFrame(
        {
            c.SKU: ["a1", "b1"],
            c.DATE_FROM: ["2024-02-01", "2024-03-02"],
            c.DATE_TO: ["2024-02-05", "2024-03-04"],
            c.DISCOUNT: [0.2, 0.5],
        }
    )
    return make_tables(sales, availability=flags, calendar=plan, promotions=promotions)


def same(one, other):
    pd.testing.assert_frame_equal(one.series, other.series)
    assert one.periods.equals(other.periods)
    assert one.horizon == other.horizon
    np.testing.assert_array_equal(one.demand, other.demand)
    np.testing.assert_array_equal(one.sold, other.sold)
    np.testing.assert_array_equal(one.closed, other.closed)
    assert list(one.known) == list(other.known)
    for name, feature in one.known.items():
        np.testing.assert_array_equal(feature.values, other.known[name].values, err_msg=name)
        np.testing.assert_array_equal(feature.row_of_series, other.known[name].row_of_series)
    assert list(one.observed) == list(other.observed)
    for name, values in one.observed.items():
        np.testing.assert_array_equal(values, other.observed[name])


def linked(tables):
    """The tables with a bundle, a successor, canceled and huge lines, a dated stock, and a line of a mistyped year."""
    products = tables["products"].assign(**{c.REPLACED_BY: [None, None, "b2"], c.PRICE: 8.0})
    added = pd.DataFrame({c.SKU: ["b2", "set"], c.BRAND: ["B", "B"], c.PRICE: 9.0})
    days = ["2024-02-01", "2024-02-02", "2024-02-02", "2024-02-27", "2024-02-20", "2020-01-01"]
    lines = pd.DataFrame(
        {
            c.DATE: pd.to_datetime(days),
            c.STORE_ID: ["s2", "s1", "s1", "s1", "s2", "s1"],
            c.SKU: ["set", "a2", "a2", "b2", "a1", "a1"],
            c.UNITS: [2.0, 40.0, -40.0, 3.5, 90000.0, 1.0],
            c.NET_AMOUNT: [50.0, 280.0, -280.0, 30.0, 80.0, 7.0],
        }
    )
    counted = {c.STORE_ID: ["s1", "s2"], c.SKU: ["a1", "b1"], c.ON_HAND: [3.0, 0.0]}
    return {
        **{name: frame for name, frame in tables.items() if name != "availability"},
        "products": pd.concat([products, added], ignore_index=True),
        "sales": pd.concat([tables["sales"], lines], ignore_index=True),
        "bundles": pd.DataFrame({c.SKU: "set", c.COMPONENT_SKU: ["a1", "b1"], c.QUANTITY: [1.0, 2.0]}),
        "stock": pd.DataFrame({c.DATE: pd.Timestamp("2024-01-20"), **counted}),
    }


@pytest.mark.parametrize("scope", [(), ("s2",)])
def test_the_stored_panel_does_not_depend_on_shards(scope, rich_tables, make_settings, tmp_path, monkeypatch):
    tables, settings, lake = linked(rich_tables), make_settings(country="CL"), open_lake(str(tmp_path))
    if scope:
        tables["availability"] = rich_tables["availability"]
    refs = {name: lake.write_table(name, frame) for name, frame in tables.items()}
    whole = build_panel(prepare(tables, settings, AS_OF))
    assert whole.treatment_counts.keys() >= {"void", "return", "open_after_all"}
    assert {alarm.name for alarm in whole.alarms} >= {"isolated_dates", "huge_lines", "stock_outdated"}
    records = []
    for shards in (1, 3, 7):
        lines = -(-len(tables["sales"]) // shards)
        monkeypatch.setattr("tasks.demand.cleaning.lines.SHARD_LINES", lines)
        monkeypatch.setattr("tasks.demand.cleaning.lines._LINES_BY_DAY", lines)
        monkeypatch.setattr("tasks.demand.cleaning.corrected.BLOCK_LINES", lines)
        monkeypatch.setattr("tasks.demand.cleaning.exposure.BLOCK_LINES", lines)
        monkeypatch.setattr("tasks.demand.cleaning.expected_units._BLOCK_VALUES", 1 << 19 if shards == 1 else 1)
        monkeypatch.setattr("tasks.demand.cleaning.sales.PART_VALUES", 1 << 19 if shards == 1 else 1)
        monkeypatch.setattr("tasks.demand.rows_by_store.ROWS_AT_ONCE", 1 << 18 if shards == 1 else 1)
        monkeypatch.setattr("tasks.demand.sku_facts.ROWS_AT_ONCE", 1 << 18 if shards == 1 else 1)
        inputs = PanelInputs(tables=refs, as_of=AS_OF, stores=scope)
        records.append(assemble_watched_panel(lake, inputs, PanelSlice.of(settings)))
    assert records[0] == records[1] == records[2]
    assert records[0].cleaning_log == lake.write_table("features/cleaning_log", whole.cleaning_log)
    if not scope:
        frames = {name: lake.write_table(f"features/{name}", frame) for name, frame in to_frames(whole.panel).items()}
        assert records[0].panel.frames == frames
        same(load_panel(lake, records[0].panel, Frequency("D")), whole.panel)
        light = load_demand(lake, records[0].panel, Frequency("D"))
        np.testing.assert_array_equal(light.demand, whole.panel.demand)
        np.testing.assert_array_equal(light.sold, whole.panel.sold)


def test_an_empty_cleaning_log_is_stored_as_a_table(make_tables, make_settings, tmp_path):
    tables = make_tables([("2024-01-01", "s1", "a1", 1.0), ("2024-01-02", "s1", "a1", 2.0)])
    lake = open_lake(str(tmp_path))
    refs = {name: lake.write_table(name, frame) for name, frame in tables.items()}
    log = build_panel(prepare(tables, make_settings(), AS_OF)).cleaning_log
    assert log.empty
    record = assemble_watched_panel(lake, PanelInputs(tables=refs, as_of=AS_OF), PanelSlice.of(make_settings()))
    assert record.cleaning_log == lake.write_table("features/cleaning_log", log)


def test_the_panel_does_not_depend_on_the_order_and_type_of_ids(rich_tables, make_settings):
    built = build_panel(prepare(rich_tables, make_settings(), AS_OF))
    text = {c.STORE_ID: "category", c.SKU: pd.CategoricalDtype(["a0", "a1", "a2", "b1"])}
    sales = rich_tables["sales"].sample(frac=1, random_state=1, ignore_index=True).astype(text)
    again = build_panel(prepare({**rich_tables, "sales": sales}, make_settings(), AS_OF))
    same(again.panel, built.panel)
    pd.testing.assert_frame_equal(again.cleaning_log, built.cleaning_log)
    assert again.alarms == built.alarms


def test_frames_of_a_size_have_the_same_rows():
    parts = [pd.DataFrame({"a": range(start, stop)}) for start, stop in ((0, 2), (2, 9), (9, 10), (10, 12))]
    assert [frame["a"].tolist() for frame in of_size(parts, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [len(frame) for frame in of_size([parts[0].iloc[:0]], 4)] == [0]


def test_axis_and_series(rich_tables, make_settings):
    panel = build_panel(prepare(rich_tables, make_settings(), AS_OF)).panel
    assert panel.series[[c.STORE_ID, c.CATEGORY]].to_numpy().tolist() == [
        ["s1", "A"], ["s1", "B"], ["s2", "A"], ["s2", "B"]
    ]  # fmt: skip
    assert (panel.history, panel.horizon, len(panel.periods)) == (60, 7, 67)
    assert panel.history_periods[-1] == pd.Timestamp("2024-02-29")
    assert panel.horizon_periods[0] == pd.Timestamp("2024-03-01")
    assert panel.series[c.STORE_TYPE].tolist() == ["A", "A", "D", "D"]


def test_what_lies_behind_as_of_changes_nothing(rich_tables, make_settings):
    built = build_panel(prepare(rich_tables, make_settings(country="CL"), AS_OF))
    changed = dict(rich_tables)
    for name in ("sales", "availability"):
        frame = rich_tables[name]
        later = frame[c.DATE] >= pd.Timestamp(AS_OF)
        wild = frame[later].sample(frac=0.3, random_state=1).assign(**{c.DATE: pd.Timestamp("2024-05-01")})
        altered = frame[later].assign(**({c.UNITS: 1e6} if name == "sales" else {c.IN_STOCK: False}))
        changed[name] = pd.concat([altered, frame[~later], wild], ignore_index=True)
    again = build_panel(prepare(changed, make_settings(country="CL"), AS_OF))
    same(built.panel, again.panel)
    pd.testing.assert_frame_equal(built.cleaning_log, again.cleaning_log)
    assert built.treatment_counts == again.treatment_counts


def test_row_order_changes_nothing(rich_tables, make_settings):
    built = build_panel(prepare(rich_tables, make_settings(), AS_OF))
    shuffled = {name: frame.sample(frac=1, random_state=5) for name, frame in rich_tables.items()}
    again = build_panel(prepare(shuffled, make_settings(), AS_OF))
    same(built.panel, again.panel)
    pd.testing.assert_frame_equal(built.cleaning_log, again.cleaning_log)


def test_categorical_ids_give_the_same_panel(rich_tables, make_settings):
    coded = {
        name: frame.astype({key: "category" for key in (c.STORE_ID, c.SKU) if key in frame.columns})
        for name, frame in rich_tables.items()
    }
    same(
        build_panel(prepare(rich_tables, make_settings(), AS_OF)).panel,
        build_panel(prepare(coded, make_settings(), AS_OF)).panel,
    )


def test_sales_without_units_are_an_error(rich_tables, make_settings):
    tables = {**rich_tables, "sales": rich_tables["sales"].assign(**{c.UNITS: 0.0})}
    with pytest.raises(DataContractError, match="sales has no units before as_of"):
        prepare(tables, make_settings(), AS_OF)


def test_inputs_are_not_changed(rich_tables, make_settings):
    before = {name: frame.copy(deep=True) for name, frame in rich_tables.items()}
    build_panel(prepare(rich_tables, make_settings(cleaning={"merge_prefixes": {c.BRAND: ["A"]}}), AS_OF))
    for name, frame in rich_tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


@pytest.mark.parametrize(("frequency", "aggregate"), [("D", False), ("W-MON", True), ("MS", True)])
def test_round_trip(frequency, aggregate, rich_tables, make_settings, tmp_path):
    settings = make_settings(frequency=frequency, aggregate=aggregate, country="CL", horizon=2 if aggregate else 7,
                             inventory={"review_period": 1})  # fmt: skip
    panel = build_panel(prepare(rich_tables, settings, AS_OF)).panel
    stored = {}
    for name, frame in to_frames(panel).items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
        stored[name] = pd.read_parquet(tmp_path / f"{name}.parquet")
    same(panel, from_frames(stored, panel.frequency, panel.horizon))


def test_frames_that_do_not_belong_together_are_refused(rich_tables, make_settings):
    panel = build_panel(prepare(rich_tables, make_settings(), AS_OF)).panel
    frames = to_frames(panel)
    with pytest.raises(StorageError, match=r"do not belong together: 4 series and 67 periods with horizon 7, but 239"):
        from_frames({**frames, "history": frames["history"].iloc[:-1]}, panel.frequency, panel.horizon)


def test_weeks_and_months_sum_the_days(make_tables, make_settings, row_of):
    # 2024-01-01 is a Monday; the Sunday 2024-01-07 belongs to its week.
    sales = [
        ("2024-01-01", "s1", "b1", 1), ("2024-01-07", "s1", "b1", 2), ("2024-01-08", "s1", "b1", 4),
        ("2024-01-31", "s1", "b1", 8), ("2024-02-01", "s1", "b1", 16), ("2024-02-04", "s1", "b1", 32),
    ]  # fmt: skip
    weekly = make_settings(frequency="W-MON", aggregate=True, horizon=2)
    panel = build_panel(prepare(make_tables(sales), weekly, date(2024, 2, 5))).panel
    assert row_of(panel, "s1", "B") == [3, 4, 0, 0, 56]
    assert panel.horizon_periods.strftime("%Y-%m-%d").tolist() == ["2024-02-05", "2024-02-12"]
    monthly = make_settings(frequency="MS", aggregate=True, horizon=2)
    panel = build_panel(prepare(make_tables(sales), monthly, date(2024, 3, 1))).panel
    assert row_of(panel, "s1", "B") == [15, 48]


def test_as_of_inside_a_week_is_warned_of(make_tables, make_settings):
    sales = [("2024-01-01", "s1", "b1", 1), ("2024-01-08", "s1", "b1", 2)]
    settings = make_settings(frequency="W-MON", horizon=1)
    build = build_panel(prepare(make_tables(sales), settings, date(2024, 1, 10)))
    assert build.panel.demand.tolist() == [[1, 2]]
    assert build.panel.horizon_periods[0] == pd.Timestamp("2024-01-15")
    assert build.alarms[0].name == "run_inside_period"
    assert "inside a period of W-MON: that of 2024-01-08 counts as finished" in build.alarms[0].message


def test_nothing_before_as_of_names_first_and_last_date(make_tables, make_settings):
    sales = [("2024-01-03", "s1", "b1", 1), ("2024-01-09", "s1", "b1", 1)]
    with pytest.raises(DataContractError, match="run from 2024-01-03 to 2024-01-09"):
        build_panel(prepare(make_tables(sales), make_settings(), date(2024, 1, 3)))


def test_unknown_category_column_and_sku(make_tables, make_settings):
    sales = [("2024-01-03", "s1", "zz", 1)]
    with pytest.raises(DataContractError, match="1 SKU are not in products: zz"):
        build_panel(prepare(make_tables(sales), make_settings(), AS_OF))
    with pytest.raises(DataContractError, match=r"columns that the table does not have: model"):
        build_panel(prepare(make_tables(sales), make_settings(category=[c.MODEL]), AS_OF))


def test_returns_are_recorded(make_tables, make_settings):
    sales = [("2024-01-03", "s1", "b1", 1), ("2024-01-04", "s1", "b1", -2), ("2024-03-04", "s1", "b1", -5)]
    build = build_panel(prepare(make_tables(sales), make_settings(), AS_OF))
    assert build.cleaning_log[[c.DATE, c.UNITS, c.TREATMENT]].to_numpy().tolist() == [
        [pd.Timestamp("2024-01-04"), -2.0, "return"]
    ]
    assert build.treatment_counts["return"] == 1


def test_merged_prefixes_make_one_category(make_tables, make_settings, row_of):
    tables = make_tables([("2024-01-01", "s1", "a1", 1), ("2024-01-01", "s1", "a2", 2), ("2024-01-01", "s1", "b1", 4)])
    tables["products"][c.SUBFAMILY] = ["SANDALIA ALTA", "SANDALIA", None]
    settings = make_settings(
        category=[c.BRAND, c.SUBFAMILY], cleaning={"merge_prefixes": {c.SUBFAMILY: ["SANDALIA", "SAND"]}}
    )
    build = build_panel(prepare(tables, settings, date(2024, 1, 2)))
    assert build.panel.series[c.CATEGORY].tolist() == ["A_SANDALIA", "B_"]
    assert row_of(build.panel, "s1", "A_SANDALIA") == [3]
    assert build.treatment_counts["merged_product"] == 1


def test_static_features_hold_for_the_whole_category(make_tables, make_settings):
    tables = make_tables([("2024-01-01", "s1", "a1", 1), ("2024-01-01", "s1", "a2", 2), ("2024-01-01", "s2", "b1", 4)])
    tables["products"] = tables["products"].assign(family=["x", "x", None], size=[1, 2, 3], price=[5.0, 5.0, 7.0])
    tables["stores"] = tables["stores"].assign(family=["north", "south"], area=[10, 20])
    series = build_panel(prepare(tables, make_settings(), date(2024, 1, 2))).panel.series
    assert series["family"].tolist() == ["x", ""]
    assert series["store_family"].tolist() == ["north", "south"]
    assert series["area"].tolist() == [10.0, 20.0]
    assert series[c.PRICE].tolist() == [5.0, 7.0]
    assert c.SIZE not in series.columns


def test_observed_price_is_the_last_known_one(make_tables, make_settings):
    sales = [
        ("2024-01-01", "s1", "b1", 0, 0.0), ("2024-01-02", "s1", "b1", 2, 10.0), ("2024-01-02", "s1", "b1", 1, 8.0),
        ("2024-01-03", "s1", "b1", -1, -6.0), ("2024-01-04", "s1", "b1", 3, np.nan), ("2024-01-05", "s1", "b1", 1, 4.0),
    ]  # fmt: skip
    panel = build_panel(prepare(make_tables(sales), make_settings(), date(2024, 1, 6))).panel
    np.testing.assert_array_equal(panel.observed[c.UNIT_PRICE], np.float32([[np.nan, 6, 6, 6, 4]]))


def test_cut_back_panel_equals_the_earlier_build(rich_tables, make_settings):
    """A fold sees what a run on that day would have seen."""
    settings = make_settings(cleaning={"drop_outliers": False})
    tables = {**rich_tables, "calendar": rich_tables["calendar"][[c.DATE, c.STORE_ID, c.OPEN]]}
    cut = build_panel(prepare(tables, settings, AS_OF)).panel.until(40)
    early = build_panel(prepare(tables, settings, date(2024, 2, 10))).panel
    same(cut, replace(early, known={name: early.known[name] for name in cut.known}))


def test_frequency_is_kept(rich_tables, make_settings):
    assert build_panel(prepare(rich_tables, make_settings(), AS_OF)).panel.frequency == Frequency("D")


def test_inside_a_week_later_rows_of_that_week_change_nothing(make_tables, make_settings):
    sales = [("2024-01-01", "s1", "b1", 1.0), ("2024-01-08", "s1", "b1", 2.0), ("2024-01-09", "s1", "a1", 1.0)]
    later = [(f"2024-01-{day}", "s1", "b1", 50.0) for day in (10, 11, 12)]
    out = pd.DataFrame(
        {c.DATE: pd.date_range("2024-01-10", periods=5), c.STORE_ID: "s1", c.SKU: "b1", c.IN_STOCK: False}
    )
    settings = make_settings(frequency="W-MON", aggregate=True, horizon=1)
    build = build_panel(prepare(make_tables(sales), settings, date(2024, 1, 10)))
    again = build_panel(prepare(make_tables([*sales, *later], availability=out), settings, date(2024, 1, 10)))
    same(build.panel, again.panel)


def test_sums_do_not_depend_on_the_order_of_lines(make_tables, make_settings):
    sales = [("2024-01-01", "s1", "b1", units) for units in (0.1, 0.2, 0.3)]
    one = build_panel(prepare(make_tables(sales), make_settings(), date(2024, 1, 2))).panel
    other = build_panel(prepare(make_tables(sales[::-1]), make_settings(), date(2024, 1, 2))).panel
    same(one, other)
