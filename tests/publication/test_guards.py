"""Guards: when a file is held back, with figures by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from schemas import columns as c
from schemas.alarms import Severity
from tasks.publication.changes import compare_targets
from tasks.publication.guards import Totals, changed_targets, changed_total, expected_to_send, stale_sales
from tests.publication import fake_run

AS_OF = date(2025, 1, 2)
WEEK_BEFORE = date(2024, 12, 26)


def targets(**by_sku: int) -> pd.DataFrame:
    rows = [("1", sku, quantity) for sku, quantity in by_sku.items()]
    return pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.TARGET_QUANTITY])


@pytest.mark.parametrize(
    ("frequency", "sales_end", "raised"),
    [
        ("D", date(2024, 12, 23), False),
        ("D", date(2024, 12, 22), True),
        ("W-MON", date(2024, 12, 12), False),
        ("W-MON", date(2024, 12, 11), True),
        ("MS", date(2024, 11, 1), False),
        ("MS", date(2024, 10, 31), True),
        ("D", None, False),
    ],
)
def test_sales_older_than_the_limit_of_the_frequency_hold_the_file(
    frequency: str, sales_end: date | None, raised: bool
) -> None:
    horizon = 14 if frequency == "D" else 4
    found = stale_sales(fake_run.settings(horizon, frequency=frequency), AS_OF, sales_end)
    assert [(alarm.name, alarm.severity) for alarm in found] == [("stale_sales", Severity.HOLD)] * raised


def test_the_limit_on_the_age_can_be_set_and_the_message_has_dates_and_days() -> None:
    (alarm,) = stale_sales(fake_run.settings(quality={"max_age_days": 3}), AS_OF, date(2024, 12, 29))
    assert "2024-12-29, 4 days before the run date 2025-01-02; quality.max_age_days allows 3" in alarm.message
    assert stale_sales(fake_run.settings(quality={"max_age_days": 4}), AS_OF, date(2024, 12, 29)) == []


def test_changed_targets_names_share_limit_and_the_largest_changes() -> None:
    before = targets(**{f"s{i}": 10 for i in range(10)})
    after = targets(**{f"s{i}": 10 + i for i in range(10)})
    change = compare_targets(before, after, WEEK_BEFORE)
    (alarm,) = changed_targets(fake_run.settings(publication={"max_change": 0.1}), change)
    for words in ("90.0%", "10.0%", "9 of 10", "2024-12-26", "store 1, SKU s9: 10 -> 19", "SKU s5"):
        assert words in alarm.message
    assert "SKU s4" not in alarm.message
    assert alarm.count == 9
    for limit in (None, 0.9, 1.0):
        assert changed_targets(fake_run.settings(publication={"max_change": limit}), change) == []


@pytest.mark.parametrize(
    ("last", "new", "names"),
    [
        (Totals(2, 100, 40), Totals(2, 150, 60), []),
        (Totals(2, 100, 40), Totals(2, 151, 40), ["the sum of targets"]),
        (Totals(2, 100, 40), Totals(2, 49, 19), ["the sum of targets", "the units to send"]),
        (Totals(2, 100, 40), Totals(2, 0, 0), ["the sum of targets", "the units to send"]),
        (Totals(2, 0, 0), Totals(2, 900, 900), []),
        (Totals(2, 100, None), Totals(2, 100, 900), []),
        (None, Totals(2, 900, 900), []),
    ],
)
def test_a_total_that_changes_by_more_than_half_holds_the_file(
    last: Totals | None, new: Totals, names: list[str]
) -> None:
    found = changed_total(fake_run.settings(), new, last, WEEK_BEFORE)
    assert [alarm.message.split(" changed")[0] for alarm in found] == names
    assert changed_total(fake_run.settings(publication={"max_total_change": None}), new, last, WEEK_BEFORE) == []


@pytest.mark.parametrize(
    ("after", "expected", "held"),
    [
        *((320, 300, False), (450, 300, False), (151, 300, False), (149, 300, True), (451, 300, True)),
        *((0, 0, False), (1, 0, True), (1001, 0, False), (300, None, True)),
    ],
)
def test_units_to_send_after_a_first_delivery_are_compared_with_what_was_expected(
    after: int, expected: int | None, held: bool
) -> None:
    """Last week filled an empty network with 2,000 units; the limit is 50 %."""
    found = changed_total(
        fake_run.settings(), Totals(9, 2100, after), Totals(9, 2000, 2000), WEEK_BEFORE, lambda: expected
    )
    assert [alarm.name for alarm in found] == ["changed_total"] * held
    if held and expected is not None:
        assert f"since the file of 2024-12-26, which expected {expected} units for this run" in found[0].message


def test_units_to_send_after_the_stock_of_another_day_are_not_compared() -> None:
    last, new = Totals(2, 100, 40), Totals(2, 40, 4)
    found = changed_total(fake_run.settings(), new, last, WEEK_BEFORE, counted=False)
    assert [alarm.message.split(" changed")[0] for alarm in found] == ["the sum of targets"]


def test_what_a_file_expects_for_the_next_run_is_the_first_delivery_of_each_store_from_then_on() -> None:
    rows = [("1", "a", "2025-01-06", 50.0), ("1", "a", "2025-01-13", 3.4), ("1", "b", "2025-01-13", 2.2)]
    rows += [("1", "a", "2025-01-16", 9.0), ("2", "a", "2025-01-15", 4.0), ("3", "a", "2025-01-06", 8.0)]
    # The distribution center is empty on the 13th: the delivery of store 4 brings nothing.
    rows += [("4", "a", "2025-01-20", 100.0)]
    deliveries = pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.VISIT_DATE, c.QUANTITY])
    days = [("1", "06"), ("1", "13"), ("1", "16"), ("2", "15"), ("3", "06"), ("4", "13"), ("4", "20")]
    visits = pd.DataFrame([(store, f"2025-01-{day}") for store, day in days], columns=[c.STORE_ID, c.DATE])
    assert expected_to_send(deliveries, visits, pd.Timestamp("2025-01-13")) == 10  # 3.4 + 2.2 + 4.0, rounded
    assert expected_to_send(deliveries, visits, pd.Timestamp("2025-01-21")) == 0


def test_totals_sum_targets_and_units_to_send() -> None:
    given = replace(fake_run.outputs(), replenishment=targets(a=10, b=3, z=4))
    assert Totals.of(given) == Totals(3, 17, None)
    sent = given.replenishment.assign(**{c.TO_SEND: [5, 0, 4]})
    assert Totals.of(replace(given, replenishment=sent)) == Totals(rows=3, units=17, to_send=9)
    assert Totals.stored(Totals(3, 17, 9).content()) == Totals(3, 17, 9)
    assert Totals.stored({}) is None
