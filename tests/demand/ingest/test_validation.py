"""The contract applied: what stops a run, what goes to quarantine, what is accepted and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas import columns as c
from schemas.errors import DataContractError
from schemas.raw import RawFile, RawTable, as_text
from schemas.settings import Settings
from schemas.settings.slices import IngestSlice
from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import ValidatedTables, judge_tables, validate_tables
from tests.breadth import examples

DEFAULTS: dict[str, list[dict[str, object]]] = {
    "stores": [{c.STORE_ID: store} for store in ("01", "02")],
    "products": [{c.SKU: sku, c.BRAND: "b", c.PRICE: "10"} for sku in ("007", "008")],
    "sales": [
        {c.DATE: f"2024-01-0{day}", c.STORE_ID: "01", c.SKU: "007", c.UNITS: str(day), c.NET_AMOUNT: "1"}
        for day in range(1, 10)
    ],
}


def settings(**given: Any) -> Settings:
    source = {"path": "file.csv"}
    names = ("sales", "products", "stores", "stock", "dc_stock", "dc_inbound", "calendar", "availability", "promotions")
    sources = {name: {**source, **given.pop(name, {})} for name in names}
    return Settings.model_validate(
        {"name": "test", "sources": sources, "quality": {"max_quarantined_share": 1}, **given}
    )


def raw(name: str, rows: list[dict[str, object]] | pd.DataFrame) -> RawTable:
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows).apply(as_text)
    return RawTable.of(name, frame, f"{name}.csv")


def validate(given: Settings | None = None, **tables: list[dict[str, object]] | pd.DataFrame) -> ValidatedTables:
    """Validate with arrays, which is quicker; test_judges.py compares with Great Expectations."""
    return validate_tables(
        {name: raw(name, rows) for name, rows in {**DEFAULTS, **tables}.items()}, given or settings(), with_arrays
    )


def sale(**cells: object) -> dict[str, object]:
    return {**DEFAULTS["sales"][0], **cells}


def reasons(result: ValidatedTables) -> list[tuple[str, int, str]]:
    return list(result.quarantine[[c.TABLE, c.ROW_NUMBER, c.REASON]].itertuples(index=False, name=None))


def error_of(given: Settings | None = None, **tables: list[dict[str, object]] | pd.DataFrame) -> str:
    with pytest.raises(DataContractError) as error:
        validate(given, **tables)
    return str(error.value)


# Accepted rows


def test_clean_tables_come_out_typed() -> None:
    result = validate()
    sales = result.tables["sales"]
    assert {name: dtype.name for name, dtype in sales.dtypes.items()} == {
        c.DATE: "datetime64[ns]",
        c.STORE_ID: "object",
        c.SKU: "object",
        c.UNITS: "float64",
        c.NET_AMOUNT: "float64",
    }
    assert sales[c.SKU].unique().tolist() == ["007"]
    assert result.reasons == []
    assert list(result.quarantine.columns) == [c.TABLE, c.FILE, c.ROW_NUMBER, c.REASON]
    assert result.quarantine.empty


def test_columns_are_renamed_and_the_rest_kept() -> None:
    rows = [
        {
            "Fecha": "2024-01-01",
            "Cliente": "01",
            "Cod": "007",
            "Uns": "2",
            "extra": "3",
            "note": "x",
            c.DATE: "nonsense",
        }
    ]
    columns = {c.DATE: "Fecha", c.STORE_ID: "Cliente", c.SKU: "Cod", c.UNITS: "Uns", "price_paid": "extra"}
    sales = validate(settings(sales={"columns": columns}), sales=rows).tables["sales"]
    assert list(sales.columns) == [c.DATE, c.STORE_ID, c.SKU, c.UNITS, "price_paid", "note"]
    assert sales.loc[0, c.DATE] == pd.Timestamp("2024-01-01")
    assert sales.loc[0, "price_paid"] == 3.0


def test_one_column_of_the_file_may_serve_twice_and_names_may_swap() -> None:
    rows = [{c.SKU: "007", "group": "g"}, {c.SKU: "008", "group": "h"}]
    columns = {c.BRAND: "group", c.FAMILY: "group"}
    products = validate(settings(products={"columns": columns}, category=[c.BRAND]), products=rows).tables["products"]
    assert products[c.BRAND].tolist() == products[c.FAMILY].tolist() == ["g", "h"]
    swapped = [sale(net="5", units="9")]
    swap = settings(sales={"columns": {c.UNITS: "net", "gross": c.UNITS}})
    sales = validate(swap, sales=swapped).tables["sales"]
    assert sales.loc[0, [c.UNITS, "gross"]].tolist() == [5.0, 9.0]


def test_flags_are_true_or_false_and_an_empty_open_means_open() -> None:
    rows = [{c.DATE: f"2024-01-0{i}", c.OPEN: text} for i, text in enumerate(["1", "no", ""], start=1)]
    calendar = validate(calendar=rows).tables["calendar"]
    assert calendar[c.OPEN].dtype == bool
    assert calendar[c.OPEN].tolist() == [True, False, True]


def test_category_parts_stay_text() -> None:
    rows = [{c.SKU: "007", c.CLUSTER: "01", c.PACK_SIZE: "06"}, {c.SKU: "008", c.CLUSTER: "2.0", c.PACK_SIZE: "1"}]
    products = validate(settings(category=[c.CLUSTER, c.PACK_SIZE]), products=rows).tables["products"]
    assert products[[c.CLUSTER, c.PACK_SIZE]].to_numpy().tolist() == [["01", "06"], ["2.0", "1"]]


def test_numbered_transit_columns_are_numbers() -> None:
    rows = [{c.STORE_ID: "01", c.SKU: "007", c.ON_HAND: "1", c.in_transit_column(1): "2", c.in_transit_column(2): "-3"}]
    result = validate(stock=[*rows, {**rows[0], c.SKU: "008", c.in_transit_column(2): ""}])
    assert reasons(result) == [("stock", 1, "in_transit_2: below 0")]
    assert result.tables["stock"][c.in_transit_column(1)].tolist() == [2.0]


def test_the_frames_given_are_not_changed() -> None:
    tables = {name: raw(name, rows) for name, rows in DEFAULTS.items()}
    before = {name: table.frame.copy(deep=True) for name, table in tables.items()}
    validate_tables(tables, settings(), with_arrays)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table.frame, before[name])


# Rows for quarantine


BAD_SALES = [
    ({c.UNITS: "three"}, "units: not a number"),
    ({c.UNITS: ""}, "units: empty"),
    ({c.UNITS: "inf"}, "units: infinite"),
    ({c.UNITS: "1e999"}, "units: not a number"),
    ({c.NET_AMOUNT: "-inf"}, "net_amount: infinite"),
    ({c.NET_AMOUNT: "?"}, "net_amount: not a number"),
    ({c.DATE: "01/02/2024"}, "date: not a date"),
    ({c.DATE: ""}, "date: empty"),
    ({c.DATE: "1900-01-01"}, "date: before 1970-01-02"),
    ({c.DATE: "2024-01-01 10:30"}, "date: no period of frequency D begins there"),
    ({c.STORE_ID: "3"}, "store_id: not in table stores"),
    ({c.STORE_ID: " "}, "store_id: empty"),
    ({c.SKU: "77"}, "sku: not in table products"),
    ({c.SKU: "", c.UNITS: "x"}, "sku: empty; units: not a number"),
    ({c.STORE_ID: "9", c.SKU: "9"}, "store_id: not in table stores; sku: not in table products"),
]


def test_bad_sales_rows() -> None:
    result = validate(sales=[sale(), *(sale(**cells) for cells, _ in BAD_SALES), sale()])
    assert reasons(result) == [("sales", row, reason) for row, (_, reason) in enumerate(BAD_SALES, start=2)]
    assert len(result.tables["sales"]) == 2
    counted = {reason: count for _, reason, count in result.reasons}
    assert counted["units: not a number"] == 3
    assert counted["sku: not in table products"] == 2


def test_an_empty_net_amount_is_unknown() -> None:
    assert np.isnan(validate(sales=[sale(net_amount="")]).tables["sales"].loc[0, c.NET_AMOUNT])


@pytest.mark.parametrize(
    ("frequency", "good", "bad"), [("W-MON", "2024-01-01", "2024-01-02"), ("MS", "2024-02-01", "2024-02-02")]
)
def test_dates_off_the_frequency(frequency: str, good: str, bad: str) -> None:
    rows = [sale(date=good), sale(date=bad)]
    result = validate(settings(frequency=frequency), sales=rows)
    assert reasons(result) == [("sales", 2, f"date: no period of frequency {frequency} begins there")]
    assert len(validate(settings(frequency=frequency, aggregate=True), sales=rows).tables["sales"]) == 2


def test_with_aggregate_a_time_of_day_is_dropped() -> None:
    sales = validate(settings(aggregate=True), sales=[sale(date="2024-01-01 10:30")]).tables["sales"]
    assert sales.loc[0, c.DATE] == pd.Timestamp("2024-01-01")


def test_dates_of_plans_need_no_frequency() -> None:
    promotions = [{c.SKU: "007", c.DATE_FROM: "2024-01-02", c.DATE_TO: "2024-01-04"}]
    result = validate(
        settings(frequency="W-MON"),
        sales=[sale()],
        calendar=[{c.DATE: "2024-01-03", c.EVENT: "e"}],
        promotions=promotions,
    )
    assert result.quarantine.empty


BAD_PROMOTIONS = [
    ({c.DATE_TO: "2023-12-31"}, "date_to: before date_from"),
    ({c.DISCOUNT: "1.5"}, "discount: above 1"),
    ({c.DISCOUNT: "-0.1"}, "discount: below 0"),
    ({c.PRICE: "-1"}, "price: below 0"),
    ({c.DATE_TO: "later"}, "date_to: not a date"),
]


def test_bad_promotions() -> None:
    good = {c.SKU: "007", c.DATE_FROM: "2024-01-01", c.DATE_TO: "2024-01-01", c.PRICE: "1", c.DISCOUNT: "0.5"}
    open_ended = {**good, c.DATE_TO: "9999-12-31"}
    result = validate(promotions=[good, *({**good, **cells} for cells, _ in BAD_PROMOTIONS), open_ended])
    assert reasons(result) == [("promotions", row, reason) for row, (_, reason) in enumerate(BAD_PROMOTIONS, start=2)]
    assert len(result.tables["promotions"]) == 2


def test_a_flag_that_is_none() -> None:
    row = {c.DATE: "2024-01-01", c.STORE_ID: "01", c.SKU: "007", c.IN_STOCK: "1"}
    rows = [row, {**row, c.SKU: "008", c.IN_STOCK: "2"}, {**row, c.STORE_ID: "02", c.IN_STOCK: ""}]
    assert reasons(validate(availability=rows)) == [
        ("availability", 2, "in_stock: not 0/1, true/false or yes/no"),
        ("availability", 3, "in_stock: empty"),
    ]


def test_every_row_of_a_repeated_availability_key_is_bad() -> None:
    row = {c.DATE: "2024-01-01", c.STORE_ID: "01", c.SKU: "007", c.IN_STOCK: "1"}
    rows = [
        row,
        {**row, c.IN_STOCK: "0"},
        {**row, c.STORE_ID: "02"},
        {**row, c.STORE_ID: "x"},
        {**row, c.STORE_ID: "x"},
    ]
    result = validate(availability=rows)
    repeated, unknown = "repeated key (date, store_id, sku)", "store_id: not in table stores"
    assert [reason for _, _, reason in reasons(result)] == [repeated, repeated, unknown, unknown]
    assert result.tables["availability"][c.STORE_ID].tolist() == ["02"]


def test_sale_lines_may_repeat() -> None:
    assert len(validate(sales=[sale(), sale()]).tables["sales"]) == 2


def test_a_product_without_a_category_part_counts_as_none() -> None:
    products = [*DEFAULTS["products"], {c.SKU: "009", c.BRAND: " "}]
    result = validate(settings(category=[c.BRAND]), products=products, sales=[sale(), sale(sku="009")])
    assert reasons(result) == []
    assert result.tables["products"][c.BRAND].tolist() == ["b", "b", "(none)"]
    assert [(alarm.name, alarm.skus, alarm.message) for alarm in result.alarms] == [
        ("missing_category", ["009"], "products: brand of 009 is empty (' ' 1) and counts as (none).")
    ]


def test_a_broken_row_is_kept_whole_for_that_reason_alone() -> None:
    table = raw("sales", [sale(), sale(units="x 1")])
    broken = RawTable(
        "sales", table.frame, table.file, np.array([1, 5]), table.files, {1: "6 cells where the header has 5"}
    )
    tables = {name: raw(name, rows) for name, rows in DEFAULTS.items()} | {"sales": broken}
    assert reasons(validate_tables(tables, settings(), with_arrays)) == [("sales", 5, "wrong number of cells")]


def test_quarantine_holds_the_rows_whole_as_written() -> None:
    stores = [*DEFAULTS["stores"], {c.STORE_ID: "03", c.VISIT_COST: "-1", c.REASON: "own"}]
    sales = pd.DataFrame(
        {
            "Fecha": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            c.STORE_ID: [5.0, 3.0],
            c.SKU: ["007", "007"],
            c.UNITS: [1.5, np.nan],
        }
    )
    result = validate(settings(sales={"columns": {c.DATE: "Fecha"}}), stores=stores, sales=sales)
    written = result.quarantine.astype(object).where(result.quarantine.notna(), None).to_dict("records")
    assert [(row[c.TABLE], row[c.FILE], row[c.ROW_NUMBER]) for row in written] == [
        ("sales", "sales.csv", 1),
        ("sales", "sales.csv", 2),
        ("stores", "stores.csv", 3),
    ]
    assert [written[1][name] for name in ("Fecha", c.STORE_ID, c.SKU, c.UNITS)] == ["2024-01-02", "3", "007", ""]
    assert [written[2][name] for name in (c.VISIT_COST, "reason (in the file)", "Fecha")] == ["-1", "own", None]


def test_the_order_of_reasons_and_summary() -> None:
    rows = [sale(), sale(units="x"), sale(units="y"), sale(store_id="z")]
    result = validate(sales=rows)
    assert result.reasons == [("sales", "units: not a number", 2), ("sales", "store_id: not in table stores", 1)]
    assert result.summary()[2] == {
        "table": "sales",
        "files": 1,
        "rows_read": 4,
        "rows_accepted": 1,
        "rows_quarantined": 3,
        "rows_ignored": 0,
        "share_quarantined": 0.75,
        "reasons": "units: not a number (2); store_id: not in table stores (1)",
    }


def test_rows_are_counted_by_file() -> None:
    table = raw("sales", [sale(), sale(units="x"), sale(), sale(units="y")])
    files = tuple(RawFile(path, path, tuple(table.frame.columns), rows) for path, rows in (("a", 1), ("b", 3)))
    numbers = np.array([1, 1, 2, 3])
    two = RawTable("sales", table.frame, np.array([0, 1, 1, 1], dtype=np.int32), numbers, files)
    tables = {name: raw(name, rows) for name, rows in DEFAULTS.items()} | {"sales": two}
    result = validate_tables(tables, settings(), with_arrays)
    counts = [(f.path, f.rows_read, f.rows_accepted, f.rows_quarantined) for f in result.files if f.table == "sales"]
    assert counts == [("a", 1, 1, 0), ("b", 3, 1, 2)]
    assert result.quarantine[[c.FILE, c.ROW_NUMBER]].to_numpy().tolist() == [["b", 1], ["b", 3]]


CELL = st.sampled_from(["", "1", "01", "02", "007", "x", "inf", "-3", "2024-01-01", "2024-01-02", "2024-01-02 10:00"])


@given(rows=st.lists(st.tuples(CELL, CELL, CELL, CELL), max_size=6), stores=st.lists(CELL, max_size=3, unique=True))
@hypothesis_settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
def test_every_row_read_is_accepted_or_quarantined_once(rows: list[tuple[str, ...]], stores: list[str]) -> None:
    keys = (c.DATE, c.STORE_ID, c.SKU, c.UNITS)
    sales = [dict(zip(keys, row, strict=True)) for row in rows] + [{key: sale()[key] for key in keys}]
    store_rows = [{c.STORE_ID: store} for store in dict.fromkeys([*stores, "01"])]
    result = validate(stores=store_rows, sales=sales)
    for name, count in (("sales", len(sales)), ("stores", len(store_rows))):
        bad = int((result.quarantine[c.TABLE] == name).sum())
        file = next(file for file in result.files if file.table == name)
        assert (file.rows_read, file.rows_accepted, file.rows_quarantined) == (count, count - bad, bad)
        assert len(result.tables[name]) == count - bad
    assert not result.quarantine.duplicated([c.TABLE, c.ROW_NUMBER]).any()
    accepted = result.tables["sales"]
    assert np.isfinite(accepted[c.UNITS]).all()
    assert accepted[c.STORE_ID].isin(result.tables["stores"][c.STORE_ID]).all()


def test_the_order_of_rows_changes_nothing_but_their_order() -> None:
    rows = [sale(), sale(units="x"), sale(store_id="9"), sale(date="2024-01-03")]
    first, second = validate(sales=rows), validate(sales=rows[::-1])
    assert sorted(first.reasons) == sorted(second.reasons)
    pd.testing.assert_frame_equal(first.tables["sales"], second.tables["sales"].iloc[::-1].reset_index(drop=True))


# Structural faults


def test_missing_columns_of_all_tables_are_named_at_once_with_what_the_file_has() -> None:
    message = error_of(
        settings(category=[c.BRAND, "subfamily"]),
        sales=[{"Fecha": "2024-01-01", c.STORE_ID: "01", "unit": "1"}],
        stores=[{"tienda": "01"}],
    )
    assert (
        "sales: missing columns date, sku, units - is it 'unit'? in sales.csv. The file has: Fecha, store_id, unit."
        in message
    )
    assert "sources.sales.columns" in message
    assert "stores: missing column store_id" in message
    assert "products: missing column subfamily in products.csv" in message


def test_a_mapping_to_a_column_that_the_file_lacks_is_a_fault_for_optional_columns_too() -> None:
    given = settings(sales={"columns": {c.NET_AMOUNT: "Neto final", c.UNITS: "Unis"}})
    message = error_of(given, sales=[{**sale(), "Neto finl": "1", "Uns": "2"}])
    assert "net_amount (mapped to 'Neto final') - is it 'Neto finl'?" in message
    assert "units (mapped to 'Unis') - is it 'Uns'?" in message


def test_each_file_must_have_the_columns() -> None:
    table = raw("sales", [sale(), sale()])
    files = (
        RawFile("a.csv", "", tuple(table.frame.columns), 1),
        RawFile("b.csv", "", (c.DATE, c.STORE_ID, c.SKU), 1),
    )
    two = RawTable("sales", table.frame, np.array([0, 1], dtype=np.int32), np.array([1, 1]), files)
    with pytest.raises(DataContractError, match=r"sales: missing column units in b.csv. The file has: date"):
        validate_tables(
            {name: raw(name, rows) for name, rows in DEFAULTS.items()} | {"sales": two}, settings(), with_arrays
        )


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        (
            c.UNITS,
            "1,5",
            "column units ('units' in sales.csv) holds a number in none of its 2 rows; it holds '1,5'",
        ),
        (c.UNITS, "1,5", "sources.sales.decimal: ','"),
        (c.DATE, "31.01.2024", "sources.sales.date_format"),
        (c.UNITS, "", "it holds ''"),
        (c.SKU, "", "column sku ('sku' in sales.csv) holds text in none of its 2 rows"),
    ],
)
def test_a_required_column_that_parses_nowhere(column: str, text: str, message: str) -> None:
    assert message in error_of(sales=[sale(**{column: text}), sale(**{column: text})])


def test_a_table_without_rows_is_an_empty_file() -> None:
    message = error_of(sales=pd.DataFrame(DEFAULTS["sales"]).iloc[:0])
    assert "sales: no rows in sales.csv. Deliver the file again" in message


def test_nothing_may_be_on_order() -> None:
    result = validate(dc_inbound=pd.DataFrame(columns=[c.SKU, c.DATE, c.QUANTITY]))
    assert result.tables["dc_inbound"].empty


@pytest.mark.parametrize(
    ("table", "row", "key"),
    [
        ("products", {c.SKU: "008", c.BRAND: "other"}, "sku"),
        ("stores", {c.STORE_ID: "02"}, "store_id"),
        ("calendar", {c.DATE: "2024-01-01", c.EVENT: "e"}, "date"),
    ],
)
def test_repeated_keys_where_the_contract_forbids_them(table: str, row: dict[str, object], key: str) -> None:
    rows = [*DEFAULTS.get(table, [row]), row]
    message = error_of(**{table: rows})
    assert f"{table}: repeated key ({key}): 2 rows ({table}.csv rows " in message
    assert "Expected one row per key" in message


@pytest.mark.parametrize("dated", [False, True])
def test_rows_of_a_repeated_key_are_summed_also_if_the_table_is_stored_in_parts(dated: bool) -> None:
    rows = [
        {c.STORE_ID: store, c.SKU: sku, c.ON_HAND: on_hand, c.IN_TRANSIT: coming, "lot": lot}
        for store, sku, on_hand, coming, lot in (
            ("01", "008", "1", "", ""),
            ("02", "007", "-5", "1", "a"),
            ("01", "007", "2", "3", "b"),
            ("02", "007", "3", "", "c"),
            ("01", "008", "4", "", "d"),
            ("02", "008", "6", "2", "e"),
        )
    ]
    days = ["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02", "2024-01-01", "2024-01-01"]
    rows = [{**row, c.DATE: day} for row, day in zip(rows, days, strict=True)] if dated else rows
    tables = {name: raw(name, given) for name, given in {**DEFAULTS, "stock": rows}.items()}
    found = judge_tables(tables, IngestSlice.of(settings()), with_arrays)
    for size in (1, 2, 6):
        parts = list(found.parts("stock", size))
        assert [len(part) for part in parts] == {1: [1] * 4, 2: [2, 2], 6: [4]}[size]
        stock = pd.concat(parts, ignore_index=True)
        assert stock[[c.STORE_ID, c.SKU, c.ON_HAND]].to_numpy().tolist() == [
            ["01", "008", 5.0],
            ["02", "007", 0.0],
            ["01", "007", 2.0],
            ["02", "008", 6.0],
        ]
        assert stock[c.IN_TRANSIT].fillna(-1).tolist() == [-1.0, 1.0, 3.0, 2.0]
        assert stock["lot"].tolist() == ["d", "a", "b", "e"]


def test_a_date_column_makes_stock_counts_distinct() -> None:
    row = {c.STORE_ID: "01", c.SKU: "007", c.ON_HAND: "1"}
    result = validate(stock=[{**row, c.DATE: "2024-01-01"}, {**row, c.DATE: "2024-01-02"}])
    assert len(result.tables["stock"]) == 2


# Too many bad rows


def test_the_limit_is_a_share_of_each_table() -> None:
    rows = [sale() for _ in range(99)] + [sale(units="x")]
    limited = settings(quality={"max_quarantined_share": 0.01})
    assert len(validate(limited, sales=rows).quarantine) == 1
    message = error_of(limited, sales=[*rows, sale(units="y"), sale(store_id="9", sku="9")])
    assert "sales: 3 of 102 rows are bad (2.9%); at most 1.0% may be (quality.max_quarantined_share)" in message
    assert "\n  - units: not a number: 2 rows (sales.csv rows 100, 101): 'x' 1, 'y' 1" in message
    assert "\n  - sku: not in table products: 1 row (sales.csv row 102): '9' 1" in message
    assert "Ids are compared as text" in message
    assert "--set 'quality.max_quarantined_share={sales: 0.03}'" in message
    assert len(validate(settings(quality={"max_quarantined_share": {"sales": 0.03}}), sales=rows).quarantine) == 1


def test_distinct_values_are_shown_with_their_counts() -> None:
    bad = [sale(sku="BOLSA")] * 3 + [sale(sku=f"N{number:02}") for number in range(12)]
    message = error_of(settings(quality={"max_quarantined_share": 0.0}), sales=[sale(), *bad, sale(sku="x" * 50)])
    assert "sku: not in table products: 16 rows (sales.csv rows 2, 3, 4, 5, 6, ...): 'BOLSA' 3, 'N00' 1" in message
    assert "and 4 other values" in message
    assert "x" * 41 not in message


def test_rejected_products_say_what_follows() -> None:
    products = [*DEFAULTS["products"], {c.SKU: "8,41234E+12"}]
    sales = [sale(), sale(sku="8,41234E+12"), sale(sku="8,41234E+12")]
    message = error_of(settings(quality={"max_quarantined_share": 0.1}), products=products, sales=sales)
    assert (
        "sku: number in scientific notation instead of a code: 1 row (products.csv row 3): '8,41234E+12' 1" in message
    )
    assert "If you accept these 1 products as rejected, 2 rows of sales that refer to them are rejected too." in message
    assert "Format the column as text" in message


def test_only_the_first_five_examples_are_shown() -> None:
    message = error_of(settings(quality={"max_quarantined_share": 0.0}), sales=[sale(), *[sale(units="x")] * 7])
    assert "units: not a number: 7 rows (" in message
    assert "(sales.csv rows 2, 3, 4, 5, 6, ...): 'x' 7" in message


def test_a_wrong_frequency_is_recognised() -> None:
    rows = [sale(date="2024-01-06"), sale(date="2024-01-13")]
    message = error_of(settings(frequency="W-MON", quality={"max_quarantined_share": 0.01}), sales=rows)
    assert "Most of these dates are Saturdays. Set `frequency`" in message
    assert "`aggregate: true`" in message


def test_a_faulty_dimension_is_not_blamed_on_its_sales() -> None:
    stores = [{c.STORE_ID: "01", c.VISIT_COST: "x"}, {c.STORE_ID: "02", c.VISIT_COST: "y"}]
    message = error_of(settings(quality={"max_quarantined_share": 0.01}), stores=stores)
    assert "stores: 2 of 2 rows are bad" in message
    assert "sales:" not in message


def test_faulty_tables_side_by_side_are_all_named() -> None:
    message = error_of(
        settings(quality={"max_quarantined_share": 0.01}),
        sales=[sale(), sale(units="x")],
        stock=[
            {c.STORE_ID: "01", c.SKU: "007", c.ON_HAND: "x"},
            {c.STORE_ID: "01", c.SKU: "008", c.ON_HAND: "1"},
        ],
    )
    assert "sales: 1 of 2 rows are bad" in message
    assert "stock: 1 of 2 rows are bad" in message
    assert "on_hand: not a number" in message


def test_a_store_with_a_history_that_is_no_longer_listed_keeps_its_sales() -> None:
    days = pd.date_range("2024-01-01", periods=20).strftime("%Y-%m-%d")
    rows = [sale(), *(sale(store_id="former", date=day) for day in days)]
    result = validate(sales=[*rows, *(sale(store_id="typo", date=day) for day in days[:19])])
    assert result.tables["sales"][c.STORE_ID].tolist() == ["01", *["former"] * 20]
    assert result.reasons == [("sales", "store_id: not in table stores", 19)]
