"""*Exceptions*: what needs a decision, by money, with reason and status."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html

from schemas import columns as c
from tasks.app import ui
from tasks.app.context import AppContext
from tasks.app.data import grid
from tasks.app.data.company import Company, WeekName
from tasks.app.data.exceptions import AT, BY, ID, exception_table
from tasks.app.data.series import sku_view
from tasks.app.data.statuses import ACCEPTED, CHANGED, OPEN, STATUSES, decide, read_decisions
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, of_run
from tasks.publication.workbook import Sheet, write_workbook
from tasks.report.language import message

PATH = "/exceptions"
TITLE = message("Exceptions")
# Statuses that one click may set.
LARGEST_STEP = 500
_GRID = "exceptions"
_FILTERS = {"kind": c.KIND, "store": c.STORE_ID, "status": c.STATUS}
_STATUS_TEXT = "status_text"


@of_run
def layout(_context: AppContext, query: Query, _chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say, frame = week.say, _table(week)
    kinds = frame[c.KIND].value_counts()
    stores = sorted(set(frame[c.STORE_ID].astype(str)) - {""})
    return html.Div(
        [
            html.H2(say("Exceptions by money")),
            html.P(
                say(
                    "The largest amount of money first. Accept an exception that needs no action. To change a target, "
                    "add an override."
                ),
                className="note",
            ),
            html.Div(id="exceptions-summary"),
            html.Div(
                [
                    html.Label([say("Search"), dcc.Input(id="exceptions-search", type="search", debounce=0.4)]),
                    _choice("kind", say("Exception"), [(name, f"{name} ({size})") for name, size in kinds.items()]),
                    _choice("store", say("Store"), [(store, store) for store in stores], query.get("store")),
                    _choice("status", say("Status"), [(say.known(one), say.known(one)) for one in STATUSES],
                            say.known(OPEN)),
                    html.Button(say("Accept all that are shown"), id="exceptions-accept"),
                    html.Button(say("Excel"), id="exceptions-excel"),
                ],
                className="tools",
            ),
            ui.server_grid(_GRID, _columns(week, say), say, "params.data.id", height=560, row_pixels=48),
            html.Div(id="exceptions-detail"),
            dcc.Download(id="exceptions-file"),
            dcc.Store(id="exceptions-changed"),
            dcc.Store(id="exceptions-name", data=_GRID),
        ]
    )  # fmt: skip


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""
    _register_rows(app, context.company)
    _register_statuses(app, context.company)
    _register_views(app, context.company)


def _register_rows(app: Dash, company: Company) -> None:
    @app.callback(Output(_GRID, "getRowsResponse"), Input(_GRID, "getRowsRequest"), State("shown", "data"))
    def rows(request: dict[str, Any] | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        if not request or week is None:
            return None
        found, count = grid.page(_table(week), request)
        return {"rowData": found, "rowCount": count}

    @app.callback(
        Output(_GRID, "filterModel"),
        Input("exceptions-search", "value"),
        *[Input(f"exceptions-{name}", "value") for name in _FILTERS],
        State(_GRID, "filterModel"),
    )
    def narrow(text: str | None, *values: Any) -> dict[str, Any]:
        *chosen, model = values
        found = dict(model or {})
        found[grid.SEARCH] = ui.search_filter(text)
        for column, value in zip(_FILTERS.values(), chosen, strict=True):
            found.pop(_shown(column), None)
            if value:
                found[_shown(column)] = ui.equals_filter(value)
        return found


def _register_statuses(app: Dash, company: Company) -> None:
    @app.callback(
        Output("exceptions-changed", "data"),
        Input(_GRID, "cellValueChanged"),
        Input("exceptions-accept", "n_clicks"),
        State(_GRID, "filterModel"),
        State("planner", "value"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def set_status(
        changes: list[dict[str, Any]] | None,
        clicks: int | None,
        model: dict[str, Any] | None,
        planner: str | None,
        data: dict[str, str] | None,
    ) -> Any:
        week = company.shown(data)
        if week is None:
            return None
        known = {week.say.known(one): one for one in STATUSES}
        if ctx.triggered_id == _GRID:
            for row in (change.get("data") for change in changes or []):
                if not isinstance(row, dict):
                    continue
                text = str(row.get(_STATUS_TEXT))
                decide(week.lake, week.as_of, str(row.get(ID)), known.get(text, text), planner or "")
        elif clicks:
            found = grid.selected(_table(week), {"filterModel": model}).head(LARGEST_STEP)
            for one in found.loc[found[c.STATUS] == OPEN, ID]:
                decide(week.lake, week.as_of, str(one), ACCEPTED, planner or "")
        return pd.Timestamp.now().isoformat()

    app.clientside_callback(
        ClientsideFunction("restock", "refresh"),
        Output("exceptions-name", "data"),
        Input("exceptions-changed", "data"),
        State("exceptions-name", "data"),
        prevent_initial_call=True,
    )


def _register_views(app: Dash, company: Company) -> None:
    @app.callback(Output("exceptions-summary", "children"), Input("exceptions-changed", "data"), Input("shown", "data"))
    def summary(_changed: str | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        return None if week is None else _summary(week)

    @app.callback(Output("exceptions-detail", "children"), Input(_GRID, "selectedRows"), State("shown", "data"))
    def detail(selected: list[dict[str, Any]] | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        if not selected or week is None:
            return None
        return _detail(week, selected[0], (data or {}).get("week", ""))

    @app.callback(
        Output("exceptions-file", "data"),
        Input("exceptions-excel", "n_clicks"),
        State(_GRID, "filterModel"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def export(clicks: int | None, model: dict[str, Any] | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        if not clicks or week is None:
            return None
        found = grid.selected(_table(week), {"filterModel": model})
        return dcc.send_bytes(workbook(week, found), f"exceptions-{week.as_of}.xlsx")


def workbook(week: RunWeek, found: pd.DataFrame) -> bytes:
    """Return an Excel workbook of exceptions; ids are text, and no cell is a formula."""
    columns = [_STATUS_TEXT, c.KIND, c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.CATEGORY, c.UNITS, c.MONEY,
               c.WEEKS_OF_COVER, c.REASON, BY, AT]  # fmt: skip
    sheet = Sheet("Exceptions", found[columns].rename(columns={_STATUS_TEXT: c.STATUS}), money=(c.MONEY,))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exceptions.xlsx"
        write_workbook(path, [sheet], week.as_of, week.run.settings.currency or "")
        return io.BytesIO(path.read_bytes()).getvalue()


def _table(week: RunWeek) -> pd.DataFrame:
    frame = exception_table(week, read_decisions(week.lake, week.as_of))
    return frame.assign(**{_STATUS_TEXT: [week.say.known(one) for one in frame[c.STATUS]]})


def _shown(column: str) -> str:
    return _STATUS_TEXT if column == c.STATUS else column


def _choice(name: str, label: str, options: list[tuple[str, str]], value: str | None = None) -> Any:
    return html.Label(
        [
            label,
            dcc.Dropdown(
                id=f"exceptions-{name}",
                options=[{"value": one, "label": text} for one, text in options],
                value=value,
            ),
        ]
    )


def _columns(week: RunWeek, say: AppLanguage) -> list[dict[str, Any]]:
    named = bool(week.figures.names)
    return [
        ui.text_column(
            _STATUS_TEXT,
            say("Status"),
            width=110,
            editable=True,
            cellEditor="agSelectCellEditor",
            cellEditorParams={"values": [say.known(one) for one in STATUSES]},
            singleClickEdit=True,
        ),
        ui.text_column(c.KIND, say("Exception"), width=150),
        ui.text_column(c.STORE_ID, say("Store"), width=120, cellRenderer="RestockLink"),
        ui.text_column(c.SKU, say("SKU"), width=145, cellRenderer="RestockLink"),
        ui.number_column(c.MONEY, say("Value"), width=95),
        ui.text_column(c.REASON, say("Reason"), flex=1, minWidth=330, wrapText=True, cellClass="wrapped"),
        *([ui.text_column(c.PRODUCT_NAME, say("Product"), width=160)] if named else []),
        ui.number_column(c.UNITS, say("Units"), 1, width=90),
        ui.number_column(c.WEEKS_OF_COVER, say("Weeks of cover"), 1, width=120),
        ui.text_column(c.CATEGORY, say("Category"), width=200),
        ui.text_column(BY, say("By"), width=100),
        {"field": grid.SEARCH, "hide": True, "filter": "agTextColumnFilter"},
    ]


def _summary(week: RunWeek) -> Any:
    say, frame = week.say, _table(week)
    parts = []
    for status, text in (
        (OPEN, message("{count} open, value {money}")),
        (ACCEPTED, message("{count} accepted, value {money}")),
        (CHANGED, message("{count} changed, value {money}")),
    ):
        own = frame[frame[c.STATUS] == status]
        parts.append(say(text, count=say.number(len(own)), money=say.money(own[c.MONEY].abs().sum(min_count=1))))
    return html.P(html.B(" · ".join(parts)))


def _detail(week: RunWeek, row: Mapping[str, Any], text: str) -> Any:
    say = week.say
    store, sku = str(row.get(c.STORE_ID) or ""), str(row.get(c.SKU) or "")
    parts: list[Any] = [
        html.H3(" · ".join(one for one in (str(row.get(c.KIND)), store, sku) if one)),
        html.P(str(row.get(c.REASON) or "")),
    ]
    links = []
    if store:
        where = {"week": text, "store": store, "category": str(row.get(c.CATEGORY) or ""), "sku": sku}
        links.append(dcc.Link(say("History, forecast and stock"), href=ui.address("/series", **where)))
    if sku and store:
        links.append(dcc.Link(say("Add an override"), href=ui.address("/overrides", week=text, store=store, sku=sku)))
        reasons = sku_view(week, store, sku).reasons
        if reasons:
            parts.append(html.Pre("\n".join(reasons), className="why"))
    parts.append(html.P([part for link in links for part in (link, " · ")][:-1]))
    return html.Div(parts, className="details")
