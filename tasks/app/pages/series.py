"""*Store and SKU*: history, forecast, stock, deliveries, promotions and last year of one series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from dash import Dash, Input, Output, State, dcc, html

from schemas import columns as c
from schemas.performance import FOLDER
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph, level_band
from tasks.app.context import AppContext
from tasks.app.data import series as data
from tasks.app.data.company import Company, WeekName
from tasks.app.data.performance import importance_by_category
from tasks.app.data.spans import CLOSED, DELIVERY, EVENT, KINDS, PROMOTION, Span
from tasks.app.data.week import RunWeek
from tasks.app.language import AppLanguage
from tasks.app.pages import performance_changes as changes
from tasks.app.pages.frame import Query, of_run
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, message
from tasks.report.week import Card

PATH = "/series"
TITLE = message("Store and SKU")
_NAMES = ("store", "category", "sku")
# States of a delivery.
_STATES = {"firm": message("firm"), "expected": message("expected")}
SPANS_DRAWN = 60
SPANS_LISTED = 40
CHART_PIXELS = 400
# Height of one row of the strip of promotions, events, closed days and deliveries, as a share of the chart.
STRIP_SHARE = 0.07
_COLORS = {PROMOTION: "red", EVENT: "fold", CLOSED: "muted", DELIVERY: "visits"}
_OPACITY = {PROMOTION: 0.08, EVENT: 0.12, CLOSED: 0.25}
# A span of more than this share of the chart would color all of it.
LONGEST_SPAN = 0.5
_SHARE_OF_PATHS = 0.05


@of_run
def layout(context: AppContext, query: Query, chosen: WeekName, week: RunWeek) -> Any:
    """Return the page."""
    say = week.say
    store, category, sku = _selected(week, query)
    known = data.choices(week, store, category)
    if not known.stores:
        return ui.alert(say("The run has no stores."), severity="info")
    skus = [{"value": one, "label": f"{one} {name}".strip()} for one, name in known.skus]
    parts: list[Any] = [
        html.H2(say("Store and SKU")),
        html.Div(
            [
                _choice("store", say("Store"), [{"value": one, "label": one} for one in known.stores], store),
                _choice(
                    "category", say("Category"), [{"value": one, "label": one} for one in known.categories], category
                ),
                _choice("sku", say("SKU"), skus, sku, clearable=True),
            ],
            className="tools",
        ),
    ]
    if store and sku:
        parts += _sku(week, store, sku, chosen.text, say)
    if store and category:
        parts += [*_series(week, store, category, say), *_drivers(context.company, category, say)]
    if store:
        parts += _stock(week, store, say)
    if store and category and not sku:
        parts += _skus(week, store, category, chosen.text, say)
    return html.Div(parts)


def register(app: Dash, _context: AppContext) -> None:
    """Add the callbacks of the page: a choice changes the address, and the address is the page."""

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        *[Input(f"series-{name}", "value") for name in _NAMES],
        State("shown", "data"),
        prevent_initial_call=True,
    )
    def choose(store: str | None, category: str | None, sku: str | None, shown_now: dict[str, str] | None) -> str:
        from dash import ctx

        asked = ctx.triggered_id
        if asked in ("series-store", "series-category"):
            sku = None
        return ui.address("", week=(shown_now or {}).get("week"), store=store, category=category, sku=sku)


def _selected(week: RunWeek, query: Mapping[str, str]) -> tuple[str | None, str | None, str | None]:
    """The store, category and SKU of the address, completed: the SKU's category, else the store's largest one."""
    pairs = week.pairs
    stores = pairs[c.STORE_ID].astype(str)
    known = data.choices(week, None, None).stores
    store = query.get("store") if query.get("store") in known else (known[0] if known else None)
    own = pairs[stores == store]
    sku = query.get("sku") if (own[c.SKU].astype(str) == query.get("sku")).any() else None
    if sku:
        return store, str(own.loc[own[c.SKU].astype(str) == sku, c.CATEGORY].iloc[0]), sku
    categories = data.choices(week, store, None).categories if store else ()
    if query.get("category") in categories:
        return store, query.get("category"), None
    if own.empty:
        return store, categories[0] if categories else None, None
    largest = own.groupby(own[c.CATEGORY].astype(str))[c.TARGET_QUANTITY].sum().idxmax()
    return store, str(largest) if largest in categories else (categories[0] if categories else None), None


def _choice(name: str, label: str, options: list[dict[str, str]], value: str | None, clearable: bool = False) -> Any:
    style = {"minWidth": "280px" if name != "store" else "150px"}
    dropdown = dcc.Dropdown(id=f"series-{name}", options=options, value=value, clearable=clearable, style=style)
    return html.Label([label, dropdown])


def _series(week: RunWeek, store: str, category: str, say: AppLanguage) -> list[Any]:
    view = data.series_view(week, store, category)
    shown_at = figure(say, say("Units"))
    history, forecast = view.history, view.forecast
    low, high = level_band(list(forecast.columns))
    if low and high:
        shown_at.add_scatter(
            x=forecast[c.DATE], y=forecast[high], line={"width": 0}, hoverinfo="skip", showlegend=False
        )
        name = say("{low} to {high} % interval", low=_level(low), high=_level(high))
        shown_at.add_scatter(
            x=forecast[c.DATE], y=forecast[low], fill="tonexty", line={"width": 0}, fillcolor=COLORS["band"], name=name
        )
    last_year = (
        pd.concat([history[[c.DATE, data.LAST_YEAR]], forecast[[c.DATE, data.LAST_YEAR]]]) if len(history) else None
    )
    if last_year is not None and last_year[data.LAST_YEAR].notna().any():
        shown_at.add_scatter(
            x=last_year[c.DATE], y=last_year[data.LAST_YEAR], name=say("Sales a year before"),
            line={"color": COLORS["fold"], "width": 1, "dash": "dot"},
        )  # fmt: skip
    shown_at.add_scatter(
        x=history[c.DATE], y=history[data.UNITS], name=say("Demand"), line={"color": COLORS["ink"], "width": 1.5}
    )
    if c.MEAN in forecast.columns:
        shown_at.add_scatter(
            x=forecast[c.DATE],
            y=forecast[c.MEAN],
            name=say("Expected demand"),
            line={"color": COLORS["live"], "width": 2.5},
        )
    drawn_from = history[c.DATE].min() if len(history) else pd.Timestamp(week.as_of)
    if len(forecast):
        shown_at.update_xaxes(range=[drawn_from, forecast[c.DATE].max()])
        _draw_spans(shown_at, view.spans, (forecast[c.DATE].max() - drawn_from) * LONGEST_SPAN, say)
    rows = [
        (say.known(span.kind), span.name, say.day(span.first.date()), say.day(span.last.date()))
        for span in sorted(view.spans, key=lambda one: one.last, reverse=True)
        if span.kind != DELIVERY
    ]
    parts: list[Any] = [
        html.H3(say("Demand and forecast of {category}", category=category)),
        graph(shown_at, CHART_PIXELS),
    ]
    if history.empty:
        parts.append(html.P(say("The history of this run is no longer in the lake (restock prune)."), className="note"))
    if view.why:
        parts.append(html.P(say("Forecast by {model}. {why}", model=view.model, why=view.why), className="note"))
    if rows:
        table = Table(say.headers("Kind", "Name", "From", "To"), rows[:SPANS_LISTED])
        parts.append(
            html.Details(
                [
                    html.Summary(say("Promotions, events and closed days in the chart: {count}", count=len(rows))),
                    ui.plain_table(table),
                ]
            )
        )
    return parts


def _drivers(company: Company, category: str, say: AppLanguage) -> list[Any]:
    lake = company.lake
    stamp = lake.root, lake.keys(f"{FOLDER}/importance")
    found = company.kept("importance", stamp, lambda: importance_by_category(lake))
    return changes.drivers_of(found[found[c.CATEGORY] == category], category, say)


def _draw_spans(drawn: Any, spans: Sequence[Span], longest: pd.Timedelta, say: AppLanguage) -> None:
    """Draw a strip above the chart with one row per kind, and shade what is not too long.

    Args:
        drawn: the figure.
        spans: what lies on its time axis.
        longest: a longer span is not shaded, because it would color the whole chart.
        say: language of the page.
    """
    kinds = [kind for kind in reversed(KINDS) if any(span.kind == kind for span in spans)]
    for kind in kinds:
        names: dict[pd.Timestamp, list[str]] = {}
        for span in spans:
            if span.kind == kind:
                for day in pd.date_range(span.first, span.last):
                    names.setdefault(day, []).append(span.name)
        days = sorted(names)
        drawn.add_scatter(
            x=days, y=[say.known(kind)] * len(days), text=["<br>".join(map(escape, names[day])) for day in days],
            mode="markers", marker={"symbol": "square", "size": 9, "color": COLORS[_COLORS[kind]]}, yaxis="y2",
            hovertemplate="%{text}<extra></extra>", showlegend=False,
        )  # fmt: skip
    shaded = [span for span in spans if span.kind in _OPACITY and span.last - span.first <= longest]
    half = pd.Timedelta(hours=12)
    shapes = [
        {
            "type": "rect", "x0": span.first - half, "x1": span.last + half, "y0": 0, "y1": 1, "yref": "y domain",
            "line": {"width": 0}, "layer": "below", "fillcolor": COLORS[_COLORS[span.kind]],
            "opacity": _OPACITY[span.kind],
        }
        for span in shaded[:SPANS_DRAWN]
    ]  # fmt: skip
    drawn.update_layout(shapes=shapes)
    if kinds:
        strip = 1 - STRIP_SHARE * len(kinds)
        drawn.update_layout(
            yaxis={"domain": [0, strip - STRIP_SHARE / 2]},
            yaxis2={
                "domain": [strip, 1], "type": "category", "categoryarray": [say.known(kind) for kind in kinds],
                "categoryorder": "array", "range": [-0.5, len(kinds) - 0.5], "showgrid": False, "fixedrange": True,
            },
        )  # fmt: skip


def _stock(week: RunWeek, store: str, say: AppLanguage) -> list[Any]:
    stock = data.stock_of(week, store)
    if stock.empty:
        return []
    drawn = figure(say, say("Units"))
    drawn.add_bar(x=stock[c.DATE], y=stock[c.SALES], name=say("Expected sales"), marker_color=COLORS["sales"])
    drawn.add_scatter(
        x=stock[c.DATE],
        y=stock[c.STOCK],
        name=say("Expected stock"),
        line={"color": COLORS["live"], "width": 2.5, "shape": "hv"},
    )
    limited = c.CAPACITY in stock.columns and stock[c.CAPACITY].notna().any()
    if limited:
        drawn.add_scatter(
            x=stock[c.DATE],
            y=stock[c.CAPACITY],
            name=say("Capacity"),
            line={"color": COLORS["red"], "width": 1.5, "dash": "dash"},
        )
    visits = week.outputs.visits
    days = sorted(pd.to_datetime(visits.loc[visits[c.STORE_ID].astype(str) == store, c.DATE])) if len(visits) else []
    for day in days:
        drawn.add_vline(x=day, line={"color": COLORS["visits"], "width": 1, "dash": "dot"})
    over = stock[stock[c.OVER] > _SHARE_OF_PATHS] if limited and c.OVER in stock.columns else stock.iloc[:0]
    notes = [
        say(
            "Dotted lines: {count} deliveries ({days})",
            count=len(days),
            days=", ".join(say.day(day.date()) for day in days[:6]),
        )
    ]
    if len(over):
        worst = over.loc[over[c.OVER].idxmax()]
        notes.append(
            say(
                "Over capacity with a probability of {share} on {date}",
                share=say.percent(float(worst[c.OVER]), 0),
                date=say.day(pd.Timestamp(worst[c.DATE]).date()),
            )
        )
    elif limited:
        notes.append(say("The plan keeps the store within its capacity."))
    return [
        html.H3(say("Stock of store {store} against its capacity", store=store)),
        graph(drawn),
        html.P(". ".join(notes), className="note"),
    ]


def _sku(week: RunWeek, store: str, sku: str, text: str, say: AppLanguage) -> list[Any]:
    view = data.sku_view(week, store, sku)
    pairs = week.pairs
    row = pairs[(pairs[c.STORE_ID].astype(str) == store) & (pairs[c.SKU].astype(str) == sku)].iloc[0]
    name = str(row.get(c.PRODUCT_NAME) or "")
    found = [
        Card(say("Target"), say.number(row[c.TARGET_QUANTITY]), say.known(str(row[c.LIMIT]))),
        Card(
            say("On hand"), say.number(row[c.ON_HAND]), say("in transit {units}", units=say.number(row[c.IN_TRANSIT]))
        ),
        Card(say("To send"), say.number(row[c.TO_SEND]), say.money(row[c.MONEY])),
        Card(say("Expected demand that the delivery covers"), say.number(row[c.SKU_FORECAST], 1), ""),
    ]
    rows = [
        (
            say.day(pd.Timestamp(one[c.VISIT_DATE]).date()) if pd.notna(one[c.VISIT_DATE]) else UNKNOWN,
            say.expected(float(one[c.QUANTITY])),
            say.known(_STATES.get(str(one.get(c.STATUS, "")), "")),
        )
        for one in view.deliveries.to_dict("records")
    ]
    parts: list[Any] = [
        html.H3(say("SKU {sku} {name}", sku=sku, name=name)),
        ui.cards(found),
        html.P(dcc.Link(say("Add an override"), href=ui.address("/overrides", week=text, store=store, sku=sku))),
        html.Div(
            [
                html.Div(
                    [html.H3(say("Why this target")), html.Pre("\n".join(view.reasons) or UNKNOWN, className="why")]
                ),
                html.Div(
                    [
                        html.H3(say("Deliveries")),
                        ui.plain_table(
                            Table(say.headers("Date", "#Units", "Status"), rows), say("No delivery is planned.")
                        ),
                        *_sizes(view.sizes, sku, say),
                    ]
                ),
            ],
            className="two",
        ),
    ]
    return parts


def _sizes(sizes: pd.DataFrame, sku: str, say: AppLanguage) -> list[Any]:
    if len(sizes) < 2:  # noqa: PLR2004 - a style of one size has no size curve
        return []
    drawn = figure(say, say("Units"))
    labels = [str(size) for size in sizes[c.SIZE]]
    drawn.add_bar(x=labels, y=sizes[c.STOCK], name=say("Stock and in transit"), marker_color=COLORS["sales"])
    drawn.add_bar(x=labels, y=sizes[c.TARGET_QUANTITY], name=say("Target"), marker_color=COLORS["live"])
    drawn.add_bar(x=labels, y=sizes[c.SKU_FORECAST], name=say("Expected demand"), marker_color=COLORS["fold"])
    drawn.update_layout(barmode="group", xaxis={"type": "category"})
    own = sizes.loc[sizes[c.SKU].astype(str) == sku, c.SIZE]
    title = say("Sizes of this style (this SKU: {size})", size=own.iloc[0] if len(own) else UNKNOWN)
    return [html.H3(title), graph(drawn, 240)]


def _skus(week: RunWeek, store: str, category: str, text: str, say: AppLanguage) -> list[Any]:
    pairs = week.pairs
    own = pairs[(pairs[c.STORE_ID].astype(str) == store) & (pairs[c.CATEGORY].astype(str) == category)]
    own = own.sort_values([c.TO_SEND, c.TARGET_QUANTITY], ascending=False, kind="stable").head(60)
    rows = [
        (
            str(row[c.SKU]), str(row.get(c.PRODUCT_NAME) or ""), say.number(row[c.ON_HAND]),
            say.number(row[c.IN_TRANSIT]), say.number(row[c.TARGET_QUANTITY]), say.number(row[c.TO_SEND]),
            say.number(row[c.SKU_FORECAST], 1), say.known(str(row[c.LIMIT])),
        )
        for row in own.to_dict("records")
    ]  # fmt: skip
    headers = say.headers(
        "SKU", "Product", "#On hand", "#In transit", "#Target", "#To send", "#Expected demand", "Constraint"
    )
    links = {0: [ui.address("/series", week=text, store=store, category=category, sku=row[0]) for row in rows]}
    return [
        html.H3(say("SKUs of {category} in store {store}", category=category, store=store)),
        ui.plain_table(Table(headers, rows), links=links),
    ]


def _level(column: str) -> str:
    return f"{float(column.removeprefix('q')) * 100:g}"
