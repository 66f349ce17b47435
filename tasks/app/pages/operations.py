"""*Operations*: the last runs and the next one, seconds per stage, and the versions in force."""

from __future__ import annotations

from typing import Any

from dash import Dash, html

from schemas import columns as c
from schemas.errors import PipelineError
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph
from tasks.app.context import AppContext
from tasks.app.data.operations import effort_of
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, empty
from tasks.publication.listing import IN_FORCE, publication_rows
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, message

PATH = "/operations"
TITLE = message("Operations")
VERSIONS_SHOWN = 30
_PIXELS_PER_STAGE = 26
_LEAST_PIXELS = 140


def layout(context: AppContext, query: Query) -> Any:
    """Return the page."""
    company = context.company
    say = company.say
    chosen = company.chosen(query.get("week"))
    parts = [html.H2(say("Operations")), *_runs(context, say)]
    if chosen is None:
        return html.Div([*parts, empty(company)])
    week = company.week(chosen)
    effort = effort_of(week)
    drawn = figure(say, "")
    stages = effort.stages[::-1]
    drawn.add_bar(
        x=[seconds for _, seconds in stages], y=[name for name, _ in stages], orientation="h",
        marker_color=COLORS["visits"], text=[say.number(seconds, 1) for _, seconds in stages],
    )  # fmt: skip
    drawn.update_layout(margin={"l": 170}, hovermode=False)
    total = sum(seconds for _, seconds in effort.stages)
    parts += [
        html.H3(say("Seconds per stage of the run of {date}", date=say.day(week.as_of))),
        graph(drawn, max(_LEAST_PIXELS, _PIXELS_PER_STAGE * len(stages) + 60)),
        html.P(
            say(
                "Total: {seconds} s. A reused stage has the seconds of the run that computed it.",
                seconds=say.number(total, 1),
            ),
            className="note",
        ),
        html.H3(say("Versions of the published files")),
        _versions(context, say),
        html.H3(say("Code and packages of this run")),
        html.P(say("Code version: {version}", version=effort.code_version or UNKNOWN), className="note"),
        html.P(", ".join(f"{name} {version}" for name, version in effort.packages), className="note"),
    ]
    return html.Div(parts)


def register(app: Dash, context: AppContext) -> None:
    """The page has no callbacks."""


def _runs(context: AppContext, say: AppLanguage) -> list[Any]:
    if context.runs is None:
        return []
    try:
        upcoming, recent = context.runs.next_run(), context.runs.recent()
    except PipelineError as error:
        return [ui.alert(str(error), severity="info")]
    text = say("Next scheduled run: {time}", time=ui.local_time(upcoming)) if upcoming else say("No run is scheduled.")
    rows = [
        (
            str(run["name"]), str(run["state"]), ui.local_time(str(run["start"]), UNKNOWN),
            say.number(run["seconds"], 0), say.number(run["computed"]), say.number(run["reused"]),
            str(run["message"]),
        )
        for run in recent
    ]  # fmt: skip
    headers = say.headers("Run", "State", "Start", "#Seconds", "#Tasks computed", "#Tasks reused", "Message")
    red = frozenset(i for i, run in enumerate(recent) if run["state"] in ("Failed", "Crashed", "NotApproved"))
    return [
        html.P(html.B(text)),
        html.H3(say("Last runs")),
        ui.plain_table(Table(headers, rows, red=red), say("No run has started yet.")),
    ]


def _versions(context: AppContext, say: AppLanguage) -> Any:
    found = publication_rows(context.company.lake)
    rows = [
        (
            str(row["date"]), say.number(row["version"]), say.known(str(row["state"])),
            ui.local_time(str(row["published"]), UNKNOWN), str(row["by"]), str(row["approved"]),
            say.number(row["units"]), say.number(row[c.TO_SEND]), str(row["alarms"]), str(row["note"]),
        )
        for row in found[:VERSIONS_SHOWN]
    ]  # fmt: skip
    headers = say.headers(
        *("Run date", "#Version", "State", "Published", "By", "Approved by", "#Target units", "#Units to send"),
        *("Alarms", "Note"),
    )
    in_force = frozenset(i for i, row in enumerate(found[:VERSIONS_SHOWN]) if row["state"] == IN_FORCE)
    marked = in_force if len(in_force) < len(rows) else frozenset()
    note = say.first(VERSIONS_SHOWN, len(found), "restock publications")
    return ui.plain_table(Table(headers, rows, note=note, marked=marked), say("Nothing was published yet."))
