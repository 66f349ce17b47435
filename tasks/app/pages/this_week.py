"""*This week*: what to send, what changed, what was held back, and how old the sources are."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import Dash, Input, Output, State, dcc, html

from schemas import columns as c
from schemas.errors import PipelineError
from tasks.app import ui
from tasks.app.context import AppContext
from tasks.app.data import grid
from tasks.app.data.company import WeekName
from tasks.app.data.this_week import STORES, capacity_use, held_back, largest_losses, source_ages
from tasks.app.data.week import TARGET_BEFORE, RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, of_run
from tasks.report import remarks
from tasks.report.exceptions import SHARE_OF_PATHS
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, message
from tasks.report.week import Card

PATH = "/"
TITLE = message("This week")
_GRID = "lines"
FULLEST_SHOWN = 12
NO_ALARM = message(
    "It is a dry run, it waits for approval, it was not approved, or its file was withdrawn. "
    "The page Operations has the messages of the runs."
)
_WEEKDAYS = (
    *(message("Mon"), message("Tue"), message("Wed"), message("Thu")),
    *(message("Fri"), message("Sat"), message("Sun")),
)
_TEXTS = [c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.CATEGORY]


@of_run
def layout(context: AppContext, _query: Query, chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say = week.say
    return html.Div(
        [
            html.H2(say("What to do this week")),
            html.P(_about(week, chosen.preview, say), className="note"),
            *_held(context, chosen.text, say),
            *([ui.alert(problem) for problem in week.problems]),
            ui.cards([*week.figures.cards, _served(week)]),
            *ui.alerts(remarks.alerts(week.run, week.facts, say)),
            html.P(
                [
                    dcc.Link(
                        say("Exceptions by money, and the largest changes of targets"),
                        href=ui.address("/exceptions", week=chosen.text),
                    ),
                    " · ",
                    *_files(context, week, say),
                ]
            ),
            _losses(week, chosen.text, say),
            _capacity(week, chosen.text, say),
            html.H3(say("To send by store")),
            ui.plain_table(week.figures.stores_table, links=_store_links(week, chosen.text)),
            html.H3(say("To send by store and SKU")),
            html.Div(
                [html.Label([say("Search"), dcc.Input(id="lines-search", debounce=0.4, type="search")])],
                className="tools",
            ),
            ui.server_grid(_GRID, _columns(week, say), say, "params.data.store_id + '|' + params.data.sku"),
            html.H3(say("Sources")),
            _sources(week, say),
        ]
    )


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""

    @app.callback(Output(_GRID, "getRowsResponse"), Input(_GRID, "getRowsRequest"), State("shown", "data"))
    def rows(request: dict[str, Any] | None, data: dict[str, str] | None) -> Any:
        if not request:
            return None
        week = context.company.shown(data)
        if week is None:
            return {"rowData": [], "rowCount": 0}
        found, count = grid.page(_lines(week), request)
        return {"rowData": found, "rowCount": count}

    @app.callback(Output(_GRID, "filterModel"), Input("lines-search", "value"), State(_GRID, "filterModel"),
                  prevent_initial_call=True)  # fmt: skip
    def search(text: str | None, model: dict[str, Any] | None) -> dict[str, Any]:
        return {**(model or {}), grid.SEARCH: ui.search_filter(text)}


def _lines(week: RunWeek) -> Any:
    if _GRID not in week.cache:
        pairs = week.pairs
        texts = [name for name in _TEXTS if name in pairs.columns]
        week.cache[_GRID] = grid.with_search(pairs, texts)
    return week.cache[_GRID]


def _about(week: RunWeek, preview: bool, say: AppLanguage) -> str:
    state = say("preview, not published") if preview else say("in force")
    return say("Run of {date}: {state}", date=say.day(week.as_of), state=state)


def _held(context: AppContext, shown: str, say: AppLanguage) -> list[Any]:
    found = held_back(context.company)
    if found is None:
        return []
    link = [] if found.week.text == shown else [dcc.Link(say("Show it"), href=ui.address("/", week=found.week.text))]
    title = say("The run of {date} is not published", date=say.day(found.week.as_of))
    if not found.alarms:
        return [ui.alert(say(NO_ALARM), title), html.P(link)]
    texts = [ui.alert(alarm.message, f"{title}, {alarm.name}", severity="hold") for alarm in found.alarms]
    return [*texts, html.P(link)]


def _served(week: RunWeek) -> Card:
    from tasks.report.costs import Costs

    say = week.say
    if week.outputs.costs.empty:
        return Card(say("Fill rate"), UNKNOWN, "")
    try:
        costs = Costs(week.outputs.costs, week.run.settings.inventory.service_level, say)
        figure, detail = costs.figure
        return Card(say("Fill rate"), figure, detail, red=costs.below_service_level)
    except (KeyError, ValueError, PipelineError):  # costs of another version
        return Card(say("Fill rate"), UNKNOWN, "")


def _files(context: AppContext, week: RunWeek, say: AppLanguage) -> list[Any]:
    if not context.files_url:
        return [say("Files: {folder}", folder=week.lake.uri(week.key))]
    links: list[Any] = []
    for name in ("replenishment.csv", "replenishment.xlsx", "report.html"):
        links += [html.A(name, href=f"{context.files_url}/{week.key}/{name}", target="_blank"), " · "]
    return links[:-1]


def _store_links(week: RunWeek, text: str) -> dict[int, list[str]]:
    stores = [row[0] for row in week.figures.stores_table.rows]
    return {0: [ui.address("/series", week=text, store=store) for store in stores]}


def _columns(week: RunWeek, say: AppLanguage) -> list[dict[str, Any]]:
    named = c.PRODUCT_NAME in week.pairs.columns and bool(week.pairs[c.PRODUCT_NAME].astype(bool).any())
    name = [ui.text_column(c.PRODUCT_NAME, say("Product"), width=190)] if named else []
    return [
        ui.text_column(c.STORE_ID, say("Store"), width=155),
        ui.text_column(c.SKU, say("SKU"), cellRenderer="RestockLink", width=150),
        *name,
        ui.text_column(c.CATEGORY, say("Category"), width=190),
        ui.number_column(c.ON_HAND, say("On hand"), width=105),
        ui.number_column(c.IN_TRANSIT, say("In transit"), width=105),
        ui.number_column(c.TARGET_QUANTITY, say("Target"), width=100),
        ui.number_column(TARGET_BEFORE, say("Target before"), width=120),
        ui.number_column(c.TO_SEND, say("To send"), width=105),
        ui.number_column(c.MONEY, say("Value"), width=120),
        ui.text_column(c.LIMIT, say("Constraint"), width=160),
        {"field": grid.SEARCH, "hide": True, "filter": "agTextColumnFilter"},
    ]


def _losses(week: RunWeek, text: str, say: AppLanguage) -> Any:
    records = largest_losses(week).to_dict("records")
    rows = [
        (
            str(row[c.SKU]), str(row[c.PRODUCT_NAME]), str(row[c.CATEGORY]), say.number(row[STORES]),
            say.expected(row[c.UNITS]), say.money(row[c.MONEY]),
        )
        for row in records
    ]  # fmt: skip
    headers = say.headers("SKU", "Product", "Category", "#Stores", "#Units", "#Value")
    # The reasons are those of the store with the largest loss.
    links = {0: [ui.address("/series", week=text, store=row[c.STORE_ID], sku=row[c.SKU]) for row in records]}
    empty = say("All demand until the next deliveries is covered.")
    title = say("SKUs that are expected to lose most money until the next deliveries")
    return html.Div([html.H3(title), ui.plain_table(Table(headers, rows), empty, links=links)])


def _capacity(week: RunWeek, text: str, say: AppLanguage) -> Any:
    """Expected stock as a share of each store's capacity on each day of the week."""
    settings = week.run.settings
    found = capacity_use(week, min(settings.period.periods_per_week, settings.horizon))
    every = list(dict.fromkeys(found[c.STORE_ID].astype(str)))
    stores = every[:FULLEST_SHOWN]
    names = {day: _day_name(day, settings.period.kind, say) for day in sorted(set(found[c.DATE]))}
    full: dict[str, list[str]] = {}
    for row in found[found[c.OVER] > SHARE_OF_PATHS].sort_values(c.DATE, kind="stable").to_dict("records"):
        full.setdefault(str(row[c.STORE_ID]), []).append(names[row[c.DATE]])
    rows = []
    for store in stores:
        own = found[found[c.STORE_ID].astype(str) == store].set_index(c.DATE)
        cells = []
        for day in names:
            used, over = say.percent(own.loc[day, c.SHARE], 0), float(own.loc[day, c.OVER])
            if over > SHARE_OF_PATHS:
                used = say("{used} (over: {probability})", used=used, probability=say.percent(over, 0))
            cells.append(used)
        rows.append((store, say.number(own[c.CAPACITY].iloc[0]), *cells))
    red = frozenset(number for number, store in enumerate(stores) if store in full)
    links = {0: [ui.address("/series", week=text, store=store) for store in stores]}
    note = say(
        "Expected stock as a share of the storage capacity. In brackets: the probability of being over capacity, if "
        "it is above {limit}.",
        limit=say.percent(SHARE_OF_PATHS, 0),
    )
    headers = (*say.headers("Store", "#Capacity"), *(f"#{name}" for name in names.values()))
    table = Table(headers, rows, red=red, note=note)
    shown = ui.plain_table(table, say("No store has a capacity."), links=links)
    said = say("Over capacity: no store.") if stores else ""
    if full:
        listed = "; ".join(f"{store} ({', '.join(full[store])})" for store in every[:FULLEST_SHOWN] if store in full)
        more = len(full) - FULLEST_SHOWN
        listed += "; " + say("{count} more", count=say.number(more)) if more > 0 else ""
        said = say("Over capacity: {stores}.", stores=listed)
    return html.Div([html.H3(say("How full the stores are this week")), html.P(html.B(said)), shown])


def _day_name(day: pd.Timestamp, kind: str, say: AppLanguage) -> str:
    return f"{say.known(_WEEKDAYS[day.dayofweek])} {day.day}" if kind == "D" else say.day(day.date())


def _sources(week: RunWeek, say: AppLanguage) -> Any:
    limit = week.run.settings.quality.max_age_days
    rows, red = [], set()
    for number, source in enumerate(source_ages(week)):
        old = source.table == "sales" and source.age is not None and source.age > limit
        if old:
            red.add(number)
        rows.append(
            (
                source.table,
                say.number(source.files),
                say.number(source.accepted),
                say.number(source.rejected),
                UNKNOWN if source.last is None else say.day(source.last),
                UNKNOWN if source.age is None else say.number(source.age),
            )
        )
    headers = say.headers("Table", "#Files", "#Rows accepted", "#Rows rejected", "Last date", "#Days before the run")
    return ui.plain_table(Table(headers, rows, red=frozenset(red)))
