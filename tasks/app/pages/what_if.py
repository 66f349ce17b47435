"""*What if*: plan the run again with other limits, costs or demand, next to the published plan."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from schemas import columns as c
from schemas.errors import PipelineError
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph
from tasks.app.context import AppContext
from tasks.app.data.company import WeekName
from tasks.app.data.scenarios import MEASURES, Scenario, curve_scenarios
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages.frame import Query, of_run
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, message

PATH = "/what-if"
TITLE = message("What if")
MILLISECONDS = 700
_PERCENT = 100.0
_NAMES = {
    c.TRANSPORT: message("Transport"),
    c.LOST_SALES: message("Lost sales"),
    c.HOLDING: message("Holding"),
    c.OVER_CAPACITY: message("Over capacity"),
    c.TOTAL: message("Total cost"),
    c.LOWER_BOUND: message("Lower bound"),
    c.GAP: message("Gap to the lower bound"),
    c.FILL_RATE: message("Fill rate"),
    c.VISITS: message("Deliveries"),
}
_SHARES = (c.GAP, c.FILL_RATE)
# Inputs of the form: field of the scenario, label.
_FACTORS = (
    ("capacity", message("Storage capacity, %")),
    ("dc_stock", message("Stock of the distribution center, %")),
    ("visit_cost", message("Delivery cost, %")),
    ("holding", message("Holding cost, %")),
    ("demand", message("Demand, %")),
)
_PROMOTED = c.CATEGORY
_FIELDS = (*(name for name, _ in _FACTORS), "service", "lead", _PROMOTED, "first", "last", "uplift")


@of_run
def layout(context: AppContext, _query: Query, chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say, inventory = week.say, context.company.settings.inventory
    if chosen.preview:
        return html.Div(
            [
                html.H2(say("What if")),
                ui.alert(say("Choose a published run: scenarios are compared with it."), severity="info"),
            ]
        )
    context.jobs.warm()
    categories = sorted(set(week.outputs.champions[c.CATEGORY].astype(str)))
    horizon = week.run.settings.period.range(week.as_of, week.run.settings.horizon)
    fields = [_field(say.known(label), name, type="number", value=100, min=1, step="any") for name, label in _FACTORS]
    last = min(horizon[-1].date(), week.as_of + timedelta(days=6))
    level = round(inventory.service_level * _PERCENT, 3)
    fields += [
        _field(say("Service level, %"), "service", type="number", min=50, max=99.9, step="any", value=level),
        _field(say("Lead time, periods"), "lead", type="number", min=0, step=1, value=inventory.lead_time),
        html.Label([say("Promotion of a category"), dcc.Dropdown(id="what-if-category", options=categories)]),
        _field(say("First day"), "first", value=str(week.as_of)),
        _field(say("Last day"), "last", value=str(last)),
        _field(say("Demand during the promotion, %"), "uplift", type="number", min=1, value=150),
    ]
    return html.Div(
        [
            html.H2(say("What if")),
            html.P(
                say("Plan this run again with other values. 100 % changes nothing. Nothing is published."),
                className="note",
            ),
            html.Div(fields, className="form"),
            html.Div(
                [
                    html.Button(say("Compute"), id="what-if-start", className="main"),
                    html.Button(say("Trade-off between stock and lost sales"), id="what-if-curve"),
                ],
                className="tools",
            ),
            html.Div(id="what-if-drawn"),
            html.Div(id="what-if-result"),
            dcc.Store(id="what-if-job"),
            dcc.Store(id="what-if-points"),
            dcc.Interval(id="what-if-look", interval=MILLISECONDS, disabled=True),
        ]
    )  # fmt: skip


def _field(label: str, name: str, **options: Any) -> Any:
    return html.Label([label, dcc.Input(id=f"what-if-{name}", **options)])


def register(app: Dash, context: AppContext) -> None:
    """Add the callbacks of the page."""
    company, jobs = context.company, context.jobs

    @app.callback(
        Output("what-if-job", "data"),
        Output("what-if-result", "children"),
        Output("what-if-look", "disabled"),
        Input("what-if-start", "n_clicks"),
        *[State(f"what-if-{name}", "value") for name in _FIELDS],
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def start(clicks: int | None, *values: float | str | dict[str, str] | None) -> Any:
        *given, data = values
        week = company.shown(data if isinstance(data, dict) else None)
        if not clicks or week is None:
            return no_update, no_update, no_update
        settings = company.settings.inventory
        scenario = scenario_of(dict(zip(_FIELDS, given, strict=True)), settings.service_level, settings.lead_time)
        scenario.check()
        job = jobs.submit(company.settings_file, week.as_of, scenario)
        return job, html.P(week.say("Computing ..."), className="note"), False

    @app.callback(
        Output("what-if-points", "data"),
        Output("what-if-drawn", "children"),
        Output("what-if-look", "disabled", allow_duplicate=True),
        Input("what-if-curve", "n_clicks"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def start_curve(clicks: int | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        if not clicks or week is None:
            return no_update, no_update, no_update
        points = [
            [name, jobs.submit(company.settings_file, week.as_of, scenario)]
            for name, scenario in curve_scenarios(company.settings)
        ]
        return points, html.P(week.say("Computing ..."), className="note"), False

    @app.callback(
        Output("what-if-result", "children", allow_duplicate=True),
        Output("what-if-drawn", "children", allow_duplicate=True),
        Output("what-if-job", "data", allow_duplicate=True),
        Output("what-if-points", "data", allow_duplicate=True),
        Output("what-if-look", "disabled", allow_duplicate=True),
        Input("what-if-look", "n_intervals"),
        State("what-if-job", "data"),
        State("what-if-points", "data"),
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def look(_count: int, job: str | None, points: list[list[str]] | None, data: dict[str, str] | None) -> Any:
        week = company.shown(data)
        if week is None:
            return no_update, no_update, None, None, True
        result, drawn = no_update, no_update
        found = jobs.result(job) if job else None
        if found is not None:
            result, job = _result(week, found), None
        answers = [(name, jobs.result(one)) for name, one in points or []]
        if points and all(answer is not None for _, answer in answers):
            drawn, points = _curve(week, [(name, answer) for name, answer in answers if answer is not None]), None
        return result, drawn, job, points, not job and not points


def scenario_of(given: Mapping[str, Any], service_level: float, lead_time: int) -> Scenario:
    """Return the scenario of a form; values that equal the settings are left out.

    Args:
        given: values of the form by field; factors in percent.
        service_level: service level of the settings.
        lead_time: lead time of the settings.

    Raises:
        PipelineError: a field is empty.
    """
    for name in (*(name for name, _ in _FACTORS), "service", "lead"):
        if not isinstance(given.get(name), int | float):
            raise PipelineError(f"{name}: enter a number.")
    factors: dict[str, Any] = {name: float(given[name]) / _PERCENT for name, _ in _FACTORS}
    service, lead = float(given["service"]) / _PERCENT, int(given["lead"])
    promotion: dict[str, Any] = {}
    if given.get(_PROMOTED):
        promotion = {
            "category": str(given[_PROMOTED]),
            "first": str(given.get("first") or ""),
            "last": str(given.get("last") or ""),
            "uplift": float(given.get("uplift") or 0) / _PERCENT,
        }
    return Scenario(
        **factors,
        **promotion,
        service_level=None if abs(service - service_level) < 1e-9 else service,  # noqa: PLR2004 - rounding of percent
        lead_time=None if lead == lead_time else lead,
    )


def _result(week: RunWeek, found: Mapping[str, Any]) -> Any:
    say = week.say
    if "problem" in found:
        return ui.alert(str(found["problem"]), severity="problem")
    before, after = found["before"], found["after"]
    rows = [
        (
            say.known(_NAMES[name]),
            _shown(before[name], name, say),
            _shown(after[name], name, say),
            _change(before[name], after[name], name, say),
        )
        for name in MEASURES
        if before[name] is not None or after[name] is not None
    ]
    units = found["units_before"], found["units"]
    rows.append((say("Target stock, units"), say.number(units[0]), say.number(units[1]), _change(*units, "", say)))
    headers = say.headers("Measure", "#Published plan", "#What if", "#Change")
    marked = frozenset(i for i, row in enumerate(rows) if row[0] == say.known(_NAMES[c.TOTAL]))
    changes = [
        (
            str(row[c.STORE_ID]), str(row[c.CATEGORY]), str(row[c.SKU]), say.number(row["published"]),
            say.number(row["what_if"]), say.signed(row["change"]),
        )
        for row in found["changes"]
    ]  # fmt: skip
    names = say.headers("Store", "Category", "SKU", "#Published target", "#Target", "#Change")
    notes = [
        say(
            "Both columns: policy {policy}. Computed in {seconds} s.",
            policy=found["policy"],
            seconds=say.number(found["seconds"], 1),
        )
    ]
    if found["settings_changed"]:
        notes.append(
            say("The settings file has changed since the run was published. This may explain part of the change.")
        )
    more = say.first(len(changes), found["changed"], "restock what-if --csv")
    return html.Div(
        [
            html.H3(say("Published plan and scenario")),
            ui.plain_table(Table(headers, rows, marked=marked)),
            html.P(" ".join(notes), className="note"),
            html.H3(say("{count} targets change", count=say.number(found["changed"]))),
            ui.plain_table(Table(names, changes, note=more), say("No target changes.")),
        ]
    )  # fmt: skip


def _curve(week: RunWeek, points: list[tuple[str, dict[str, Any]]]) -> Any:
    say = week.say
    problems = [str(one["problem"]) for _, one in points if "problem" in one]
    if problems:
        return ui.alert(problems[0], severity="problem")
    drawn = figure(say, say("Lost sales"))
    texts = [name for name, _ in points]
    held = [one["holding_at_cost"] for _, one in points]
    by_cost = any(held)
    across = held if by_cost else [one["units"] for _, one in points]
    lost = [one["after"][c.LOST_SALES] for _, one in points]
    drawn.add_scatter(x=across, y=lost, mode="lines+markers+text", text=texts, textposition="top right",
                      name=say("Plans"), line={"color": COLORS["visits"], "width": 2}, marker={"size": 8})  # fmt: skip
    base = points[0][1]["before"]
    here = base[c.HOLDING] if by_cost else points[0][1]["units_before"]
    drawn.add_scatter(x=[here], y=[base[c.LOST_SALES]], mode="markers", name=say("Published plan"),
                      marker={"size": 14, "color": COLORS["red"], "symbol": "diamond"})  # fmt: skip
    title = say("Cost of the stock") if by_cost else say("Target stock, units")
    drawn.update_layout(xaxis={"title": title, "gridcolor": COLORS["line"]}, hovermode="closest", margin={"b": 50})
    note = (
        say("Each point is a plan with another holding cost. The stock is valued at the holding cost of the settings.")
        if by_cost
        else say("Each point is a plan with another service level.")
    )
    return html.Div(
        [html.H3(say("Trade-off between stock and lost sales")), graph(drawn, 380), html.P(note, className="note")]
    )


def _shown(value: float | None, name: str, say: AppLanguage) -> str:
    if value is None:
        return UNKNOWN
    if name in _SHARES:
        return say.percent(value)
    return say.number(value) if name == c.VISITS else say.money(value)


def _change(before: float | None, after: float | None, name: str, say: AppLanguage) -> str:
    if before is None or after is None:
        return UNKNOWN
    if name in _SHARES:
        return say("{points} points", points=say.number((after - before) * _PERCENT, 1))
    return say.percent(after / before - 1, signed=True) if before else say.signed(after - before)
