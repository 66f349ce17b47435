"""*Approve*: compare the file that waits with the last one, then approve or reject it."""

from __future__ import annotations

from datetime import date
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props

from schemas import columns as c
from schemas.errors import ConfigError, PipelineError
from schemas.outputs import AFTER, BEFORE, CHANGE, Change
from tasks.app import ui
from tasks.app.context import AppContext, WaitingRun
from tasks.app.data.approval import Review, differences, review
from tasks.app.data.company import WeekName
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query
from tasks.publication.approved import is_outdated
from tasks.report import remarks
from tasks.report.formats import Table
from tasks.report.language import message

PATH = "/approve"
TITLE = message("Approve")
ROWS_SHOWN = 40
APPROVE, REJECT = "approve", "reject"
OUTDATED = message(
    "Another run has replaced this preview since this run asked, so that an approval of this run publishes nothing. "
    "Answer the later run, or reject this one and start the weekly run again."
)
BUTTONS = {"page": "approve", "run": ALL, "answer": ALL}


def layout(context: AppContext, _query: Query) -> Any:
    """Return the page."""
    company = context.company
    say = company.say
    head = html.H2(say("Approve or reject the file"))
    assert context.runs is not None
    try:
        waiting = context.runs.waiting()
    except PipelineError as error:
        return html.Div([head, ui.alert(str(error), severity="info")])
    if not waiting:
        text = say("No run waits for an approval. A weekly run waits if approve_before_publishing is on.")
        return html.Div([head, ui.alert(text, severity="info")])
    return html.Div([head, html.Div(id="approve-done"), *[_waiting(context, run, say) for run in waiting]])


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""

    @app.callback(
        Output("approve-done", "children"),
        Output(BUTTONS, "disabled"),
        Input(BUTTONS, "n_clicks"),
        State(BUTTONS, "id"),
        State(BUTTONS, "disabled"),
        State({"page": "note", "run": ALL}, "value"),
        State({"page": "note", "run": ALL}, "id"),
        State("planner", "value"),
        prevent_initial_call=True,
    )
    def answer(
        clicks: list[int | None],
        buttons: list[dict[str, str]],
        disabled: list[bool | None],
        notes: list[str | None],
        names: list[dict[str, str]],
        planner: str | None,
    ) -> tuple[Any, Any]:
        asked = ctx.triggered_id
        if context.runs is None or not any(clicks) or not isinstance(asked, dict):
            return no_update, no_update
        say = context.company.say
        name = (planner or "").strip()
        if not name:
            raise ConfigError(say("Enter your name at the top of the page first. It is stored in the manifest."))
        note = next((text for text, one in zip(notes, names, strict=True) if one["run"] == asked["run"]), None)
        context.runs.answer(asked["run"], asked["answer"], name, (note or "").strip())
        set_props(ui.MESSAGE, {"children": None})
        text = say("Approved. The run resumes and publishes exactly these files. Load the page again in a minute.")
        if asked["answer"] == REJECT:
            text = say("Rejected. The previous file is kept.")
        answered = [bool(off) or one["run"] == asked["run"] for off, one in zip(disabled, buttons, strict=True)]
        return ui.alert(text, severity="good"), answered


def _waiting(context: AppContext, run: WaitingRun, say: AppLanguage) -> Any:
    day = date.fromisoformat(run.as_of) if run.as_of else None
    found = review(context.company, day) if day else None
    since = say("waits since {time}", time=ui.local_time(run.since))
    parts: list[Any] = [
        html.H3(f"{run.name}: {since}"),
        html.P(html.A(say("Run in the Prefect UI"), href=run.address, target="_blank")),
    ]
    if found is None or day is None:
        parts.append(ui.alert(say("The preview of this run is not in the lake. Review the run in the Prefect UI.")))
    else:
        if is_outdated(context.company.lake, day, run.id):
            parts.append(ui.alert(say(OUTDATED)))
        parts += _summary(found, WeekName(day, preview=True).text, say)
    parts.append(
        html.Div(
            [
                html.Label([say("Note"), dcc.Input(id={"page": "note", "run": run.id}, maxLength=300)]),
                html.Button(say("Approve and publish"), className="main", id=_button(run, APPROVE)),
                html.Button(say("Reject, keep the previous file"), className="stop", id=_button(run, REJECT)),
            ],
            className="tools",
        )
    )
    return html.Div([*parts, *(_review(found, say) if found is not None else [])], className="details")


def _button(run: WaitingRun, decision: str) -> dict[str, str]:
    return {"page": "approve", "run": run.id, "answer": decision}


def _summary(found: Review, text: str, say: AppLanguage) -> list[Any]:
    week = found.week
    link = dcc.Link(say("Show the preview"), href=ui.address("/", week=text))
    return [
        ui.cards(week.figures.cards),
        *ui.alerts(remarks.alerts(week.run, week.facts, say)),
        html.P([link, " · ", dcc.Link(say("Exceptions by money"), href=ui.address("/exceptions", week=text))]),
    ]


def _review(found: Review, say: AppLanguage) -> list[Any]:
    week = found.week
    parts: list[Any] = []
    if found.replaced is not None:
        title = say("A file of this run date is published already. Targets that differ from it: {count}",
                    count=say.number(len(found.replaced.rows)))  # fmt: skip
        parts += [html.H3(title), _table(week, found.replaced, say)]
    if found.change is None:
        parts.append(html.P(say("There is no earlier publication to compare with."), className="note"))
    else:
        title = say(
            "Against the run of {date}: {count} of {pairs} targets change",
            date=say.day(found.change.against),
            count=say.number(len(found.change.rows)),
            pairs=say.number(found.change.pairs),
        )
        parts += [html.H3(title), _table(week, found.change, say)]
    return parts


def _table(week: RunWeek, change: Change, say: AppLanguage) -> Any:
    rows = [
        (
            str(row[c.STORE_ID]), str(row[c.SKU]), str(row[c.CATEGORY]), say.number(row[BEFORE]),
            say.number(row[AFTER]), say.signed(row[CHANGE]), say.money(row[c.MONEY], signed=True),
        )
        for row in differences(week, change).head(ROWS_SHOWN).to_dict("records")
    ]  # fmt: skip
    headers = say.headers("Store", "SKU", "Category", "#Target before", "#Target", "#Change", "#Change, value")
    note = say.first(ROWS_SHOWN, len(change.rows), "replenishment.xlsx")
    return ui.plain_table(Table(headers, rows, note=note), say("No target changes."))
