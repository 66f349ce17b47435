"""Parts of the page *Performance*: what changed in the data, challengers, and what drives the forecasts."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import html

from schemas import columns as c
from schemas.performance import CATEGORY, OVERALL, Decision
from tasks.app import ui
from tasks.app.charts import COLORS, figure, graph
from tasks.app.language import AppLanguage
from tasks.report.drift import drift_table
from tasks.report.formats import Table
from tasks.report.language import message

ROWS_SHOWN = 12
_CHART_PIXELS = 240
_PALETTE = ("live", "fold", "visits", "sales", "muted", "red")
_DECISIONS = {
    Decision.PROMOTE: message("better: promote it"),
    Decision.KEEP: message("worse: keep the current models"),
    Decision.UNDECIDED: message("not decided yet"),
}
_VARIANTS: dict[str, str] = {
    Decision.KEEP: message("better than the others: keep it"),
    Decision.DROP: message("worse than another: remove it"),
    Decision.UNDECIDED: _DECISIONS[Decision.UNDECIDED],
}
_MEASURES = {c.WAPE: message("forecast error"), c.COST: message("cost of lost sales and stock")}
_DRIVERS = {
    "level": message("level of sales"),
    "season": message("season"),
    "calendar": message("calendar"),
    "promotions": message("promotions"),
    "price": message("price"),
    "stock": message("stock"),
    "store and product": message("store and product"),
}


def drift(found: pd.DataFrame, say: AppLanguage) -> list[Any]:
    """Return the findings of drift of the last evaluation; one line per input and store."""
    if found.empty:
        return []
    day = say.day(pd.Timestamp(found[c.AS_OF].iloc[0]).date())
    table = drift_table(found[found[c.DRIFTED].astype(bool)].to_dict("records"), say)
    note = say("Restock reports each change once. An automation of make serve then trains the models again.")
    text = say("No input changed beyond the limits, and the errors are as large as the forecasts imply.")
    return [
        html.H3(say("What changed in the data by {date}", date=day)),
        ui.plain_table(table, text),
        *([html.P(note, className="note")] if table.rows else []),
    ]


def challengers(found: pd.DataFrame, say: AppLanguage) -> list[Any]:
    """Return the decision on each challenger, and the evidence by measure."""
    if found.empty:
        text = say(
            "No challenger was compared. With the setting challenger, other models or settings forecast each week "
            "without effect on the file, and this page says whether they are better."
        )
        return [html.H3(say("Champion and challenger")), html.P(text, className="note")]
    decisions = found[found[c.MEASURE].eq("decision")].set_index(c.CHALLENGER)[c.DECISION]
    rows = [
        (
            str(row[c.CHALLENGER]),
            say.known(_MEASURES.get(str(row[c.MEASURE]), str(row[c.MEASURE]))),
            say.number(row[c.WEEKS]),
            say.percent(row[c.DIFFERENCE], signed=True),
            say.number(row[c.EVIDENCE_FOR], 1),
            say.number(row[c.EVIDENCE_AGAINST], 1),
            say.number(2 / row[c.ERROR_RATE]),
            say.known(_DECISIONS.get(decisions.get(row[c.CHALLENGER]), "")),
        )
        for row in found[~found[c.MEASURE].eq("decision")].to_dict("records")
    ]
    headers = say.headers("Challenger", "Measure", "#Weeks", "#Better by", "#Evidence for", "#Evidence against")
    headers = (*headers, *say.headers("#Evidence needed", "Decision"))
    return [html.H3(say("Champion and challenger")), ui.plain_table(Table(headers, rows))]


def variants(found: pd.DataFrame, say: AppLanguage) -> list[Any]:
    """Return the comparison of the variants of an endpoint; nothing if none exists."""
    if found.empty:
        return []
    records = found.to_dict("records")
    rows = [
        (
            str(row[c.VARIANT]), str(row[c.AGAINST]), say.number(row[c.WEEKS]), say.percent(row[c.WAPE]),
            say.percent(row[f"{c.WAPE}_{c.DIFFERENCE}"], signed=True),
            say.number(row[f"{c.WAPE}_{c.EVIDENCE_FOR}"], 1), say.percent(row[c.WQL]),
            say.percent(row[f"{c.WQL}_{c.DIFFERENCE}"], signed=True),
            say.number(row[f"{c.WQL}_{c.EVIDENCE_FOR}"], 1), say.number(row[c.EVIDENCE_NEEDED]),
            say.known(_VARIANTS.get(str(row[c.DECISION]), "")),
        )
        for row in records
    ]  # fmt: skip
    headers = (
        *say.headers("Variant", "Compared with", "#Weeks", "#WAPE", "#Better by", "#Evidence for", "#Quantile loss"),
        *say.headers("#Better by", "#Evidence for", "#Evidence needed", "Decision"),
    )
    marked = frozenset(i for i, row in enumerate(records) if row[c.DECISION] == Decision.KEEP)
    red = frozenset(i for i, row in enumerate(records) if row[c.DECISION] == Decision.DROP)
    parts: list[Any] = []
    for endpoint in found[c.ENDPOINT].unique():
        own = [i for i, row in enumerate(records) if row[c.ENDPOINT] == endpoint]
        places = {old: new for new, old in enumerate(own)}
        chosen = [frozenset(places[i] for i in one if i in places) for one in (marked, red)]
        table = Table(headers, [rows[i] for i in own], marked=chosen[0], red=chosen[1])
        parts += [html.H3(say("Variants of the endpoint {name}", name=endpoint)), ui.plain_table(table)]
    note = say("Their kept answers (restock ask --keep) compared with the sales of the first week after them.")
    return [*parts, html.P(note, className="note")]


def importance(found: pd.DataFrame, say: AppLanguage) -> list[Any]:
    """Return the importance of the parts of the tree models' forecasts: over time for all series, and by category."""
    if found.empty:
        return []
    model = str(found[c.MODEL].iloc[-1])
    own = found[found[c.MODEL].eq(model)]
    overall = own[own[c.LEVEL].eq(OVERALL)]
    last = own[own[c.LEVEL].eq(CATEGORY) & own[c.AS_OF].eq(own[c.AS_OF].max())]
    groups, names = _groups(overall, say)
    shares = last.pivot_table(index=c.CATEGORY, columns=c.GROUP, values=c.SHARE).reindex(columns=groups)
    size = last.groupby(c.CATEGORY)[c.UNITS].sum().sort_values(ascending=False)
    rows = [(str(name), *(say.percent(value, 0) for value in shares.loc[name])) for name in size.index[:ROWS_SHOWN]]
    headers = (*say.headers("Category"), *(f"#{names[group]}" for group in groups))
    note = say.first(ROWS_SHOWN, len(size), "performance/importance")
    return [
        html.H3(say("What drives the forecasts of {model}", model=model)),
        html.P(say("Share of each group of inputs in the size of the forecasts, by run."), className="note"),
        _shares(overall, groups, names, say),
        ui.plain_table(Table(headers, rows, note=note)),
    ]


