"""Part of the page *Performance*: promote the challenger of the settings, revert a promotion, and their history."""

from __future__ import annotations

from datetime import date
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from schemas.errors import ConfigError, PipelineError
from schemas.performance import Decision
from tasks.app import ui
from tasks.app.data.company import Company
from tasks.app.language import AppLanguage
from tasks.performance.challengers import last_decision, put_in_force, take_out_of_force
from tasks.performance.promotion import PROMOTED, REVERTED, Promotion, promotions
from tasks.report.formats import Table
from tasks.report.language import message

PROMOTE, REVERT = "promote", "revert"
LONGEST_NOTE = 300
ENTRIES_SHOWN = 20
_SINCE, _NOTE, _UNDECIDED = "since", "note", "undecided"
_ACTIONS = {PROMOTED: message("promoted"), REVERTED: message("reverted")}


def panel(company: Company) -> Any:
    """Return the promotion in force, the form to change it, and the history of promotions."""
    return html.Div([html.Div(id="promotion-said"), html.Div(_content(company, date.today()), id="promotion-panel")])


def register(app: Dash, company: Company) -> None:
    """Add the callback of the forms."""

    @app.callback(
        Output("promotion-said", "children"),
        Output("promotion-panel", "children"),
        Input({"part": "promotion", "answer": ALL}, "n_clicks"),
        State({"part": "promotion-field", "answer": ALL, "field": ALL}, "value"),
        State({"part": "promotion-field", "answer": ALL, "field": ALL}, "id"),
        State("planner", "value"),
        prevent_initial_call=True,
    )
    def answer(clicks: list[int | None], values: list[Any], names: list[dict[str, str]], planner: str | None) -> Any:
        asked = ctx.triggered_id
        if not any(clicks) or not isinstance(asked, dict):
            return no_update, no_update
        given = {
            one["field"]: value
            for one, value in zip(names, values, strict=True)
            if one["answer"] == asked["answer"]
        }  # fmt: skip
        try:
            text = decide(company, str(asked["answer"]), given, planner or "")
        except PipelineError as error:
            return ui.alert(str(error), severity="problem"), no_update
        return ui.alert(text, severity="good"), _content(company, date.today())


def decide(company: Company, answer: str, given: dict[str, Any], planner: str) -> str:
    """Promote or revert as a form says, and return what was done.

    Args:
        company: settings and lake.
        answer: promote or revert.
        given: values of the form: since, note, undecided.
        planner: name of the planner.

    Raises:
        ConfigError: a field is empty or not valid, or the promotion is refused.
    """
    say = company.say
    name, note = planner.strip(), " ".join(str(given.get(_NOTE) or "").split())[:LONGEST_NOTE]
    if not name:
        raise ConfigError(say("Enter your name at the top of the page first. It is stored with the promotion."))
    if not note:
        raise ConfigError(say("Enter a reason. It is stored with the promotion."))
    try:
        since = date.fromisoformat(str(given.get(_SINCE) or ""))
    except ValueError:
        raise ConfigError(say("First run date: expected a date such as 2025-02-24.")) from None
    if answer == REVERT:
        entry = take_out_of_force(company.lake, since, name, note)
        return say("Reverted. Runs from {date} use only the settings file.", date=say.day(entry.since))
    challenger = company.settings.challenger
    entry = put_in_force(company.lake, challenger, since, name, note, undecided=bool(given.get(_UNDECIDED)))
    return say("Promoted. Runs from {date} use these settings.", date=say.day(entry.since))


def _content(company: Company, today: date) -> list[Any]:
    say, challenger = company.say, company.settings.challenger
    log = promotions(company.lake)
    current = log[-1] if log and log[-1].action == PROMOTED else None
    parts: list[Any] = []
    if current is not None:
        parts.append(_in_force(current, say))
        since = max(today, current.since)
        text = say("Runs from this date use only the settings file again. The published files do not change.")
        parts.append(_form(REVERT, say("Revert this promotion ..."), text, say("Revert"), since, None, say))
    if challenger.settings and (current is None or current.settings != challenger.settings):
        decision = last_decision(company.lake, challenger.name)
        text = say(
            "Runs from this date use these settings: {settings}. The settings file does not change. The manifest of "
            "each run names the promotion. You can revert it here.",
            settings=", ".join(challenger.changes()),
        )
        doubt = None
        if decision != Decision.PROMOTE:
            doubt = say("Promote although the comparison does not show that it is better")
        title = say("Promote the challenger {name} ...", name=challenger.name)
        parts.append(_form(PROMOTE, title, text, say("Promote"), today, doubt, say))
    return [*parts, *_history(log, say)]


def _in_force(current: Promotion, say: AppLanguage) -> Any:
    text = say(
        "The challenger {name} is in force for runs from {date}, promoted by {by}.",
        name=current.challenger,
        date=say.day(current.since),
        by=current.by,
    )
    detail = "; ".join(part for part in (current.note, ", ".join(current.changes())) if part)
    return ui.alert(text, detail=detail, severity="info")


def _form(answer: str, title: str, text: str, button: str, since: date, doubt: str | None, say: AppLanguage) -> Any:
    def name(field: str) -> dict[str, str]:
        return {"part": "promotion-field", "answer": answer, "field": field}

    fields: list[Any] = [
        html.Label([say("Reason"), dcc.Input(id=name(_NOTE), maxLength=LONGEST_NOTE, debounce=True)]),
        html.Label([say("First run date"), dcc.Input(id=name(_SINCE), value=str(since), debounce=True)]),
    ]
    if doubt:
        options = [{"label": doubt, "value": _UNDECIDED}]
        fields.append(dcc.Checklist(id=name(_UNDECIDED), options=options, value=[], className="check"))
    confirm = html.Button(button, id={"part": "promotion", "answer": answer}, className="main")
    return html.Details(
        [html.Summary(title), html.P(text), html.Div(fields, className="form"), html.Div(confirm, className="tools")],
        className="details",
    )


def _history(log: list[Promotion], say: AppLanguage) -> list[Any]:
    if not log:
        return []
    rows = [
        (
            entry.at.replace("T", " ")[:16], say.known(_ACTIONS.get(entry.action, entry.action)), entry.challenger,
            say.day(entry.since), entry.by, entry.note,
        )
        for entry in reversed(log[-ENTRIES_SHOWN:])
    ]  # fmt: skip
    headers = say.headers("Time (UTC)", "Action", "Challenger", "Runs from", "By", "Reason")
    return [html.H3(say("Promotions so far")), ui.plain_table(Table(headers, rows))]
