"""*Performance*: how good the published weeks were, and what the models, champions and overrides were worth."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import Dash, html

from schemas import columns as c
from schemas.performance import CHAMPION
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph
from tasks.app.context import AppContext
from tasks.app.data.company import WeekName
from tasks.app.data.performance import SEASONAL_NAIVE, Realized, backtest_by, backtest_overall, realized
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, of_run
from tasks.report.formats import Table
from tasks.report.language import message
from tasks.report.week import Card

PATH = "/performance"
TITLE = message("Performance")
ROWS_SHOWN = 60
_STEPS = {
    "seasonal_naive": message("last year's sales (seasonal naive)"),
    "best_single": message("best single model"),
    "champion": message("model chosen per series"),
    "ensemble": message("ensemble"),
    "plan": message("plan"),
    "override": message("planners' overrides"),
    "published": message("published targets"),
}
_BASES = {
    "planned": message("as planned"),
    "realized": message("with the actual demand"),
    "bound": message("lower bound"),
}


@of_run
def layout(context: AppContext, _query: Query, _chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say = week.say
    found = realized(context.company.lake)
    parts: list[Any] = [html.H2(say("Performance"))]
    if found is None:
        text = say(
            "No published week was compared with sales yet. restock evaluate-week does it, and so does each weekly run."
        )
        parts.append(ui.alert(text, severity="info"))
    else:
        parts += _realized(found, say)
    return html.Div([*parts, *_backtest(week, say)])


def register(app: Dash, context: AppContext) -> None:
    """The page has no callbacks."""


def _realized(found: Realized, say: AppLanguage) -> list[Any]:
    accuracy = found.accuracy.assign(**{c.AS_OF: pd.to_datetime(found.accuracy[c.AS_OF])})
    drawn = figure(say, say("WAPE, first week of the forecast"))
    for model, name, color in (
        (CHAMPION, say("Forecast that was planned with"), COLORS["live"]),
        (SEASONAL_NAIVE, say("Last year's sales (seasonal naive)"), COLORS["fold"]),
    ):
        own = accuracy[accuracy[c.MODEL] == model].sort_values(c.AS_OF)
        drawn.add_scatter(x=own[c.AS_OF], y=own[c.WAPE], name=name, mode="lines+markers", line={"color": color})
    drawn.update_yaxes(tickformat=".0%")
    return [
        html.P(say("The last {count} evaluated weeks.", count=say.number(found.weeks)), className="note"),
        ui.cards(_cards(accuracy, found, say)),
        graph(drawn, 280),
        html.H3(say("What each step added")),
        _value_added(found.value_added, say),
        html.H3(say("Overrides by author and reason")),
        _overrides(found.overrides, say),
        html.H3(say("Cost over the known periods")),
        _costs(found.costs, say),
        html.H3(say("Service by store, first week after each run")),
        _service(found.service, say),
    ]


def _cards(accuracy: pd.DataFrame, found: Realized, say: AppLanguage) -> list[Card]:
    def pooled(model: str) -> tuple[float, float]:
        own = accuracy[accuracy[c.MODEL] == model]
        sold = float(own[c.ACTUAL_UNITS].sum())
        if not sold:
            return float("nan"), float("nan")
        return float(own[c.ABSOLUTE_ERROR].sum()) / sold, float(own[c.ERROR].sum()) / sold

    (wape, bias), (naive, _) = pooled(CHAMPION), pooled(SEASONAL_NAIVE)
    better = wape < naive
    versus = say("last year's sales: {wape}", wape=say.percent(naive))
    title = say("better than last year's sales") if better else say("not better than last year's sales")
    service = found.service
    sold, lost = (float(service[name].sum()) if len(service) else float("nan") for name in (c.SOLD_UNITS, c.LOST_UNITS))
    value = say("lost sales {money}", money=say.money(float(service[c.LOST_VALUE].sum()) if len(service) else None))
    rate = sold / (sold + lost) if sold + lost > 0 else float("nan")
    cost = float(found.overrides[c.COST_ADDED].sum()) if len(found.overrides) else float("nan")
    return [
        Card(say("Forecast error (WAPE)"), say.percent(wape), f"{title}; {versus}", red=not better),
        Card(say("Bias"), say.percent(bias, signed=True), say("above 0: the forecast was too high")),
        Card(say("Fill rate"), say.percent(rate), value),
        Card(
            say("Value of the overrides"), say.money(cost, signed=True), say("below 0: they cost money"), red=cost < 0
        ),
    ]


def _value_added(steps: pd.DataFrame, say: AppLanguage) -> Any:
    rows = [
        (
            say.known(_STEPS.get(str(row[c.STEP]), str(row[c.STEP]))),
            say.known(_STEPS.get(str(row[c.AGAINST]), str(row[c.AGAINST]))),
            say.percent(row[c.WAPE]),
            say.percent(row[c.WAPE_ADDED], signed=True),
            say.money(row[c.COST]),
            say.money(row[c.COST_ADDED], signed=True),
            say.number(row[c.WEEKS]),
        )
        for row in steps.to_dict("records")
    ]
    red = frozenset(i for i, row in enumerate(steps.to_dict("records")) if row[c.COST_ADDED] < 0)
    headers = say.headers(
        *("Step", "Compared with", "#WAPE", "#WAPE added", "#Cost by replay", "#Value added"),
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


def _costs(costs: pd.DataFrame, say: AppLanguage) -> Any:
    last = sorted(costs[c.AS_OF].unique())[-8:] if len(costs) else []
    rows = [
        (
            say.day(pd.Timestamp(row[c.AS_OF]).date()), say.known(_BASES.get(str(row[c.BASIS]), str(row[c.BASIS]))),
            say.number(row[c.PERIODS]), say.money(row[c.TRANSPORT]), say.money(row[c.LOST_SALES]),
            say.money(row[c.HOLDING]), say.money(row[c.TOTAL]), say.percent(row[c.GAP]),
        )
        for row in costs[costs[c.AS_OF].isin(last)].to_dict("records")
    ]  # fmt: skip
    headers = say.headers(
        *("Run", "Basis", "#Periods", "#Transport", "#Lost sales", "#Holding", "#Total cost"),
        "#Gap to the lower bound",
    )
    return ui.plain_table(Table(headers, rows[::-1]), say("No cost was evaluated yet."))


def _service(service: pd.DataFrame, say: AppLanguage) -> Any:
    rows = [
        (
            str(row[c.STORE_ID]),
            say.percent(row[c.FILL_RATE]),
            say.percent(row[c.IN_STOCK_DAYS]),
            say.number(row[c.SOLD_UNITS]),
            say.number(row[c.LOST_UNITS]) + (f" ({say('estimate')})" if row[c.ESTIMATED] else ""),
            say.money(row[c.LOST_VALUE]),
            say.number(row[c.OVERSTOCK_UNITS]),
        )
        for row in service.head(ROWS_SHOWN).to_dict("records")
    ]
    headers = say.headers(
        *("Store", "#Fill rate", "#In stock", "#Units sold", "#Units lost", "#Value lost", "#Overstock, units")
    )
    return ui.plain_table(Table(headers, rows), say("No store was evaluated yet."))


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
    return [
        html.H3(say("Backtest of this run: all models")),
        html.P(say("Forecasts of past periods, as they would have been made then."), className="note"),
        ui.plain_table(Table(headers, rows), say("The run has no backtest.")),
        html.Div(
            [_by(week, c.STORE_ID, say("Store"), say), _by(week, c.CATEGORY, say("Category"), say)], className="two"
        ),
    ]


def _by(week: RunWeek, column: str, name: str, say: AppLanguage) -> Any:
    found = backtest_by(week, column)
    records = found.head(ROWS_SHOWN).to_dict("records")
    rows = [
        (str(row[column]), say.percent(row[c.WAPE]), say.percent(row[SEASONAL_NAIVE]), say.number(row[c.UNITS]))
        for row in records
    ]
    red = frozenset(i for i, row in enumerate(records) if row[c.WAPE] > row[SEASONAL_NAIVE])
    headers = (name, *say.headers("#WAPE", "#Last year's sales", "#Units"))
    note = say("Red: last year's sales would have been better.") if red else ""
    return html.Div(
        [
            html.H3(say("Backtest by {level}", level=name.lower())),
            ui.plain_table(Table(headers, rows, red=red, note=note)),
        ]
    )
