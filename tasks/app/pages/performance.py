"""*Performance*: accuracy of the published weeks, and the value of models, champions and overrides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from dash import Dash, html

from schemas import columns as c
from schemas.performance import CHAMPION, FOLDER, LAST_YEAR
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph
from tasks.app.context import AppContext
from tasks.app.data.company import WeekName
from tasks.app.data.performance import SEASONAL_NAIVE, WEEKLY_ERROR, Realized, backtest_by, backtest_overall, realized
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages import performance_changes as changes
from tasks.app.pages import promotion
from tasks.app.pages.frame import Query, of_run
from tasks.report.formats import Table
from tasks.report.language import message
from tasks.report.week import Card

PATH = "/performance"
TITLE = message("Performance")
ROWS_SHOWN = 60
_STEPS = {
    "best_single": message("best single model"),
    "champion": message("model chosen per series"),
    "ensemble": message("ensemble"),
    "plan": message("plan"),
    "override": message("planners' overrides"),
    "published": message("published targets"),
}
# Seasonal naive by frequency: daily forecasts repeat the last week, others the last year.
_NAIVE = {"D": message("last week's sales")}
_NAIVE_YEAR = message("last year's sales")
_BASES = {
    "planned": message("as planned"),
    "realized": message("with the actual demand"),
    "bound": message("lower bound"),
}


@of_run
def layout(context: AppContext, _query: Query, _chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say = week.say
    company = context.company
    lake = company.lake
    # Files of the tables never change, so their names say whether there is something new.
    found = company.kept("realized", (lake.root, lake.keys(FOLDER)), lambda: realized(lake))
    parts: list[Any] = [html.H2(say("Performance"))]
    if found is None:
        text = say(
            "No published week was compared with sales yet. Each weekly run does it, and so does restock evaluate-week."
        )
        parts += [ui.alert(text, severity="info"), promotion.panel(company)]
    else:
        parts += _realized(found, _naive(week, say), say, promotion.panel(company))
    return html.Div([*parts, *_backtest(week, say)])


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""
    promotion.register(app, context.company)


def _naive(week: RunWeek, say: AppLanguage) -> str:
    """Name of the sales that the seasonal naive forecast repeats."""
    return say.known(_NAIVE.get(week.run.settings.period.kind, _NAIVE_YEAR))


def _realized(found: Realized, naive: str, say: AppLanguage, promote: Any = None) -> list[Any]:
    weeks, models = found.weeks, [(CHAMPION, say("Forecast that was planned with"), COLORS["live"])]
    if found.accuracy[c.MODEL].eq(LAST_YEAR).any():
        models.append((LAST_YEAR, say("Last year's sales"), COLORS["fold"]))
    if naive != say.known(_NAIVE_YEAR):
        models.append((SEASONAL_NAIVE, naive.capitalize(), COLORS["muted"]))
    drawn = figure(say, "")
    for model, name, color in models:
        own = found.accuracy[found.accuracy[c.MODEL] == model]
        error = own[WEEKLY_ERROR] / own[c.ACTUAL_UNITS].where(own[c.ACTUAL_UNITS] > 0)
        days = [f"{day:%Y-%m-%d}" for day in own[c.AS_OF]]
        drawn.add_scatter(x=days, y=error, name=name, mode="lines+markers", line={"color": color})
    drawn.update_layout(xaxis={"type": "category"}, yaxis={"tickformat": ".0%"})
    about = say.counted(
        len(weeks),
        "{count} evaluated week: the run of {last}.",
        "{count} evaluated weeks: the runs from {first} to {last}. All figures are of the first week after each run.",
        first=say.day(weeks[0].date()),
        last=say.day(weeks[-1].date()),
    )
    return [
        html.P(about, className="note"),
        ui.cards(_cards(found, naive, say)),
        html.H3(say("Error of the forecasts by store and week")),
        html.P(
            say(
                "For each run: units by which the first week of a store was forecast too high or too low, as a share "
                "of the units sold."
            ),
            className="note",
        ),
        graph(drawn, 260),
        html.H3(say("Overrides of the run of {date}", date=say.day(weeks[-1].date()))),
        _last_overrides(found.last_overrides, say),
        html.H3(say("Overrides of all these weeks, by author and reason")),
        _overrides(found.overrides, say),
        html.H3(say("What each step added")),
        html.P(
            say(
                "WAPE is computed on single periods, which vary much if sales are low. The cost is lost sales and "
                "stock until the next delivery, computed again with the actual sales. Red: the step made the result "
                "worse. The plan also respects the storage capacity and the DC stock. The forecasts above it do not, "
                "so the line of the plan includes the cost of these limits."
            ),
            className="note",
        ),
        _value_added(found.value_added, naive, say),
        html.H3(say("Stores, first week after each run")),
        _stores(found.stores, say),
        html.H3(say("Cost of the published plans, as planned and with the actual sales")),
        _costs(found.costs, say),
        *changes.drift(found.drift, say),
        *changes.challengers(found.challengers, say),
        promote,
        *changes.variants(found.variants, say),
        *changes.importance(found.importance, say),
    ]


def _cards(found: Realized, naive: str, say: AppLanguage) -> list[Card]:
    def pooled(model: str, error: str) -> float:
        own = found.accuracy[found.accuracy[c.MODEL] == model]
        sold = float(own[c.ACTUAL_UNITS].sum())
        return float(own[error].sum()) / sold if sold else float("nan")

    def compared(error: str) -> tuple[str, bool]:
        """The same error for last week's and last year's sales as forecasts; True if the forecast is worse than one."""
        others = [(LAST_YEAR, say("last year's sales"))]
        others += [(SEASONAL_NAIVE, naive)] if naive != say.known(_NAIVE_YEAR) else []
        sizes = [(name, pooled(model, error)) for model, name in others]
        names = ", ".join(f"{name} ({say.percent(size)})" for name, size in sizes if np.isfinite(size))
        if not names:
            return "", False
        worse = any(pooled(CHAMPION, error) >= size for _, size in sizes)
        if worse:
            return say("not better than {others}", others=names), True
        return say("better than {others}", others=names), False

    weekly, weekly_worse = compared(WEEKLY_ERROR)
    single, single_worse = compared(c.ABSOLUTE_ERROR)
    stores = found.stores
    sold, lost = (float(stores[name].sum()) if len(stores) else float("nan") for name in (c.SOLD_UNITS, c.LOST_UNITS))
    value = say("lost sales {money}", money=say.money(float(stores[c.LOST_VALUE].sum()) if len(stores) else None))
    rate = sold / (sold + lost) if sold + lost > 0 else float("nan")
    last = float(found.last_overrides[c.COST_ADDED].sum())
    every = float(found.overrides[c.COST_ADDED].sum()) if len(found.overrides) else float("nan")
    detail = say("all these weeks: {money}; below 0: they cost money", money=say.money(every, signed=True))
    return [
        Card(say("Forecast error by store and week"), say.percent(pooled(CHAMPION, WEEKLY_ERROR)), weekly,
             weekly_worse),
        Card(say("Forecast error of single periods (WAPE)"), say.percent(pooled(CHAMPION, c.ABSOLUTE_ERROR)), single,
             single_worse),
        Card(say("Bias"), say.percent(pooled(CHAMPION, c.ERROR), signed=True),
             say("above 0: the forecast was too high")),
        Card(say("Fill rate"), say.percent(rate), value),
        Card(say("Value of the last week's overrides"), say.money(last, signed=True), detail, red=last < 0),
    ]  # fmt: skip


def _value_added(steps: pd.DataFrame, naive: str, say: AppLanguage) -> Any:
    names = {step: say.known(text) for step, text in _STEPS.items()} | {SEASONAL_NAIVE: naive}
    rows = [
        (
            names.get(str(row[c.STEP]), str(row[c.STEP])),
            names.get(str(row[c.AGAINST]), str(row[c.AGAINST])),
            say.percent(row[c.WAPE]),
            say.percent(row[c.WAPE_ADDED], signed=True),
            say.money(row[c.COST]),
            say.money(row[c.COST_ADDED], signed=True),
            say.number(row[c.WEEKS]),
        )
        for row in steps.to_dict("records")
    ]
    red = frozenset(i for i, row in enumerate(steps.to_dict("records")) if row[c.COST_ADDED] < 0 and row[c.WEEKS])
    headers = say.headers(
        *("Step", "Compared with", "#WAPE", "#WAPE added", "#Cost", "#Value added"),
        "#Weeks that destroyed value",
    )
    return ui.plain_table(Table(headers, rows, red=red), say("No step was evaluated yet."))


def _overrides(found: pd.DataFrame, say: AppLanguage) -> Any:
    records = found.to_dict("records")
    rows = [
        (
            str(row[c.AUTHOR]), str(row[c.REASON]), say.number(row[c.N]), say.percent(row[c.WON], 0),
            say.signed(row[c.UNITS]), say.money(row[c.COST_ADDED], signed=True),
        )
        for row in records
    ]  # fmt: skip
    headers = say.headers("Author", "Reason", "#Overrides", "#Won", "#Units", "#Value added")
    red = frozenset(i for i, row in enumerate(records) if row[c.COST_ADDED] < 0)
    return ui.plain_table(Table(headers, rows, red=red), say("There are no overrides with known sales."))


def _last_overrides(found: pd.DataFrame, say: AppLanguage) -> Any:
    records = found.sort_values(c.COST_ADDED, kind="stable").head(ROWS_SHOWN).to_dict("records")
    rows = [
        (
            str(row[c.STORE_ID]), str(row[c.SKU]), str(row[c.CATEGORY]), str(row[c.AUTHOR]), str(row[c.REASON]),
            f"{say.known(str(row[c.ACTION]))} {say.number(row[c.VALUE], 0 if float(row[c.VALUE]).is_integer() else 2)}",
            say.signed(row[c.UNITS]), say.money(row[c.COST_ADDED], signed=True),
        )
        for row in records
    ]  # fmt: skip
    headers = say.headers("Store", "SKU", "Category", "Author", "Reason", "Action", "#Units", "#Value added")
    red = frozenset(i for i, row in enumerate(records) if row[c.COST_ADDED] < 0)
    return ui.plain_table(Table(headers, rows, red=red), say("No override changed a target whose sales are known."))


def _costs(costs: pd.DataFrame, say: AppLanguage) -> Any:
    last = sorted(costs[c.AS_OF].unique())[-8:] if len(costs) else []
    chosen = costs[costs[c.AS_OF].isin(last)]
    order = chosen[c.BASIS].map(list(_BASES).index) if len(chosen) else []
    chosen = chosen.assign(order=order).sort_values([c.AS_OF, "order"], ascending=[False, True])
    rows = [
        (
            say.day(pd.Timestamp(row[c.AS_OF]).date()), say.known(_BASES.get(str(row[c.BASIS]), str(row[c.BASIS]))),
            say.number(row[c.PERIODS]), say.money(row[c.TRANSPORT]), say.money(row[c.LOST_SALES]),
            say.money(row[c.HOLDING]), say.money(row[c.TOTAL]), say.percent(row[c.GAP]),
        )
        for row in chosen.to_dict("records")
    ]  # fmt: skip
    headers = say.headers(
        *("Run", "Basis", "#Periods", "#Transport", "#Lost sales", "#Holding", "#Total cost"),
        "#Gap to the lower bound",
    )
    return ui.plain_table(Table(headers, rows), say("No cost was evaluated yet."))


def _stores(stores: pd.DataFrame, say: AppLanguage) -> Any:
    records = stores.head(ROWS_SHOWN).to_dict("records")
    rows = [
        (
            str(row[c.STORE_ID]),
            say.percent(row[WEEKLY_ERROR]),
            say.percent(row[LAST_YEAR]),
            say.percent(row[c.BIAS], signed=True),
            say.percent(row[c.FILL_RATE]),
            say.percent(row[c.IN_STOCK_DAYS]),
            say.number(row[c.SOLD_UNITS]),
            say.number(row[c.LOST_UNITS]) + (f" ({say('estimate')})" if row[c.ESTIMATED] else ""),
            say.money(row[c.LOST_VALUE]),
            say.number(row[c.OVERSTOCK_UNITS]),
        )
        for row in records
    ]
    headers = say.headers("Store", "#Forecast error by week", "#Last year's sales", "#Bias", "#Fill rate", "#In stock")
    headers = (*headers, *say.headers("#Units sold", "#Units lost", "#Value lost", "#Overstock, units"))
    red = frozenset(i for i, row in enumerate(records) if row[WEEKLY_ERROR] > row[LAST_YEAR])
    note = say("Red: last year's sales would have been better.") if red else ""
    return ui.plain_table(Table(headers, rows, red=red, note=note), say("No store was evaluated yet."))


def _backtest(week: RunWeek, say: AppLanguage) -> list[Any]:
    overall = backtest_overall(week)
    rows = [
        (
            str(row[c.MODEL]),
            say.percent(row[c.WAPE]),
            say.percent(row[c.BIAS], signed=True),
            say.percent(row[c.COVERAGE]),
        )
        for row in overall.to_dict("records")
    ]
    headers = say.headers("Model", "#WAPE", "#Bias", "#Inside the interval")
    names = ((c.STORE_ID, say("Store")), (c.CATEGORY, say("Category")))
    return [
        html.H3(say("Backtest of this run: all models")),
        html.P(
            say("Forecasts of past periods, as they would have been made then: errors of single periods."),
            className="note",
        ),
        ui.plain_table(Table(headers, rows), say("The run has no backtest.")),
        html.Div([_by(week, column, name, _naive(week, say), say) for column, name in names], className="two"),
    ]


def _by(week: RunWeek, column: str, name: str, naive: str, say: AppLanguage) -> Any:
    found = backtest_by(week, column)
    records = found.head(ROWS_SHOWN).to_dict("records")
    rows = [
        (str(row[column]), say.percent(row[c.WAPE]), say.percent(row[SEASONAL_NAIVE]), say.number(row[c.UNITS]))
        for row in records
    ]
    red = frozenset(i for i, row in enumerate(records) if row[c.WAPE] > row[SEASONAL_NAIVE])
    headers = (name, *say.headers("#WAPE"), f"#{naive.capitalize()}", *say.headers("#Units"))
    note = say("Red: {naive} would have been better.", naive=naive) if red else ""
    return html.Div(
        [
            html.H3(say("Backtest by {level}", level=name.lower())),
            ui.plain_table(Table(headers, rows, red=red, note=note)),
        ]
    )
