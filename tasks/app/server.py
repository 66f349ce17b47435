"""The web application: address of each page, header, security rules. Start it with ``restock app``."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

from dash import Dash, Input, Output, State, dcc, html, set_props
from dash.exceptions import DependencyException
from flask import Flask, Response, abort, request
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.serving import WSGIRequestHandler

from schemas.errors import PipelineError
from tasks.app import pages, ui
from tasks.app.context import AppContext
from tasks.app.data.company import Company
from tasks.app.language import AppLanguage
from tasks.app.requests import CALLBACKS, LARGEST_BODY, CallbackRequests

SECONDS_BETWEEN_LOOKS = 20
SECONDS_TO_ASK = 10
LONGEST_VALUE = 300
MOST_VALUES = 30
PLACES_IN_LOG = 4
_LOG = logging.getLogger("restock.app")


def create_app(context: AppContext) -> Dash:
    """Return the application of one company.

    Args:
        context: the company, the Prefect runs, and the names of hosts that requests may use.
    """
    flask = Flask(__name__)
    app = Dash(
        "restock",
        server=flask,
        assets_folder=str(Path(__file__).parent / "assets"),
        title="Restock",
        update_title="",
        suppress_callback_exceptions=True,
        serve_locally=True,
        on_error=_on_error,
        index_string=_page(context.company),
    )
    app.layout = lambda: _layout(context.company)
    shown = pages.pages_of(context)
    _route(app, context, shown)
    for page in shown:
        page.register(app, context)
    _secure(app, flask, context.hosts)
    _check_requests(app, flask)
    return app


def _page(company: Company) -> str:
    """The frame of the page, in the language of the settings."""
    try:
        code = company.say.code
    except PipelineError:
        code = "en"
    return (
        f'<!DOCTYPE html><html lang="{code}"><head>{{%metas%}}<meta name="viewport" content="width=device-width, '
        'initial-scale=1"><title>{%title%}</title>{%favicon%}{%css%}</head><body>{%app_entry%}<footer>{%config%}'
        "{%scripts%}{%renderer%}</footer></body></html>"
    )


def _layout(company: Company) -> Any:
    say = company.say
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            html.Header(
                [
                    html.H1(f"Restock · {company.settings.name}"),
                    html.Label([say("Run"), dcc.Dropdown(id="week", clearable=False, searchable=True)]),
                    html.Label(
                        [say("Your name"), dcc.Input(id="planner", persistence=True, persistence_type="local",
                                                     maxLength=60, debounce=True)]
                    ),
                ],
                className="top",
            ),
            html.Nav(id="pages", className="pages"),
            html.Main([html.Div(_no_answer(say), id="no-answer", className="message", hidden=True),
                       html.Div(id=ui.MESSAGE, className="message"), html.Div(id="stale", className="message"),
                       html.Div(id="page")]),
            dcc.Interval(id="look", interval=SECONDS_BETWEEN_LOOKS * 1000),
            dcc.Store(id="shown"),
        ]
    )  # fmt: skip


def _no_answer(say: AppLanguage) -> Any:
    """The message that ``assets/connection.js`` shows while the app does not answer."""
    return ui.alert(say("The app does not answer. This message disappears when it answers again."), severity="problem")


def _route(app: Dash, context: AppContext, shown: Sequence[ModuleType]) -> None:
    company = context.company

    @app.callback(
        Output("page", "children"),
        Output("pages", "children"),
        Output("week", "options"),
        Output("week", "value"),
        Output("shown", "data"),
        Output(ui.MESSAGE, "children"),
        Output("stale", "children"),
        Input("url", "pathname"),
        Input("url", "search"),
    )
    def show(path: str, search: str) -> tuple[Any, ...]:
        query = _query(search)
        page = next((one for one in shown if path == one.PATH), shown[0])
        say = company.say
        names = company.weeks()
        chosen = company.chosen(query.get("week"))
        options = [
            {
                "label": say("{date}, preview", date=say.day(week.as_of)) if week.preview else say.day(week.as_of),
                "value": week.text,
            }
            for week in names
        ]
        query["week"] = chosen.text if chosen else ""
        links = [
            dcc.Link(
                say.known(one.TITLE),
                href=ui.address(one.PATH, week=query["week"]),
                className="here" if one is page else "",
            )
            for one in shown
        ]
        content = _content(context, page, query)
        value = chosen.text if chosen else None
        stamp = company.stamp(chosen) if chosen else ""
        return content, links, options, value, {"week": query["week"], "stamp": stamp}, None, None

    @app.callback(
        Output("url", "search"), Input("week", "value"), State("url", "search"), State("shown", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def choose(week: str | None, search: str, data: dict[str, str] | None) -> Any:
        from dash import no_update

        if not week or week == (data or {}).get("week"):
            return no_update
        return ui.address("", **{**_query(search), "week": week})

    @app.callback(Output("stale", "children", allow_duplicate=True), Input("look", "n_intervals"),
                  State("shown", "data"), prevent_initial_call=True)  # fmt: skip
    def look(_count: int, data: dict[str, str] | None) -> Any:
        """Show a notice if other files were published since the page was loaded."""
        chosen = company.chosen((data or {}).get("week"))
        known = (data or {}).get("stamp")
        if chosen is None or known is None or company.stamp(chosen) == known:
            return None
        return ui.alert(company.say("New files were published for this run. Load the page again."), severity="info")


def _content(context: AppContext, page: ModuleType, query: dict[str, str]) -> Any:
    try:
        return page.layout(context, query)
    except PipelineError as error:
        return ui.alert(context.company.say.known(str(error)), severity="problem")


def _query(search: str | None) -> dict[str, str]:
    try:
        found = parse_qs((search or "").removeprefix("?"), max_num_fields=MOST_VALUES)
    except ValueError:
        raise PipelineError(f"The address has more than {MOST_VALUES} values. Open the app without them.") from None
    return {name: values[-1][:LONGEST_VALUE] for name, values in found.items()}


def _on_error(error: Exception) -> None:
    """Show the message of an error on the page; an unexpected one is logged."""
    if isinstance(error, PipelineError):
        text = str(error)
    else:
        _log(error)
        text = f"The page could not be updated ({type(error).__name__}). The log of the app has the details."
    set_props(ui.MESSAGE, {"children": ui.alert(text, severity="problem")})


def _log(error: Exception) -> None:
    """Log an unexpected error with its places in the code, in one line: a client must not fill the log."""
    places = [
        f"{Path(one.filename).name}:{one.lineno} in {one.name}"
        for one in traceback.extract_tb(error.__traceback__)[-PLACES_IN_LOG:]
    ]
    text = f"{type(error).__name__}: {str(error)[:LONGEST_VALUE]} ({' > '.join(places)})"
    _LOG.error("%s", " ".join(text.split()))


def _check_requests(app: Dash, flask: Flask) -> None:
    """Answer malformed requests with 400, 413 or 415 and one line, and log other errors in one line."""
    requests = CallbackRequests(app.callback_map)
    flask.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY

    @flask.before_request
    def well_formed() -> None:
        if request.method == "POST" and request.path == CALLBACKS:
            try:
                body = request.get_json()
            except (RecursionError, OSError) as error:  # nested too deeply; not complete, or not in time
                raise BadRequest(f"The body cannot be read ({type(error).__name__})") from None
            requests.check(body)

    @flask.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[str, int, dict[str, str]]:
        status = error.code or BadRequest.code
        return f"{status} {error.name}: {error.description}\n", status, {"Content-Type": "text/plain; charset=utf-8"}

    @flask.errorhandler(DependencyException)
    def unknown_package(_error: DependencyException) -> tuple[str, int]:
        return "404 Not Found\n", 404

    @flask.errorhandler(Exception)
    def failed(error: Exception) -> tuple[str, int]:
        _log(error)
        return "500 Internal Server Error: the log of the app has the details.\n", 500


def _secure(app: Dash, flask: Flask, hosts: Sequence[str]) -> None:
    allowed = {host.casefold() for host in hosts}

    @flask.before_request
    def only_this_host() -> None:
        """Refuse requests that name another host. Otherwise a web page could reach the app by DNS rebinding."""
        if _host(request.host) not in allowed:
            abort(421)
        origin = request.headers.get("Origin")
        if request.method != "GET" and origin and _host(origin.partition("://")[2]) not in allowed:
            abort(403)

    scripts = " ".join(["'self'", *app.csp_hashes()])
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    @flask.after_request
    def safe(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


class QuietRequests(WSGIRequestHandler):  # type: ignore[misc]  # Werkzeug is not checked
    """Does not log requests, so that the terminal shows only messages; ends connections without a complete request."""

    timeout = SECONDS_TO_ASK

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""

    def log_error(self, *args: Any) -> None:
        """Log nothing: the request was malformed, or not complete in time."""


def _host(text: str) -> str:
    """Return the name of a host without its port.

    >>> _host("127.0.0.1:4202"), _host("[::1]:80")
    ('127.0.0.1', '[::1]')
    """
    name, _, port = text.rpartition(":")
    return (name if name and port.isdigit() else text).casefold()
