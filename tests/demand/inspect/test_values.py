"""What the values of a column say about how it is written."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tasks.demand.inspect.values import Column, date_format, days_of, number_marks


def column(*texts: str) -> Column:
    return Column("x", texts, np.ones(len(texts), dtype=np.int64), len(texts))


@pytest.mark.parametrize(
    ("texts", "decimal", "thousands"),
    [
        (("1,5", "2,25"), ",", None),
        (("1.5", "1104"), ".", None),
        (("1.104,50", "3,1"), ",", "."),
        (("1,104.50", "3.1"), ".", ","),
        (("1.104", "12", "999"), ",", "."),
        (("1,104", "12", "999"), ".", ","),
        (("1.104.300", "1200"), ",", "."),
        (("12,5-", "3,0"), ",", None),
        (("$1,104.50", "($3.10)"), ".", ","),
        (("1 104,50 €", "3,10 €"), ",", " "),
        (("CHF 1’104.50", "CHF 3.10"), ".", "'"),
        (("1\u202f104,50", "3,1"), ",", None),
    ],
)
def test_decimal_and_thousands_marks(texts: tuple[str, ...], decimal: str, thousands: str | None) -> None:
    marks = number_marks([column(*texts)])
    assert marks.decimal is not None
    assert marks.decimal.value == decimal
    assert (marks.thousands.value if marks.thousands else None) == thousands


def test_integers_show_no_mark() -> None:
    marks = number_marks([column("1", "1200")])
    assert (marks.decimal, marks.thousands) == (None, None)


def test_three_digits_after_a_mark_stay_open_where_other_large_numbers_have_none() -> None:
    marks = number_marks([column("1.104", "12000")])
    assert marks.decimal is not None
    assert marks.decimal.value is None
    assert "thousands or three decimals" in marks.decimal.evidence


def test_both_decimal_marks_in_one_file_stay_open() -> None:
    marks = number_marks([column("1,5"), column("2.5")])
    assert marks.decimal is not None
    assert marks.decimal.value is None
    assert "1,5" in marks.decimal.evidence


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (("01/03/2024", "13/03/2024"), "%d/%m/%Y"),
        (("03/01/2024", "03/13/2024"), "%m/%d/%Y"),
        (("31.12.23",), "%d.%m.%y"),
        (("2024/03/01",), "%Y/%m/%d"),
        (("13-03-2024 08:15",), "%d-%m-%Y %H:%M"),
        (("13-03-2024 08:15:59",), "%d-%m-%Y %H:%M:%S"),
        (("3/13/2024 2:15:00 PM",), "%m/%d/%Y %I:%M:%S %p"),
        (tuple(f"24/03/{day:02d}" for day in range(1, 29)), "%y/%m/%d"),
        # Only days 1 to 12: with the day first they are consecutive.
        (tuple(f"{day:02d}/05/2024" for day in range(1, 13)), "%d/%m/%Y"),
        (tuple(f"5/{day}/2024" for day in range(1, 13)), "%m/%d/%Y"),
    ],
)
def test_date_format(texts: tuple[str, ...], form: str) -> None:
    found = date_format(column(*texts))
    assert found is not None
    assert found.value == form


def test_iso_dates_need_no_format() -> None:
    assert date_format(column("2024-01-31", "2024-02-01 10:00:00")) is None
    assert date_format(column("20240131")) is None
    assert date_format(column("04-Mar-2024", "5-Apr-2024")) is None


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (("202412", "202413"), [date(2024, 3, 18), date(2024, 3, 25)]),
        (("202411", "202412"), [date(2024, 11, 1), date(2024, 12, 1)]),
        (("11/2024", "12/2024"), [date(2024, 11, 1), date(2024, 12, 1)]),
        (("Nov-24", "dic 2024"), [date(2024, 11, 1), date(2024, 12, 1)]),
    ],
)
def test_weeks_and_months_are_dates(texts: tuple[str, ...], days: list[date]) -> None:
    found = column(*texts)
    assert found.is_date
    assert date_format(found) is None
    assert days_of(found, None) == days


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("01/02/2024", "03/04/2024"), "no number above 12"),
        (("13/02/2024", "02/13/2024"), "has the day first"),
        (("1. März",), "in no known format"),
    ],
)
def test_a_date_format_that_nothing_decides_stays_open(texts: tuple[str, ...], words: str) -> None:
    found = date_format(column(*texts))
    assert found is not None
    assert found.value is None
    assert words in found.evidence