def drivers_of(found: pd.DataFrame, category: str, say: AppLanguage) -> list[Any]:
    """Return the importance of the parts of one category's forecasts over time, for the tree model of the last run.

    Args:
        found: rows of the table ``importance`` of the category.
        category: its name.
        say: language of the page.
    """
    if found.empty:
        return []
    model = str(found[c.MODEL].iloc[-1])
    own = found[found[c.MODEL].eq(model)]
    groups, names = _groups(own, say)
    title = say("What drives the forecasts of {category} by run ({model})", category=category, model=model)
    return [html.Details([html.Summary(title), _shares(own, groups, names, say)])]


def _groups(found: pd.DataFrame, say: AppLanguage) -> tuple[list[str], dict[str, str]]:
    """Groups of inputs, the most important first, and their names."""
    groups = list(map(str, found.groupby(c.GROUP)[c.SHARE].mean().sort_values(ascending=False).index))
    return groups, {group: say.known(_DRIVERS.get(group, group)) for group in groups}


def _shares(found: pd.DataFrame, groups: list[str], names: dict[str, str], say: AppLanguage) -> Any:
    """Chart of the share of each group by run."""
    drawn = figure(say, "")
    for group, color in zip(groups, [*_PALETTE, *["line"] * len(groups)], strict=False):
        part = found[found[c.GROUP].eq(group)]
        days = [f"{day:%Y-%m-%d}" for day in part[c.AS_OF]]
        drawn.add_bar(x=days, y=part[c.SHARE], name=names[group], marker_color=COLORS.get(color))
    drawn.update_layout(barmode="stack", xaxis={"type": "category"}, yaxis={"tickformat": ".0%", "range": [0, 1]})
    return graph(drawn, _CHART_PIXELS)
