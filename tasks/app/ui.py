"""Parts that several pages use: cards, alerts, tables and the table that is filtered on the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from dash import dcc, html
from dash_ag_grid import AgGrid

from tasks.app.language import AppLanguage
from tasks.report.formats import Table
from tasks.report.remarks import Alert
from tasks.report.week import Card

Part = Any
# Element of the page that shows the message of an error.
MESSAGE = "message"
ROW_PIXELS = 34
GRID_PIXELS = 520
BLOCK = 100
# A longer text may break into lines.
LONG_TEXT = 30


def address(path: str, **values: str | None) -> str:
    """Return the address of a page.

    >>> address("/series", week="2025-02-21", store="A/1", sku=None)
    '/series?week=2025-02-21&store=A%2F1'
    """
    given = {name: value for name, value in values.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def local_time(text: str, absent: str = "") -> str:
    """Return a time (ISO 8601) in the time zone of this machine; another text as it is."""
    try:
        return f"{datetime.fromisoformat(text.replace('Z', '+00:00')).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return text or absent


def cards(found: Sequence[Card]) -> Part:
    """Return key figures in a row."""
    return html.Div(
        [
            html.Div(
                [html.B(card.label), html.Strong(card.figure), html.Span(card.detail)],
                className="card red" if card.red else "card",
            )
            for card in found
        ],
        className="cards",
    )


def alert(text: str, title: str = "", detail: str = "", severity: str = "warning") -> Part:
    """Return a highlighted message; text is shown as it is, never as markup."""
    parts: list[Part] = [html.B(f"{title}: ") if title else None, text, html.Span(detail) if detail else None]
    return html.Div([part for part in parts if part is not None], className=f"alert {severity}")


def alerts(found: Sequence[Alert]) -> list[Part]:
    """Return the alarms and warnings of a run."""
    return [alert(one.text, one.title, one.detail, one.severity) for one in found]


def plain_table(table: Table, empty: str = "", links: Mapping[int, Sequence[str]] | None = None) -> Part:
    """Return a small table.

    Args:
        table: texts; the prefix ``#`` of a header marks a numeric column.
        empty: shown instead of a table without rows.
        links: column to the address of each row's cell.
    """
    # The first column is never empty.
    table = table if links and set(links) != {0} else table.without_empty_columns()
    if not table.rows:
        return html.P(empty, className="note")
    numeric = [header.startswith("#") for header in table.headers]
    head = [
        html.Th(header.removeprefix("#"), className="n" if right else "")
        for header, right in zip(table.headers, numeric, strict=True)
    ]

    def cell(row: int, column: int, text: str) -> Part:
        content: Part = dcc.Link(text, href=links[column][row]) if links and column in links else text
        return html.Td(content, className="n" if numeric[column] else "t" if len(text) > LONG_TEXT else "")

    body = [
        html.Tr(
            [cell(i, j, text) for j, text in enumerate(row)],
            className="red" if i in table.red else "marked" if i in table.marked else "",
        )
        for i, row in enumerate(table.rows)
    ]
    parts: list[Part] = [html.Div(html.Table([html.Thead(html.Tr(head)), html.Tbody(body)]), className="scroll")]
    if table.note:
        parts.append(html.P(table.note, className="note"))
    return html.Div(parts)


def text_column(field: str, header: str, **more: Any) -> dict[str, Any]:
    """Return the definition of a column of text."""
    return {"field": field, "headerName": header, "filter": "agTextColumnFilter", "tooltipField": field, **more}


def number_column(field: str, header: str, digits: int = 0, **more: Any) -> dict[str, Any]:
    """Return the definition of a column of numbers, formatted in the language of the page."""
    return {
        "field": field,
        "headerName": header,
        "filter": "agNumberColumnFilter",
        "type": "rightAligned",
        "valueFormatter": {"function": f"restockNumber(params.value, {digits})"},
        "width": 120,
        **more,
    }


def server_grid(
    identity: str,
    columns: list[dict[str, Any]],
    say: AppLanguage,
    key: str,
    height: int = GRID_PIXELS,
    row_pixels: int = ROW_PIXELS,
    filter_model: dict[str, Any] | None = None,
    **options: Any,
) -> Part:
    """Return a table whose rows are filtered, sorted and paged on the server.

    Args:
        identity: id of the component; a callback on its ``getRowsRequest`` gives the rows.
        columns: definitions of the columns.
        say: language of the page.
        key: JavaScript expression of a row's id, for example ``params.data.id``.
        height: height of the table in pixels.
        row_pixels: height of a row.
        filter_model: filters that are set when the table opens.
        options: further options of AG Grid.
    """
    given: dict[str, Any] = {}
    if filter_model:
        given["filterModel"] = filter_model
    return AgGrid(
        id=identity,
        columnDefs=columns,
        rowModelType="infinite",
        getRowId=key,
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "minWidth": 70,
            "filterParams": {"debounceMs": 400},
            "wrapHeaderText": True,
            "autoHeaderHeight": True,
        },
        dashGridOptions={
            "theme": {"function": "restockTheme(theme)"},
            "cacheBlockSize": BLOCK,
            "maxBlocksInCache": 20,
            "rowHeight": row_pixels,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "localeText": grid_texts(say),
            "enableCellTextSelection": True,
            "tooltipShowDelay": 300,
            **options,
        },
        style={"height": f"{height}px", "width": "100%"},
        **given,
    )


def search_filter(text: str | None) -> dict[str, Any]:
    """Return the filter of the search box on the search column."""
    return {"filterType": "text", "type": "contains", "filter": text or ""}


def equals_filter(value: str) -> dict[str, Any]:
    """Return the filter of a choice."""
    return {"filterType": "text", "type": "equals", "filter": value}


def grid_texts(say: AppLanguage) -> dict[str, str]:
    """Return the texts of the table's own menus."""
    if say.code == "en":
        return {}
    return {
        "loadingOoo": "Cargando …", "noRowsToShow": "Sin filas", "filterOoo": "Filtro …", "contains": "Contiene",
        "notContains": "No contiene", "equals": "Igual a", "notEqual": "Distinto de", "startsWith": "Empieza con",
        "endsWith": "Termina con", "blank": "Vacío", "notBlank": "No vacío", "lessThan": "Menor que",
        "greaterThan": "Mayor que", "lessThanOrEqual": "Menor o igual", "greaterThanOrEqual": "Mayor o igual",
        "inRange": "Entre", "inRangeStart": "Desde", "inRangeEnd": "Hasta", "andCondition": "Y", "orCondition": "O",
    }  # fmt: skip
