"""*Overrides*: edit the planners' overrides, see their effect, and save them to their source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash_ag_grid import AgGrid

from schemas import columns as c
from schemas.errors import ConfigError, PipelineError
from schemas.tables import CAP, MULTIPLY, SET
from tasks.app import ui
from tasks.app.context import AppContext
from tasks.app.data.company import Company, WeekName
from tasks.app.data.exceptions import exception_table
from tasks.app.data.override_file import FIELDS, Edit, OverrideFile, Row
from tasks.app.data.overrides import AFTER, BEFORE, EXPIRING, Effect, effect_of
from tasks.app.data.statuses import CHANGED, decide
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, of_run
from tasks.publication.overrides import EXPIRED
from tasks.report.formats import Table
from tasks.report.language import message
from tasks.report.week import Card

PATH = "/overrides"
TITLE = message("Overrides")
DAYS = 13
PAIRS_SHOWN = 30
_GRID = "overrides"
# Number of a row in the file as it was loaded; a new row has none.
_LOADED = "loaded"


@of_run
def layout(context: AppContext, query: Query, _chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say = week.say
    file = OverrideFile.of(context.company.settings)
    loaded = file.rows()
    rows = [{**row, _LOADED: number, "id": str(number)} for number, row in enumerate(loaded)]
    if query.get("store") or query.get("sku"):
        rows = [_new_row(week, query.get("store", ""), query.get("sku", ""), "new-0"), *rows]
    return html.Div(
        [
            html.H2(say("Overrides of targets")),
            html.P(
                say(
                    "An override applies to runs from its first to its last date. set replaces the target, multiply "
                    "multiplies it, cap limits it. An empty store, SKU or category means all. File: {file}",
                    file=file.path,
                ),
                className="note",
            ),
            html.Div(
                [
                    html.Button(say("Add an override"), id="overrides-add"),
                    html.Button(say("Remove the selected rows"), id="overrides-remove"),
                    html.Button(say("Save"), id="overrides-save", className="main"),
                ],
                className="tools",
            ),
            html.Div(id="overrides-saved"),
            _grid(rows, say),
            html.Div(id="overrides-effect"),
            dcc.Store(id="overrides-loaded", data=loaded),
        ]
    )


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""
    company = context.company

    @app.callback(
        Output(_GRID, "rowData"),
        Input("overrides-add", "n_clicks"),
        Input("overrides-remove", "n_clicks"),
        State(_GRID, "rowData"),
        State(_GRID, "selectedRows"),
        State("planner", "value"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def edit(
        add: int | None,
        _remove: int | None,
        rows: list[dict[str, Any]] | None,
        selected: list[dict[str, Any]] | None,
        planner: str | None,
        data: dict[str, str] | None,
    ) -> Any:
        week = company.shown(data)
        if week is None or not (add or _remove):
            return no_update
        rows = list(rows or [])
        if ctx.triggered_id == "overrides-add":
            row = _new_row(week, "", "", f"new-{add}-{len(rows)}")
            return [{**row, c.AUTHOR: planner or ""}, *rows]
        gone = {str(row.get("id")) for row in selected or []}
        return [row for row in rows if str(row.get("id")) not in gone]

    @app.callback(
        Output("overrides-effect", "children"),
        Input(_GRID, "rowData"),
        Input(_GRID, "cellValueChanged"),
        State("planner", "value"),
        State("shown", "data"),
    )
    def preview(
        rows: list[dict[str, Any]] | None, _changed: Any, planner: str | None, data: dict[str, str] | None
    ) -> Any:
        week = company.shown(data)
        if week is None:
            return None
        file = OverrideFile.of(company.settings)
        given = [_fields(row, planner) for row in rows or []]
        return _effect(effect_of(week, file, given), given, week.say)

    @app.callback(
        Output("overrides-saved", "children"),
        Output(_GRID, "rowData", allow_duplicate=True),
        Output("overrides-loaded", "data"),
        Input("overrides-save", "n_clicks"),
        State(_GRID, "rowData"),
        State("overrides-loaded", "data"),
        State("planner", "value"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def save(
        clicks: int | None,
        rows: list[dict[str, Any]] | None,
        loaded: list[dict[str, Any]] | None,
        planner: str | None,
        data: dict[str, str] | None,
    ) -> Any:
        week = company.shown(data)
        if not clicks or week is None:
            return no_update, no_update, no_update
        try:
            found, count = _save(company, week, list(rows or []), list(loaded or []), planner)
        except PipelineError as error:
            return ui.alert(str(error), severity="problem"), no_update, no_update
        say = week.say
        text = say.counted(count, "{count} override saved.", "{count} overrides saved.")
        after = say("They apply to the next run. To apply them to this run date, run the week again.")
        shown_rows = [{**row, _LOADED: number, "id": f"{clicks}-{number}"} for number, row in enumerate(found)]
        return ui.alert(f"{text} {after}", severity="good"), shown_rows, found


def _save(
    company: Company, week: RunWeek, rows: list[Any], loaded: list[Row], planner: str | None
) -> tuple[list[Row], int]:
    """Check and write the changed rows; return the rows of the file and the number of changes."""
    file, say = OverrideFile.of(company.settings), week.say
    given = [_fields(row, planner) for row in rows]
    edits = edits_of(given, [row.get(_LOADED) for row in rows], loaded)
    if not edits:
        raise ConfigError(say("Nothing has changed."))
    checks = effect_of(week, file, given).rows
    changed = [edit.after for edit in edits if edit.after is not None]
    bad = [
        say("row {number}: {problem}", number=number, problem=check.problem)
        for number, (check, row) in enumerate(zip(checks, given, strict=True), start=1)
        if check.problem and row in changed
    ]
    if bad:
        raise ConfigError(say("Nothing was saved. Correct these rows: {rows}", rows="; ".join(bad)))
    file.apply(edits)
    _mark_changed(week, changed)
    return file.rows(), len(edits)


def edits_of(rows: list[Row], numbers: list[int | None], loaded: list[Row]) -> list[Edit]:
    """Return the changes since the rows were loaded.

    Args:
        rows: rows as they are on the page.
        numbers: position of each of them in ``loaded``; None for a new row.
        loaded: rows as they were loaded.
    """
    kept = {number for number in numbers if number is not None}
    removed = [Edit(row, None) for number, row in enumerate(loaded) if number not in kept]
    changed = [
        Edit(loaded[number], row)
        for row, number in zip(rows, numbers, strict=True)
        if number is not None and any(row[name] != loaded[number].get(name, "") for name in FIELDS)
    ]
    added = [Edit(None, row) for row, number in zip(rows, numbers, strict=True) if number is None]
    return [*removed, *changed, *added]


def _mark_changed(week: RunWeek, rows: list[Row]) -> None:
    """Exceptions of the store and SKU of an override get the status *changed*, by its author."""
    pairs = {(row[c.STORE_ID], row[c.SKU]): row[c.AUTHOR] for row in rows if row[c.STORE_ID] and row[c.SKU]}
    if not pairs:
        return
    for row in exception_table(week, {})[["id", c.STORE_ID, c.SKU]].to_dict("records"):
        author = pairs.get((str(row[c.STORE_ID]), str(row[c.SKU])))
        if author is not None:
            decide(week.lake, week.as_of, str(row["id"]), CHANGED, author)


def _fields(row: Mapping[str, Any], planner: str | None) -> Row:
    found = {name: "" if row.get(name) is None else " ".join(str(row[name]).split()) for name in FIELDS}
    found[c.AUTHOR] = found[c.AUTHOR] or (planner or "").strip()
    return found


def _new_row(week: RunWeek, store: str, sku: str, identity: str) -> dict[str, Any]:
    target = ""
    if store and sku:
        own = week.pairs[(week.pairs[c.STORE_ID].astype(str) == store) & (week.pairs[c.SKU].astype(str) == sku)]
        target = str(int(own[c.TARGET_QUANTITY].iloc[0])) if len(own) else ""
    blank = dict.fromkeys(FIELDS, "")
    dates = {c.DATE_FROM: week.as_of.isoformat(), c.DATE_TO: (week.as_of + timedelta(days=DAYS)).isoformat()}
    own_fields = {c.STORE_ID: store, c.SKU: sku, c.ACTION: SET, c.VALUE: target}
    return {**blank, **dates, **own_fields, "id": identity, _LOADED: None}


def _grid(rows: list[dict[str, Any]], say: AppLanguage) -> Any:
    def column(field: str, header: str, width: int, **more: Any) -> dict[str, Any]:
        return {**ui.text_column(field, header, width=width), "editable": True, **more}

    choices = {"cellEditor": "agSelectCellEditor", "cellEditorParams": {"values": [SET, MULTIPLY, CAP]}}
    columns = [
        column(c.STORE_ID, say("Store"), 140, checkboxSelection=False),
        column(c.SKU, say("SKU"), 150),
        column(c.CATEGORY, say("Category"), 170),
        column(c.DATE_FROM, say("From"), 115),
        column(c.DATE_TO, say("To"), 115),
        column(c.ACTION, say("Action"), 110, **choices),
        column(c.VALUE, say("Value of the override"), 110),
        column(c.REASON, say("Reason"), 220, flex=1, minWidth=180),
        column(c.AUTHOR, say("Author"), 120),
    ]
    return AgGrid(
        id=_GRID,
        columnDefs=columns,
        rowData=rows,
        getRowId="params.data.id",
        defaultColDef={"sortable": True, "resizable": True, "wrapHeaderText": True, "autoHeaderHeight": True},
        dashGridOptions={
            "theme": {"function": "restockTheme(theme)"},
            "rowSelection": {"mode": "multiRow"},
            "stopEditingWhenCellsLoseFocus": True,
            "localeText": ui.grid_texts(say),
        },
        style={"height": "300px", "width": "100%"},
    )


def _effect(effect: Effect, rows: list[Row], say: AppLanguage) -> Any:
    if not rows:
        return html.P(say("There are no overrides."), className="note")
    rejected = sum(bool(check.problem) for check in effect.rows)
    found = [
        Card(
            say("Targets"),
            say.signed(effect.units),
            say.counted(len(effect.pairs), "{count} target changes", "{count} targets change"),
        ),
        Card(say("Units to send"), say.signed(effect.send), say("against this run")),
        Card(say("Value to send"), say.money(effect.money, signed=True), say("against this run")),
        Card(say("Rejected rows"), say.number(rejected), "", red=rejected > 0),
    ]
    # Expired rows do not affect this run, and their number grows every week.
    every = zip(rows, effect.rows, strict=True)
    listed = [(number, *pair) for number, pair in enumerate(every, start=1) if pair[1].status != EXPIRED]
    expired = len(rows) - len(listed)
    lines = [
        (
            say.number(number),
            " / ".join(row[name] for name in (c.STORE_ID, c.SKU, c.CATEGORY) if row[name]) or say("all"),
            f"{row[c.ACTION]} {row[c.VALUE]}",
            say.known(check.status) + (f", {say.known(EXPIRING)}" if check.expiring else ""),
            say.number(check.pairs),
            say.signed(check.units),
            check.problem,
        )
        for number, row, check in listed
    ]
    headers = say.headers("#Row", "Applies to", "Action", "Status", "#Pairs", "#Units", "Problem")
    red = frozenset(place for place, (_, _, check) in enumerate(listed) if check.problem)
    note = say.counted(expired, "{count} override has expired.", "{count} overrides have expired.") if expired else ""
    moved = [
        (
            str(row[c.STORE_ID]), str(row[c.SKU]), say.number(row[BEFORE]), say.number(row[AFTER]),
            say.signed(row[c.TO_SEND]), say.money(row[c.MONEY], signed=True),
        )
        for row in effect.pairs.head(PAIRS_SHOWN).to_dict("records")
    ]  # fmt: skip
    changes = say.headers("Store", "SKU", "#Target before", "#Target after", "#Change to send", "#Change, value")
    return html.Div(
        [
            html.H3(say("Effect on this run")),
            ui.cards(found),
            *[ui.alert(limit, say("Above a limit"), severity="warning") for limit in effect.limits[:10]],
            ui.plain_table(Table(headers, lines, red=red, note=note), note),
            html.H3(say("Targets that change")),
            ui.plain_table(
                Table(changes, moved, note=say.first(PAIRS_SHOWN, len(effect.pairs), "replenishment.csv")),
                say("No target changes."),
            ),
        ]
    )
