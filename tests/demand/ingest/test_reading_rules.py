"""Reading rules of the sources: what is left out, what counts as something else, and the alarms about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import DataContractError
from schemas.raw import RawFile, RawTable, as_text
from schemas.settings import Settings
from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import ValidatedTables, validate_tables

STORES = [{c.STORE_ID: "01"}, {c.STORE_ID: "02"}]
PRODUCTS = [{c.SKU: "007"}, {c.SKU: "008"}]
SALE = {c.DATE: "2024-01-01", c.STORE_ID: "01", c.SKU: "007", c.UNITS: "5"}
STOCK = {c.STORE_ID: "01", c.SKU: "007", c.ON_HAND: "1"}
Rows = list[dict[str, object]]


def raw(name: str, rows: Rows) -> RawTable:
    return RawTable.of(name, pd.DataFrame(rows).apply(as_text), f"{name}.csv")


def read(
    sources: dict[str, Any] | None = None,
    limit: float = 1.0,
    periods: dict[str, Any] | None = None,
    **tables: Rows | RawTable,
) -> ValidatedTables:
    given = {"stores": STORES, "products": PRODUCTS, "sales": [SALE], **tables}
    tables_read = {name: rows if isinstance(rows, RawTable) else raw(name, rows) for name, rows in given.items()}
    settings = Settings.model_validate(
        {
            "name": "test",
            **(periods or {"aggregate": True}),
            "sources": {name: {"path": "x.csv", **(sources or {}).get(name, {})} for name in given},
            "quality": {"max_quarantined_share": limit},
        }
    )
    # tests/demand/ingest/test_judges.py proves that Great Expectations, ten times slower, judges alike.
    return validate_tables(tables_read, settings, with_arrays)


def error(sources: dict[str, Any] | None = None, **tables: Rows) -> str:
    with pytest.raises(DataContractError) as raised:
        read(sources, limit=0.01, **tables)
    return str(raised.value)


def sale(**cells: object) -> dict[str, object]:
    return {**SALE, **cells}


def counts(result: ValidatedTables, table: str) -> tuple[int, int, int, int]:
    found = [file for file in result.files if file.table == table]
    return (
        sum(file.rows_read for file in found),
        sum(file.rows_accepted for file in found),
        sum(file.rows_quarantined for file in found),
        sum(file.rows_ignored for file in found),
    )


def alarms(result: ValidatedTables) -> list[tuple[str, int]]:
    return [(alarm.name, alarm.count) for alarm in result.alarms]


# Rows that are left out


def test_ignored_rows_count_separately() -> None:
    rows = [sale(), sale(store_id="CD01"), sale(doc="NC"), sale(doc="ANU "), sale(sku="BOLSA-2"), sale(sku="?")]
    rules = {"ignore": {c.STORE_ID: ["CD01"], "doc": ["NC", "ANU"], c.SKU: ["BOLSA*"]}}
    result = read({"sales": rules}, sales=rows)
    assert counts(result, "sales") == (6, 1, 1, 4)
    assert result.ignored == [
        ("sales", "store_id in CD01", 1),
        ("sales", "doc in NC, ANU", 2),
        ("sales", "sku in BOLSA*", 1),
    ]
    assert result.quarantine[c.ROW_NUMBER].tolist() == [6]


def test_only_the_rows_of_a_part_of_the_file_are_read() -> None:
    stock = [STOCK, {**STOCK, c.STORE_ID: "CD"}, {**STOCK, c.STORE_ID: "CD", c.SKU: "008"}]
    rules = {"columns": {c.AVAILABLE: c.ON_HAND}, "only": {c.STORE_ID: ["CD"]}}
    assert counts(read({"dc_stock": rules}, dc_stock=stock), "dc_stock") == (3, 2, 0, 1)
    assert "sources.dc_stock.only names the column 'x'" in error(
        {"dc_stock": {**rules, "only": {"x": "1"}}}, dc_stock=stock
    )


def test_ignore_uses_the_name_of_restock_or_of_the_file() -> None:
    rows = [{"Fecha": "2024-01-01", c.STORE_ID: "01", "Cod": code, c.UNITS: "1"} for code in ("007", "B", "K")]
    rules = {"columns": {c.DATE: "Fecha", c.SKU: "Cod"}, "ignore": {c.SKU: ["B"], "Cod": ["K"]}}
    assert counts(read({"sales": rules}, sales=rows), "sales") == (3, 1, 0, 2)
    message = error({"sales": {**rules, "ignore": {"cod": ["B"]}}}, sales=rows)
    assert (
        "sales: sources.sales.ignore names the column 'cod', which is not in sales.csv; did you mean 'Cod'?" in message
    )


@pytest.mark.parametrize(
    ("column", "texts", "count"),
    [
        ("Status", ("completed", "voided", "voided"), 2),
        ("Statut", ("Payé", "Annulé", "Non annulé"), 1),
        ("Typ dokumentu", ("Paragon", "Zwrot", "Faktura"), 1),
        ("Is void", ("0", "1", "0"), 1),
        ("CANCELED", ("N", "Y", "C"), 2),
        ("Qty returned", ("0", "1", "0"), 0),
        ("Entry type", ("Sale", "Purchase", "Positive Adjmt."), 2),
        ("Type", ("Purchase", "Refunded partially", "Purchase"), 0),
        ("Payment type", ("Cash", "Transfer", "Card"), 0),
        ("Brand", ("Return", "Void", "x"), 0),
        ("Status", ("paid", "partially refunded", "paid"), 0),
    ],
)
def test_rows_whose_type_is_no_sale_raise_an_alarm(column: str, texts: tuple[str, ...], count: int) -> None:
    rows = [sale(**{column: text, c.DATE: f"2024-01-0{day}"}) for day, text in enumerate(texts, start=1)]
    assert alarms(read(sales=rows)) == ([("not_sales", count)] if count else [])
    returned = read(sales=[sale(Type="return", units="-1"), SALE | {"Type": "sale"}])
    assert alarms(returned) == []


def test_a_table_of_ignored_rows_stops_the_run() -> None:
    message = error({"sales": {"ignore": {c.SKU: ["*"]}}})
    assert "sales: all 1 rows are ignored (sku in *: 1)" in message


@pytest.mark.parametrize(
    ("cells", "left_out"),
    [
        ({c.DATE: "Total general", c.STORE_ID: "", c.SKU: "", c.UNITS: "99"}, True),
        ({c.DATE: "", c.STORE_ID: "Subtotal 01:", c.SKU: "", c.UNITS: "99"}, True),
        ({c.DATE: "Gesamtsumme", c.STORE_ID: "", c.SKU: "", c.UNITS: "99"}, True),
        ({c.DATE: "", c.STORE_ID: "01", c.SKU: "", c.UNITS: "99"}, False),
        ({c.SKU: "Total"}, False),
    ],
)
def test_total_rows_are_left_out(cells: dict[str, object], left_out: bool) -> None:
    result = read(sales=[sale(), sale(**cells)])
    assert counts(result, "sales") == (2, 1, int(not left_out), int(left_out))
    assert result.ignored == ([("sales", "total row", 1)] if left_out else [])


def test_a_product_that_is_called_total_is_no_total_row() -> None:
    products = [*PRODUCTS, {c.SKU: "9", "name": "Total shampoo"}, {c.SKU: "Total", "name": "", c.PRICE: "10"}]
    assert counts(read(products=products), "products") == (4, 3, 0, 1)


def two_files(sha: tuple[str, str], second: Rows) -> RawTable:
    frame = pd.DataFrame([SALE, sale(units="6"), *second]).apply(as_text)
    file = np.array([0, 0, *[1] * len(second)], dtype=np.int32)
    files = tuple(
        RawFile(path, digest, tuple(frame.columns), int((file == index).sum()))
        for index, (path, digest) in enumerate(zip(("a.csv", "a (1).csv"), sha, strict=True))
    )
    return RawTable("sales", frame, file, np.array([2, 3, *range(2, 2 + len(second))]), files)


@pytest.mark.parametrize("sha", [("1", "1"), ("1", "2")])
def test_a_copy_of_a_file_counts_once(sha: tuple[str, str]) -> None:
    result = read(sales=two_files(sha, [SALE, sale(units="6")]))
    assert counts(result, "sales") == (4, 2, 0, 2)
    assert alarms(result) == [("duplicate_file", 1)]
    assert "sales: a (1).csv is a copy of a.csv" in result.alarms[0].message
    assert alarms(read(sales=two_files(("1", "2"), [SALE, sale(units="7")]))) == []
    # The same rows as another program writes them.
    other = [sale(date="2024-01-01 00:00:00", units="5.0"), sale(date="20240101", units="6")]
    assert counts(read(sales=two_files(sha, other)), "sales") == (4, 2, 0, 2)


def test_what_describes_an_export_does_not_matter_for_overlaps() -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 29)]
    parts = [
        [sale(date=day, made=f"2024-02-0{at} 10:00", row=str(row)) for row, day in enumerate(some, start=1)]
        for at, some in ((1, days[:25]), (2, days[3:]))
    ]
    frame = pd.DataFrame([row for part in parts for row in part]).apply(as_text)
    files = tuple(RawFile(f"{at}.csv", str(at), tuple(frame.columns), len(part)) for at, part in enumerate(parts))
    at = np.repeat(np.arange(2, dtype=np.int32), [len(part) for part in parts])
    result = read(sales=RawTable("sales", frame, at, np.arange(len(frame)) + 2, files))
    assert [alarm.name for alarm in result.alarms] == ["overlapping_files"]
    assert len(result.tables["sales"]) == 28


def test_a_part_that_is_in_the_file_twice_raises_an_alarm() -> None:
    rows = [sale(date=f"2024-01-{1 + day:02d}", units=str(day % 3)) for day in range(28)]
    pasted = read(sales=[*rows, *rows[3:25]])
    assert alarms(pasted) == [("repeated_lines", 22)]
    assert "22 rows from row 29 of sales.csv" in pasted.alarms[0].message
    assert alarms(read(sales=[row for row in rows for _ in (0, 1)])) == [("repeated_lines", 28)]
    # Two customers buy the same things.
    assert alarms(read(sales=[*rows, *rows[3:12]])) == []


# Numbers


@pytest.mark.parametrize(
    ("text", "rules", "value"),
    [
        ("12-", {}, -12.0),
        ("(12)", {}, -12.0),
        ("\u221212", {}, -12.0),
        ("1\u00a0234", {}, 1234.0),
        ("1\u202f234\u00a0", {}, 1234.0),
        ("1.234.567", {"thousands": ".", "decimal": ","}, 1234567.0),
        ("1.104", {"thousands": ".", "decimal": ","}, 1104.0),
        ("1.104", {"thousands": "none"}, 1.104),
        ("1,104.5", {"thousands": ","}, 1104.5),
        ("1 104", {"thousands": " "}, 1104.0),
        ("1’104", {"thousands": "'"}, 1104.0),
        ("1.104,50-", {"decimal": ","}, -1104.5),
        ("1e-320", {}, 0.0),
        ("5.5e-17", {}, 0.0),
    ],
)
def test_numbers_as_exports_write_them(text: str, rules: dict[str, str], value: float) -> None:
    assert read({"sales": rules}, sales=[sale(units=text)]).tables["sales"][c.UNITS].tolist() == [value]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,104", "units: not a number"),
        ("1 104", "units: not a number"),
        ("$5", "units: not a number"),
        ("-", "units: empty"),
        ("e5", "units: not a number"),
        (".", "units: not a number"),
        ("1e300", "units: 1e+15 or larger"),
        ("#N/A", "units: Excel error value"),
        ("#¡REF!", "units: Excel error value"),
        ("=A1*2", "units: formula without a computed value"),
    ],
)
def test_cells_that_are_no_quantity(text: str, reason: str) -> None:
    result = read(sales=[sale(), sale(units=text)])
    assert result.reasons == [("sales", reason, 1)]


@pytest.mark.parametrize("code", ["A\n1", "A\t1", "A\x001", "\u202eA1"])
def test_an_id_with_a_control_character_is_rejected_with_file_and_column(code: str) -> None:
    message = error(products=[*PRODUCTS, {c.SKU: code}])
    assert f"sku: control character in an ID: 1 row (products.csv row 3): {code!r} 1" in message
    assert "IDs are printable text without line breaks" in message


@pytest.mark.parametrize(("mark", "rules"), [(".", {}), (",", {"decimal": ","})])
def test_a_decimal_mark_that_is_probably_a_thousands_mark_stops_the_run(mark: str, rules: dict[str, str]) -> None:
    rows = [sale(units=text.replace(".", mark)) for text in ("717", "805", "1.022", "1.296", "999")]
    message = error({"sales": rules}, sales=rows)
    assert f"sales: column units ('units' in sales.csv) has '{mark}' in 2 of 5 rows" in message
    assert f"set sources.sales.thousands: '{mark}'" in message
    assert "set sources.sales.thousands: none" in message


@pytest.mark.parametrize(
    "texts", [["717", "1.5", "1.022"], ["0.356", "1.022", "500"], ["1.022", "1200"], ["2", "1.333"]]
)
def test_a_decimal_mark_with_evidence_for_decimals_is_one(texts: list[str]) -> None:
    assert len(read(sales=[sale(units=text) for text in texts]).tables["sales"]) == len(texts)


# Dates


ZONE = {"timezone": "America/Santiago"}


@pytest.mark.parametrize(
    ("text", "rules", "day"),
    [
        ("2024-07-07T01:40:00Z", {}, "2024-07-07"),
        ("07-Jul-2024", {}, "2024-07-07"),
        ("Jul 7, 2024", {}, "2024-07-07"),
        ("Sun, 7 July 2024 10:15", {}, "2024-07-07"),
        ("7 de julio de 2024", {}, "2024-07-07"),
        ("7 juillet 24", {}, "2024-07-07"),
        ("7. Juli 2024", {}, "2024-07-07"),
        ("2024-lipca-07", {}, "2024-07-07"),
        ("2024-07-07T01:40:00Z", ZONE, "2024-07-06"),
        ("2024-07-07T01:40:00.123+00:00", ZONE, "2024-07-06"),
        ("2024-07-07 01:40:00,5 UTC", ZONE, "2024-07-06"),
        ("2024-07-07 01:40:00+00", ZONE, "2024-07-06"),
        ("2024-07-06T22:40:00-0430", ZONE, "2024-07-06"),
        ("2024-07-06 23:59:00-00:30", ZONE, "2024-07-06"),
        ("2024-07-07 01:40:00", ZONE, "2024-07-07"),
        ("2024-07-07 01:40:00", {**ZONE, "timestamp_zone": "UTC"}, "2024-07-06"),
        ("2024-07-07", {**ZONE, "timestamp_zone": "UTC"}, "2024-07-07"),
        ("07/07/2024 01:40", {**ZONE, "timestamp_zone": "UTC", "date_format": "%d/%m/%Y %H:%M"}, "2024-07-06"),
    ],
)
def test_time_stamps_become_days_of_the_stores(text: str, rules: dict[str, str], day: str) -> None:
    dates = read({"sales": rules}, sales=[sale(date=text)]).tables["sales"][c.DATE]
    assert dates.tolist() == [pd.Timestamp(day)]


@pytest.mark.parametrize(
    ("frequency", "what", "text", "rules"),
    [
        *[("W-MON", "weeks", text, {}) for text in ("2024-W27", "2024w27-1", "KW 27/2024", "202427")],
        *[("MS", "months", text, {}) for text in ("2024-07", "202407", "07/2024", "7.2024", "Jul-24", "julio 2024")],
        ("W-MON", "weeks", "202427", {"date_format": "%G%V"}),
        ("W-MON", "weeks", "07/2024", {"date_format": "%m/%Y"}),
    ],
)
def test_weeks_and_months_are_dates_where_the_periods_are_weeks_or_months(
    frequency: str, what: str, text: str, rules: dict[str, str]
) -> None:
    for aggregate in (False, True):
        periods = {"frequency": frequency, "aggregate": aggregate}
        read_as = read({"sales": rules}, periods=periods, sales=[sale(date=text)])
        assert read_as.tables["sales"][c.DATE].tolist() == [pd.Timestamp("2024-07-01")]
    if not rules:
        assert f"Values such as {text} are {what}: set `frequency` to {frequency}" in error(sales=[sale(date=text)])


def test_month_ends_become_first_days_of_months() -> None:
    rows = [sale(date=text) for text in ("2024-01-31", "2024-02-29")]
    result = read(periods={"frequency": "MS"}, sales=rows)
    assert result.tables["sales"][c.DATE].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-02-01")]
    assert [alarm.name for alarm in result.alarms] == ["period_labels"]
    assert counts(read(periods={"frequency": "MS", "period_label": "start"}, sales=rows), "sales") == (2, 0, 2, 0)


def test_time_stamps_in_the_hours_of_a_clock_change() -> None:
    rules = {"timezone": "UTC", "timestamp_zone": "Europe/Berlin"}
    rows = [sale(date=text) for text in ("2024-03-31 02:30:00", "2024-10-27 02:30:00")]
    assert len(read({"sales": rules}, sales=rows).tables["sales"]) == 2


def test_offsets_without_a_time_zone_raise_an_alarm() -> None:
    rows = [sale(date="2024-07-07T01:40:00Z"), sale(date="2024-07-07T00:00:00Z"), sale()]
    result = read(sales=rows)
    assert alarms(result) == [("time_zone", 1)]
    assert "set sources.sales.timezone, for example America/Santiago" in result.alarms[0].message
    assert alarms(read({"sales": {"timezone": "UTC"}}, sales=rows)) == []


def at_hours(*hours: int, form: str = "2024-07-07 {:02d}:40:00", times: int = 20) -> Rows:
    """Lines at hours; their units differ, so that none is repeated."""
    written = [form.format(hour) for hour in hours for _ in range(times)]
    return [sale(date=text, units=str(number + 1)) for number, text in enumerate(written)]


@pytest.mark.parametrize(
    ("rows", "rules", "found"),
    [
        (at_hours(12, 1), {}, [("sales_after_midnight", 20)]),
        (at_hours(12, 1, form="2024-07-07T{:02d}:40"), {}, [("sales_after_midnight", 20)]),
        (at_hours(1, form="7/7/2024 {}:40 AM"), {"date_format": "%m/%d/%Y %I:%M %p"}, [("sales_after_midnight", 20)]),
        (at_hours(1, form="7/7/2024 {}:40 PM"), {"date_format": "%m/%d/%Y %I:%M %p"}, []),
        (at_hours(1, times=19), {}, []),
        (at_hours(1, 5), {}, []),  # open day and night
        (at_hours(0, form="2024-07-07 {:02d}:00:00"), {}, []),  # dates
        (at_hours(1), {"timestamp_zone": "UTC", "timezone": "Europe/Berlin"}, []),
    ],
)
def test_sales_after_midnight_are_named(rows: Rows, rules: dict[str, str], found: list[tuple[str, int]]) -> None:
    result = read({"sales": rules}, sales=rows)
    assert alarms(result) == found
    if not rules:
        typed = pd.DataFrame(rows).assign(**{c.DATE: lambda text: pd.to_datetime(text[c.DATE])})
        assert alarms(read(sales=RawTable.of("sales", typed, "sales.parquet"))) == found
    if found:
        assert "between midnight and 4:00 (01)" in result.alarms[0].message


@pytest.mark.parametrize("name", ["Total incl. VAT", "Importe IVA incluido", "Bruttoumsatz", "CA TTC", "Total Bruto"])
def test_amounts_with_tax_are_named(name: str) -> None:
    result = read({"sales": {"columns": {c.NET_AMOUNT: name}}}, sales=[sale(**{name: "10"})])
    assert alarms(result) == [("gross_amounts", 1)]
    assert f"net_amount is read from the column {name!r}" in result.alarms[0].message
    net = {"columns": {c.NET_AMOUNT: "Importe neto"}}
    assert alarms(read({"sales": net}, sales=[sale(**{"Importe neto": "10"})])) == []


def test_serial_numbers_of_excel_are_named() -> None:
    message = error(sales=[sale(date="45292"), sale(date="45293")])
    assert "holds a date in none of its 2 rows; it holds '45292' 1, '45293' 1" in message
    assert "dates as Excel stores them (serial numbers; 45292 is 2024-01-01)" in message


# Codes


def test_codes_in_scientific_notation_are_refused_with_advice() -> None:
    rows = [sale(sku="8,41234E+12"), sale(sku="8.41E+12")]
    assert "scientific notation" in error(sales=rows)
    assert "Format the column as text" in error(sales=rows)
    result = read(sales=[*[SALE] * 9, *rows])
    assert result.reasons == [("sales", "sku: number in scientific notation instead of a code", 2)]


def test_ids_that_differ_in_leading_zeros_raise_an_alarm() -> None:
    products = [*PRODUCTS, {c.SKU: "7"}, {c.SKU: "A7"}, {c.SKU: "A07"}]
    result = read(products=products, sales=[SALE, sale(sku="7")])
    assert alarms(result) == [("mixed_ids", 1), ("mixed_ids", 1)]
    assert result.alarms[0].skus == ["007", "7"]
    assert "007 and 7" in result.alarms[0].message


# Values that are not stated


@pytest.mark.parametrize("text", ["007 ", " 007", "'007", "007\u200b", "007\u00a0", "7"])
def test_an_id_with_spaces_counts_as_the_id_of_the_table_it_refers_to(text: str) -> None:
    result = read(sales=[SALE, sale(sku=text)])
    assert result.tables["sales"][c.SKU].tolist() == ["007", "007"]
    assert alarms(result) == [("id_spelling", 1)]
    lower = read(products=[{c.SKU: "AB-1"}], sales=[sale(sku="ab-1")])
    assert lower.tables["sales"][c.SKU].tolist() == ["AB-1"]
    both = read(products=[{c.SKU: "07"}, {c.SKU: "007"}], sales=[SALE, sale(sku="7")])
    assert both.reasons == [("sales", "sku: not in table products", 1)]
    padded = read(products=[{c.SKU: "007   "}], sales=[SALE, sale(sku="007.0")])
    assert padded.tables["sales"][c.SKU].tolist() == ["007   ", "007   "]
    assert alarms(padded) == [("id_spelling", 2)]


@pytest.mark.parametrize(
    "text", ["9999-12-31", "31.12.9999", "99991231", "0000-00-00", "00.00.0000", "1900-01-01", "0"]
)
def test_dates_that_mean_never_are_not_stated(text: str) -> None:
    stores = [{c.STORE_ID: "01", c.CLOSED_ON: text}, {c.STORE_ID: "02", c.CLOSED_ON: "05.01.2024"}]
    result = read({"stores": {"date_format": "%d.%m.%Y"}}, stores=stores)
    assert result.tables["stores"][c.CLOSED_ON].isna().tolist() == [True, False]
    assert alarms(result) == [("not_stated", 1)]
    assert counts(read(stores=stores), "stores") == (2, 1, 1, 0)


def test_a_repeated_header_is_no_data() -> None:
    header = {name: name for name in SALE}
    assert counts(read(sales=[SALE, header, SALE, header]), "sales") == (4, 2, 0, 2)


def test_zero_and_text_in_optional_numbers_are_not_stated() -> None:
    products = [
        {c.SKU: "007", c.PRICE: "0", c.PACK_SIZE: "6"},
        {c.SKU: "008", c.PRICE: "5", c.PACK_SIZE: "0"},
        {c.SKU: "009", c.PRICE: "tbd", c.PACK_SIZE: ""},
        {c.SKU: "010", c.PRICE: "#N/A", c.PACK_SIZE: "0.5"},
        {c.SKU: "011", c.PRICE: "5", c.PACK_SIZE: "-1"},
    ]
    stores = [{c.STORE_ID: "01", c.STORAGE_CAPACITY: "0"}, {c.STORE_ID: "02", c.STORAGE_CAPACITY: "-1"}]
    result = read(products=products, stores=stores)
    assert result.quarantine.empty
    prices, packs = result.tables["products"][c.PRICE], result.tables["products"][c.PACK_SIZE]
    assert prices.isna().tolist() == [True, False, True, True, False]
    assert packs.isna().tolist() == [False, True, True, True, True]
    assert result.tables["stores"][c.STORAGE_CAPACITY].isna().all()
    assert [(alarm.name, alarm.count, alarm.stores, alarm.skus) for alarm in result.alarms] == [
        ("not_stated", 2, ["01", "02"], []),
        ("not_stated", 2, [], ["007", "009"]),
        # Many programs write a missing pack size as 0.
        ("not_stated", 2, [], ["010", "011"]),
    ]
    assert "stores: storage_capacity of 01, 02 (2 in all) is '0' 1, '-1' 1 and counts as not stated." in str(
        result.alarms[0].message
    )


# Stock


def test_stock_rows_of_one_key_are_summed_and_negative_stock_counts_as_zero() -> None:
    rows = [
        {**STOCK, "lot": "a", c.IN_TRANSIT: ""},
        {**STOCK, "lot": "b", c.ON_HAND: "-3", c.IN_TRANSIT: "2"},
        {**STOCK, c.SKU: "008", c.ON_HAND: "6", "lot": "a", c.IN_TRANSIT: ""},
        {**STOCK, c.SKU: "008", c.ON_HAND: "9", "lot": "b", c.IN_TRANSIT: ""},
    ]
    result = read(stock=rows, dc_stock=[{c.SKU: "007", c.AVAILABLE: "4"}, {c.SKU: "007", c.AVAILABLE: "5"}])
    stock = result.tables["stock"].set_index(c.SKU)
    assert stock[c.ON_HAND].to_dict() == {"007": 0.0, "008": 15.0}
    assert stock[c.IN_TRANSIT].isna().to_dict() == {"007": False, "008": True}
    assert result.tables["dc_stock"][c.AVAILABLE].tolist() == [9.0]
    assert counts(result, "stock") == (4, 4, 0, 0)
    assert alarms(result) == [("negative_stock", 1)]


# Units


def boxes(amounts: tuple[str, str]) -> Rows:
    piece = [sale(units="5", uom="PR", net_amount=amounts[0]) for _ in range(4)]
    return piece + [sale(units="2", uom="BX12", net_amount=amounts[1]) for _ in range(4)]


def test_units_are_converted_by_the_table() -> None:
    rules = {"columns": {c.UNIT: "uom"}, "conversion": {"PR": 1, "BX12": 12}}
    rows = [*boxes(("1", "1")), sale(units="3", uom="KG"), sale(units="4", uom="")]
    result = read({"sales": rules}, sales=rows)
    assert result.tables["sales"][c.UNITS].tolist() == [5.0] * 4 + [24.0] * 4 + [4.0]
    assert result.reasons == [("sales", "unit: not in the conversion table", 1)]
    assert alarms(result) == []
    assert "conversion is set, but the file has no column unit" in error({"sales": {"conversion": {"PR": 1}}})


def test_units_are_converted_by_the_evidence_of_amounts() -> None:
    result = read(sales=boxes(("100", "480")))
    assert result.tables["sales"][c.UNITS].tolist() == [5.0] * 4 + [24.0] * 4
    assert alarms(result) == [("mixed_units", 4)]
    assert "PR: 1, BX12: 12; quantities were converted" in result.alarms[0].message


def test_units_without_evidence_raise_an_alarm() -> None:
    result = read(sales=boxes(("100", "222")))
    assert result.tables["sales"][c.UNITS].tolist() == [5.0] * 4 + [2.0] * 4
    assert "quantities are read as pieces. Map the column (sources.sales.columns.unit: uom)" in result.alarms[0].message
    assert alarms(read(sales=[sale(uom="PR"), sale(uom="PR")])) == []
    for name in ("UoM", "Unidad", "Jednostka miary"):
        assert alarms(read(sales=[sale(**{name: "CS"}), sale(**{name: "EA"})])) == [("mixed_units", 2)]


@pytest.mark.parametrize(
    ("source", "rows", "words"),
    [
        ({}, [sale(net_amount="1.5"), sale(net_amount="2,5")], "decimal comma, and others a decimal point"),
        ({}, [sale(net_amount="1"), sale(net_amount="2,5")], "set sources.sales.decimal: ','"),
        (
            {"date_format": "%d/%m/%Y"},
            [sale(date="31/01/2024"), sale(date="01/31/2024")],
            "in the other order: the column",
        ),
        ({}, [sale(date="2024-01-01 10:00"), sale(date="2024-01-02 11:30")], "set `aggregate: true`"),
    ],
)
def test_the_advice_fits_the_rows(source: dict[str, str], rows: Rows, words: str) -> None:
    with pytest.raises(DataContractError) as raised:
        read({"sales": source}, limit=0.01, periods={"aggregate": False}, sales=rows)
    assert words in str(raised.value)


def test_few_dates_in_the_other_order_are_named() -> None:
    rules = {"sales": {"date_format": "%d/%m/%Y"}}
    rows = [sale(date="31/01/2024"), sale(date="01/31/2024"), sale(date="02/01/2024")]
    assert alarms(read(rules, sales=rows))[-1] == ("day_month_swapped", 1)
    assert alarms(read(rules, sales=rows[::2])) == []


# Tables that look valid


@pytest.mark.parametrize(
    ("column", "name", "words"),
    [
        ({c.UNITS: ["1.051", *["3"] * 39]}, "thousands_mark", "column units has '.' in 1 row of 40"),
        ({c.UNITS: ["1.051", "0.4", *["3"] * 38]}, None, ""),
        ({c.UNITS: ["1.051"] * 5 + ["3"] * 35}, None, ""),
        ({c.UNITS: ["'3"] * 40}, None, ""),
        ({"Net sales": "9.90"}, "unmapped_column", "sources.sales.columns.net_amount: Net sales"),
        ({"price": "9.90"}, "unmapped_column", "'price' is a price per unit by its name"),
        ({"price": "9.90", c.NET_AMOUNT: "19.80"}, None, ""),
        ({"Company": ["A", "B"] * 20}, "several_companies", "1 store sells for several companies (A, B): 01"),
        ({"doc type": ["251"] * 20 + ["101"] * 20, c.UNITS: ["2"] * 20 + ["24"] * 20}, "not_sales", "'101' (20 rows"),
        ({"doc type": ["251"] * 20 + ["101"] * 20, c.UNITS: ["2"] * 20 + ["4"] * 20}, None, ""),
        ({"Customer": ["walk-in"] * 20 + ["Store 02 (transfer)"] * 20}, "not_sales", "'Store 02 (transfer)' 20"),
    ],
)
def test_sales_that_look_valid(column: dict[str, Any], name: str | None, words: str) -> None:
    rows = pd.DataFrame([SALE] * 40).assign(**column).to_dict("records")
    found = read(sales=rows).alarms
    assert [alarm.name for alarm in found if alarm.name != "repeated_lines"] == [name] * (name is not None)
    assert not name or words in found[-1].message


@pytest.mark.parametrize(
    ("table", "rows", "names"),
    [
        ("stores", [{**row, "Capacidad": "90"} for row in STORES], ["unmapped_column"]),
        ("products", [{**row, "Status": "Discontinued"} for row in PRODUCTS], ["unmapped_column"]),
        ("products", [{**row, "Status": "active", "Blocked": "no"} for row in PRODUCTS], []),
        ("stores", [{**row, "Closed": "yes"} for row in STORES], ["unmapped_column"]),
        ("stores", [{**row, "Capacidad": "big"} for row in STORES], []),
        ("products", [*PRODUCTS, {c.SKU: "a1"}, {c.SKU: "A1"}], ["mixed_ids"]),
        ("products", [*PRODUCTS, {c.SKU: "A10", c.NAME: "Boot"}, {c.SKU: "A1O", c.NAME: "boot"}], ["mixed_ids"]),
        ("products", [*PRODUCTS, {c.SKU: "A10", c.NAME: "Boot"}, {c.SKU: "A1O", c.NAME: "Clog"}], []),
        ("products", [{c.SKU: f"{at:03}"} for at in range(1000)], ["row_limit"]),
        ("products", [{c.SKU: f"{at:03}"} for at in range(999)], []),
    ],
)
def test_other_tables_that_look_valid(table: str, rows: Rows, names: list[str]) -> None:
    assert [alarm.name for alarm in read(**{table: rows}).alarms] == names


def test_a_column_that_a_part_of_the_files_does_not_have_is_named() -> None:
    rows = [sale(doc="FA", month=1), sale(doc="NC", month=1), sale(doc=np.nan, month=2)]
    whole = raw("sales", rows)
    files = (RawFile("a.csv", "1", (*SALE, "doc", "month"), 2), RawFile("b.csv", "2", (*SALE, "month"), 1))
    table = RawTable("sales", whole.frame, np.array([0, 0, 1], dtype=np.int32), whole.row_number, files)
    found = read({"sales": {"ignore": {"doc": ["NC"]}}}, sales=table)
    assert alarms(found) == [("columns_differ", 1)]
    assert "'doc' in b.csv" in found.alarms[0].message


@pytest.mark.parametrize(
    ("further", "names"),
    [
        ({}, ["stock_repeated"]),
        ({"exported": ["2024-06-24", "2024-07-01"]}, ["stock_repeated"]),
        ({"place": ["shop", "back"]}, []),
    ],
)
def test_stock_with_two_rows_for_every_sku(further: dict[str, list[str]], names: list[str]) -> None:
    products = [{c.SKU: f"{at:03}"} for at in range(6)]
    rows = [
        {c.STORE_ID: "01", **product, c.ON_HAND: "4", **{key: values[at] for key, values in further.items()}}
        for at in (0, 1)
        for product in products
    ]
    found = read(products=products, sales=[sale(sku="001")], stock=rows).alarms
    assert [alarm.name for alarm in found] == names
    dated = [{**row, c.DATE: "2024-07-01"} for row in rows]
    assert read(products=products, sales=[sale(sku="001")], stock=dated).alarms == []


@pytest.mark.parametrize("text", ["NULL", "n/a", "-", "", "none"])
def test_words_for_nothing_are_no_category(text: str) -> None:
    products = [{**row, c.BRAND: brand} for row, brand in zip(PRODUCTS, [text, "NA"], strict=True)]
    result = read(periods={"aggregate": True, "category": [c.BRAND]}, products=products)
    assert result.tables["products"][c.BRAND].tolist() == ["(none)", "NA"]
    assert alarms(result) == [("missing_category", 1)]
