"""What to send this week, its change against the week before, and the exceptions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import Change, EarlierWeek, RunOutputs
from tasks.publication.changes import compare_targets
from tasks.report.page import ReportData, render_report
from tasks.report.week import LINES_SHOWN, Week
from tests.publication import fake_run

pytestmark = pytest.mark.usefixtures("page_without_figures")
BEFORE = date(2024, 12, 26)


def outputs(pairs: list[tuple[str, str, int, float]], **changed: Any) -> RunOutputs:
    """Outputs of (store, SKU, target, stock) pairs; the SKUs have names and the price 10."""
    rows = pd.DataFrame(pairs, columns=[c.STORE_ID, c.SKU, c.TARGET_QUANTITY, c.ON_HAND])
    skus = sorted({sku for _, sku, _, _ in pairs})
    explanations = rows.assign(
        **{c.CATEGORY: "boots", c.IN_TRANSIT: 0.0, c.LIMIT: "none", c.SKU_FORECAST: 1.0, c.SHARE: 0.5},
        **{c.TO_SEND: 0.0, c.ORDER_UP_TO: 9.0, c.QUANTILE: 0.9},
    )
    given = {
        "replenishment": rows[[c.STORE_ID, c.SKU, c.TARGET_QUANTITY]],
        "explanations": explanations,
        "products": pd.DataFrame({c.SKU: skus, c.PRODUCT_NAME: [f"Shoe {sku}" for sku in skus], c.UNIT_PRICE: 10.0}),
        "stock_by_day": None,
        "history": None,
        **changed,
    }
    return replace(fake_run.outputs(2, 2), **given)


def week(given: RunOutputs, earlier: EarlierWeek | None = None, change: Change | None = None, **settings: Any) -> Week:
    run = fake_run.context(currency="CLP", **settings)
    return Week(run, given, fake_run.facts(), change, earlier)


def sent(*rows: tuple[str, str, float]) -> EarlierWeek:
    return EarlierWeek(BEFORE, pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.TO_SEND]), None)


def cards(found: Week) -> list[tuple[str, str]]:
    return [(card.figure, card.detail) for card in found.cards]


def test_units_to_send_are_target_minus_stock() -> None:
    given = outputs([("101", "a", 24, 5.0), ("101", "b", 3, 9.0), ("102", "a", 4, 0.0)])
    found = week(given, sent(("101", "a", 10.0), ("102", "z", 7.0)))
    figures = cards(found)
    assert figures[0] == ("23 units", "230 CLP; 2 stores; 2 lines (store and SKU)")
    # 23 units now, 17 a week ago. The SKU z has no price; the pair counts in units only.
    assert figures[1][0] == "+6 units"
    assert figures[1][1].startswith("+35.3 %; +130 CLP; 17 units to send in the run of 26 Dec 2024")
    assert [tuple(row) for row in found.lines_table.rows] == [
        ("101", "a", "Shoe a", "boots", "5", "0", "24", "19", "10", "190"),
        ("102", "a", "Shoe a", "boots", "0", "0", "4", "4", "0", "40"),
    ]
    stores = [row[0] for row in found.stores_table.rows], [row[3:6] for row in found.stores_table.rows]
    assert stores == (["101", "102"], [("19", "+9", "190"), ("4", "-3", "40")])


def test_without_an_earlier_week_and_without_prices_nothing_is_compared() -> None:
    given = outputs([("101", "a", 2, 0.0)])
    given = replace(given, products=given.products.assign(**{c.UNIT_PRICE: 1.0}))  # the price of last resort
    found = week(given)
    assert not found.priced
    assert cards(found)[0] == ("2 units", "1 store; 1 line (store and SKU)")
    assert cards(found)[1] == ("–", "no earlier publication to compare with")
    assert found.lines_table.rows[0][-2:] == ("–", "–")
    page = render_report(ReportData(fake_run.context(), given, fake_run.facts(), None, "v"))
    assert "No SKU has a price, so values are unknown." in page


def test_nothing_to_send_and_no_exception_are_stated() -> None:
    given = outputs([("101", "a", 0, 0.0)], forecast=fake_run.outputs(1, 1).forecast.assign(**{c.MEAN: 0.0}))
    given = replace(given, explanations=given.explanations.assign(**{c.SKU_FORECAST: 0.0}))
    page = render_report(ReportData(fake_run.context(), given, fake_run.facts(warnings=()), None, "v"))
    assert "Nothing to send: no target is above the stock." in page
    assert "No store and no SKU needs attention" in page
    assert '<div class="alert' not in page


def test_exceptions_and_changes_have_names_reasons_and_money() -> None:
    given = outputs([("101", "a", 2, 0.0), ("102", "b", 1, 0.0)])
    explained = given.explanations.assign(
        **{c.SKU_FORECAST: [9.0, 1.0], c.LIMIT: ["DC stock", "none"], c.BY_DC: [-7.0, 0.0]}
    )
    change = compare_targets(given.replenishment.assign(**{c.TARGET_QUANTITY: [9, 9]}), given.replenishment, BEFORE)
    found = week(replace(given, explanations=explained), change=change)
    row = found.exceptions_table.rows[0]
    assert row[:7] == ("cut by a constraint", "101", "a", "Shoe a", "boots", "7.0", "70")
    assert "constraint: DC stock" in row[-1]
    assert cards(found)[3][1] == "cut by a constraint 1"
    assert found.change_tables is not None
    assert [(r[2], r[-1]) for r in found.change_tables[0].rows] == [
        ("Shoe b", "forecast and stock"),
        ("Shoe a", "DC stock"),
    ]
    spanish = week(replace(given, explanations=explained), language="es")
    assert spanish.exceptions_table.rows[0][0] == "recortado por una restricción"
    assert "stock del CD" in spanish.exceptions_table.rows[0][-1]


def test_rejected_overrides_are_red_in_both_tables() -> None:
    given = outputs([("101", "a", 2, 0.0)])
    quarantine = pd.DataFrame(
        [("overrides", "o.csv", 3, "value: no number", "101", "a", None)],
        columns=[c.TABLE, c.FILE, c.ROW_NUMBER, c.REASON, c.STORE_ID, c.SKU, c.CATEGORY],
    )
    found = week(replace(given, quarantine=quarantine))
    table = found.overrides_table
    assert table is not None
    assert (table.rows[0][4], table.rows[0][6], table.red) == ("row 3: value: no number", "not applied", {0})
    assert (found.exceptions_table.rows[0][0], found.exceptions_table.red) == ("override not applied", {0})
    assert week(given).overrides_table is None


def test_long_lists_are_cut_off_and_say_where_the_rest_is() -> None:
    pairs = [("101", f"{i:04d}", i + 1, 0.0) for i in range(LINES_SHOWN + 5)]
    table = week(outputs(pairs)).lines_table
    assert len(table.rows) == LINES_SHOWN
    assert table.note == "The first 300 of 305 rows. All rows: replenishment.xlsx, replenishment.csv"
    assert table.rows[0][1] == f"{LINES_SHOWN + 4:04d}"


def test_a_scoped_run_compares_its_own_pairs_only() -> None:
    found = week(outputs([("101", "a", 5, 0.0)]), sent(("101", "a", 4.0), ("102", "a", 90.0)), stores=("101",))
    assert cards(found)[1][0] == "+1 unit"


def test_names_with_markup_are_escaped_in_both_languages() -> None:
    given = outputs([("101", "a", 5, 0.0)])
    name = "<script>alert('ñ')</script> \"👟\""
    given = replace(given, products=given.products.assign(**{c.PRODUCT_NAME: name}))
    for language in ("en", "es"):
        run = fake_run.context(language=language, currency="<b>")
        page = render_report(ReportData(run, given, fake_run.facts(), None, "v"))
        assert page.count("<script") == 1
        assert "&lt;script&gt;alert(&#39;ñ&#39;)&lt;/script&gt; &#34;👟&#34;" in page
        assert "50 &lt;b&gt;" in page
        assert f'<html lang="{language}">' in page


def test_columns_without_any_value_are_left_out_of_the_page() -> None:
    given = outputs([("101", "a", 5, float("nan"))])
    table = week(replace(given, products=None)).lines_table
    assert table.without_empty_columns().headers == ("Store", "SKU", "Category", "#In transit", "#Target", "#To send")
    assert table.without_empty_columns().filters == {0, 2}
    assert replace(table, rows=[]).without_empty_columns().headers == table.headers
