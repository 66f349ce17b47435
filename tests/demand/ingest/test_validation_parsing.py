"""Cells as written to typed columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.raw import as_text
from schemas.settings import SourceSettings
from schemas.suites import EMPTY, READ, UNREADABLE
from schemas.tables import ColumnRule
from tasks.demand.ingest.dates import OPEN_END
from tasks.demand.ingest.parsing import further_column, parse_column, plain_text

PLAIN = SourceSettings(path="a.csv")
COMMA = SourceSettings(path="a.csv", decimal=",")


def parse(values: list[object], kind: str, source: SourceSettings = PLAIN, name: str = "x") -> tuple[list, list[int]]:
    column = as_text(pd.Series(values, dtype=object))
    parsed = parse_column(column, ColumnRule(name, kind), source)
    return list(parsed.values), parsed.state.tolist()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3.0),
        (" -3.50 ", -3.5),
        ("+.5", 0.5),
        ("7.", 7.0),
        ("-$5.5", -5.5),
        ("5.5 EUR", 5.5),
        ("(R$ 5.5)", -5.5),
        ("1e3", 1000.0),
        ("inf", np.inf),
        ("-Infinity", -np.inf),
    ],
)
def test_numbers(text: str, number: float) -> None:
    assert parse([text], "number") == ([number], [READ])


@pytest.mark.parametrize("text", ["x", "1,5", "1 000", "0x1F", "1_000", "--1", "1.2.3", "3 kg", "true", "2024-01-01"])
def test_no_numbers(text: str) -> None:
    values, state = parse([text], "number")
    assert np.isnan(values[0])
    assert state == [UNREADABLE]


@pytest.mark.parametrize("text", ["", "  ", "NA", "NaN", "null", "None", "-", "n/a"])
@pytest.mark.parametrize("kind", ["number", "date", "flag"])
def test_what_exports_write_for_nothing_is_empty(text: str, kind: str) -> None:
    assert parse([text], kind)[1] == [EMPTY]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,5", 1.5), ("1.234,5", 1234.5), ("1.234.567", 1234567.0), ("-0,5", -0.5), ("12", 12.0), (",5", 0.5)],
)
def test_numbers_with_a_decimal_comma(text: str, number: float) -> None:
    assert parse([text], "number", COMMA) == ([number], [READ])


@pytest.mark.parametrize("text", ["1.5", "12.34", "1,2,3", ",", "1.2345"])
def test_no_numbers_with_a_decimal_comma(text: str) -> None:
    assert parse([text], "number", COMMA)[1] == [UNREADABLE]


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2024-02-29", "2024-02-29"),
        (" 20240229 ", "2024-02-29"),
        ("2024-02-29T23:59:58", "2024-02-29 23:59:58"),
        ("2024-02-29 08:15", "2024-02-29 08:15"),
        ("2024-02-29 00:00:00.000", "2024-02-29"),
        ("2024-02-29T23:30:00-03:00", "2024-02-29 23:30"),
        ("2024-02-29T23:30:00Z", "2024-02-29 23:30"),
    ],
)
def test_dates(text: str, stamp: str) -> None:
    assert parse([text], "date") == ([pd.Timestamp(stamp)], [READ])


@pytest.mark.parametrize(
    "text", ["2023-02-29", "29-02-2024", "2024", "2024-02", "2024/02/29", "45000", "9999-12-31", "x"]
)
def test_no_dates(text: str) -> None:
    assert parse([text], "date")[1] == [UNREADABLE]


def test_a_set_date_format_comes_first_and_iso_still_reads() -> None:
    source = SourceSettings(path="a.csv", date_format="%d-%m-%Y")
    values, state = parse(["29-02-2024", "2024-03-01", "2024-3-1"], "date", source)
    assert values[:2] == [pd.Timestamp("2024-02-29"), pd.Timestamp("2024-03-01")]
    assert state == [READ, READ, UNREADABLE]


def test_an_open_end_is_far_away() -> None:
    assert parse(["9999-12-31", "2024-01-01"], "date", name=c.DATE_TO)[0] == [OPEN_END, pd.Timestamp("2024-01-01")]


@pytest.mark.parametrize("text", ["1", "1.0", "true", "TRUE", "Yes", "si", "Sí", "y"])
def test_true_flags(text: str) -> None:
    assert parse([text], "flag") == ([True], [READ])


@pytest.mark.parametrize("text", ["0", "0.0", "false", "No", "n"])
def test_false_flags(text: str) -> None:
    assert parse([text], "flag") == ([False], [READ])


@pytest.mark.parametrize("text", ["2", "-1", "maybe", "open"])
def test_no_flags(text: str) -> None:
    assert parse([text], "flag")[1] == [UNREADABLE]


def test_ids_stay_as_written() -> None:
    values, state = parse(["007", " A/b ", "10000/XL ( 158-170 )", "", "  ", "NA"], "id")
    assert values[:3] == ["007", " A/b ", "10000/XL ( 158-170 )"]
    assert pd.isna(values[3])
    assert pd.isna(values[4])
    assert values[5] == "NA"
    assert state == [READ, READ, READ, EMPTY, EMPTY, READ]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([7, 8]),
        pd.Series([7.0, 8.0]),
        pd.Series([7, 8], dtype="int8"),
        pd.Series([7, 8], dtype="Int64"),
        pd.Series(["7", "8"]),
        pd.Series(pd.Categorical(["7", "8"])),
        pd.Series(pd.Categorical([7, 8])),
    ],
)
def test_stored_types_give_the_same_ids_and_numbers(column: pd.Series) -> None:
    ids = parse_column(column, ColumnRule(c.SKU, "id"), PLAIN)
    assert plain_text(ids.values).tolist() == ["7", "8"]
    numbers = parse_column(column, ColumnRule(c.UNITS, "number"), PLAIN)
    assert numbers.values.tolist() == [7.0, 8.0]
    assert numbers.values.dtype == "float64"


def test_a_missing_whole_number_does_not_change_the_others() -> None:
    column = pd.Series([2**60 + 1, None], dtype="Int64")
    parsed = parse_column(column, ColumnRule(c.SKU, "id"), PLAIN)
    assert plain_text(parsed.values).tolist() == [str(2**60 + 1), None]
    assert parsed.state.tolist() == [READ, EMPTY]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stored_dates_of_any_unit(unit: str) -> None:
    column = pd.Series(pd.to_datetime(["2024-01-01", None])).astype(f"datetime64[{unit}]")
    parsed = parse_column(column, ColumnRule(c.DATE, "date"), PLAIN)
    assert parsed.values.dtype == "datetime64[ns]"
    assert parsed.state.tolist() == [READ, EMPTY]


def test_a_stored_date_beyond_the_range_is_unreadable_or_an_open_end() -> None:
    column = pd.Series(np.array(["9999-12-31", "2024-01-01"], dtype="datetime64[s]"))
    assert parse_column(column, ColumnRule(c.DATE, "date"), PLAIN).state.tolist() == [UNREADABLE, READ]
    assert parse_column(column, ColumnRule(c.DATE_TO, "date"), PLAIN).values[0] == OPEN_END


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", ""], [1.0, 2.5, np.nan]),
        (["1", "inf"], [1.0, np.nan]),
        (["true", "False", ""], [1.0, 0.0, np.nan]),
        (["", ""], [np.nan, np.nan]),
        (["1", "x", ""], ["1", "x", None]),
        (["007", "A"], ["007", "A"]),
    ],
)
def test_further_columns(values: list[str], expected: list[object]) -> None:
    column = further_column(as_text(pd.Series(values)), PLAIN)
    assert column.dtype == ("float64" if isinstance(expected[0], float) else object)
    pd.testing.assert_series_equal(column, pd.Series(expected), check_names=False)


def test_further_columns_of_parquet() -> None:
    assert further_column(pd.Series([True, False]), PLAIN).tolist() == [1.0, 0.0]
    assert further_column(pd.Series([3, 4], dtype="int16"), PLAIN).tolist() == [3.0, 4.0]
    assert further_column(pd.Series(pd.to_datetime(["2024-01-01"])), PLAIN).tolist() == ["2024-01-01"]
