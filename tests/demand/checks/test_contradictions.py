"""Tables that contradict the sales, and levels of one store or line."""

import pandas as pd
import pytest

from schemas import columns as c
from tests.demand.checks.conftest import sales_of


def spoiled_units(tables):
    units = tables["sales"][c.UNITS].copy()
    units.iloc[5] = 4006381333931.0
    return sales_of(tables, tables["sales"].assign(**{c.UNITS: units}))


def spoiled_store(tables):
    odd = tables["sales"][c.STORE_ID].eq("s1") & tables["sales"][c.DATE].ge("2024-03-01")
    units = tables["sales"][c.UNITS].mask(odd, tables["sales"][c.UNITS] * 12)
    return sales_of(tables, tables["sales"].assign(**{c.UNITS: units}).drop(columns=c.NET_AMOUNT))


def spoiled_currency(tables):
    amount = tables["sales"][c.NET_AMOUNT]
    amount = amount.mask(tables["sales"][c.DATE].ge("2024-03-01"), amount * 1000)
    return sales_of(tables, tables["sales"].assign(**{c.NET_AMOUNT: amount}))


def inverted_calendar(tables):
    days = pd.date_range("2023-07-03", "2024-08-01")
    return {**tables, "calendar": pd.DataFrame({c.DATE: days, c.OPEN: days.dayofweek == 6})}


def inverted_availability(tables):
    return {**tables, "availability": tables["sales"][[c.DATE, c.STORE_ID, c.SKU]].assign(**{c.IN_STOCK: False})}


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (spoiled_units, "huge_lines", "1 line has at least 1,000 times the usual quantity: 4,006,381,333,931 of k0"),
        (spoiled_store, "unit_change", "6 SKUs of store s1"),
        (spoiled_currency, "price_per_unit_jumps", "another unit of measure or currency"),
        (inverted_calendar, "calendar_contradicted", "3 stores"),
        (inverted_availability, "availability_contradicted", "are marked as out of stock"),
    ],
)
def test_what_contradicts_the_other_rows_is_named(tables, build, spoil, name, words):
    alarms = build(spoil(tables)).alarms
    assert [alarm.name for alarm in alarms if alarm.severity != "info"] == [name]
    assert words in next(alarm.message for alarm in alarms if alarm.name == name)
