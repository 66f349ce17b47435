"""The common parts of all pages: the run of a page, and the content while nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dash import html

from tasks.app import ui
from tasks.app.context import AppContext
from tasks.app.data.company import Company, WeekName
from tasks.app.data.week import RunWeek

Query = Mapping[str, str]
"""Values of the page's address."""


def of_run(draw: Callable[[AppContext, Query, WeekName, RunWeek], Any]) -> Callable[[AppContext, Query], Any]:
    """Return the layout of a page that shows one run: the run of the address, else the last one."""

    def layout(context: AppContext, query: Query) -> Any:
        chosen = context.company.chosen(query.get("week"))
        if chosen is None:
            return empty(context.company)
        return draw(context, query, chosen, context.company.week(chosen))

    return layout


def empty(company: Company) -> Any:
    """Return the content of a page while nothing is published."""
    say = company.say
    return html.Div(
        [
            ui.alert(say("Nothing was published yet."), severity="info"),
            html.P(say("Run the week first: restock weekly --settings {file}", file=company.settings_file)),
        ]
    )
