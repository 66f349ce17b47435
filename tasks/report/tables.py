"""Tables and bars of the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS, INVENTORY_COST, METRICS, MetricFacts
from schemas.outputs import AFTER, BEFORE, CHANGE, Change, RunFacts
from schemas.records import Failure, Summary
from schemas.settings import BASELINES
from tasks.report.accuracy import Accuracy, Pooled, champion_bands, models_in_order
from tasks.report.formats import UNKNOWN, Table, cell, number, percent, quantity

CHAMPIONS = "Champions"
MOVERS_SHOWN = 15
ROWS_SHOWN = 40
EXAMPLES = 3
_OVERALL = "overall"
_COLUMNS = tuple(facts for facts in METRICS.values() if facts.in_report)
_COST_HEADERS = {
    c.TRANSPORT: "#Transport",
    c.LOST_SALES: "#Lost sales",
    c.HOLDING: "#Holding",
    c.OVER_CAPACITY: "#Over capacity",
    c.TOTAL: "#Total",
    c.TOTAL_P95: "#95 % quantile of total",
    c.FILL_RATE: "#Fill rate",
    c.OVER_CAPACITY_STORE_DAYS: "#Store-periods over capacity",
    c.VISITS: "#Deliveries",
    c.LOWER_BOUND: "#Lower bound",
    c.GAP: "#Gap to lower bound",
    c.LIMIT_BREACHES: "Violated constraints",
}
_WORDS = re.compile(r"[A-Za-z0-9_]+")
_COST_PARTS = (c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY)


@dataclass(frozen=True)
class Bar:
    """A stacked bar.

    Attributes:
        label: name of the bar.
        parts: fractions of the full width, in the order of the legend.
        figure: text next to the bar.
        marked: True for a highlighted bar.
    """

    label: str
    parts: Sequence[float]
    figure: str
    marked: bool = False


def movers_table(change: Change) -> Table:
    """Return the largest changes of targets."""
    rows = [
        (str(store), str(sku), number(before), number(after), _signed(diff))
        for store, sku, before, after, diff in change.rows[[c.STORE_ID, c.SKU, BEFORE, AFTER, CHANGE]]
        .head(MOVERS_SHOWN)
        .itertuples(index=False)
    ]
    headers = ("Store", "SKU", "#Before, units", "#Now, units", "#Change, units")
    return Table(headers, rows, note=_cut(len(change.rows), MOVERS_SHOWN, "changed targets"))


def moved_stores_table(change: Change) -> Table:
    """Return the changes by store, the store with the largest change in units first."""
    by_store = change.rows[CHANGE].groupby(change.rows[c.STORE_ID].astype(object))
    size = change.rows[CHANGE].abs().groupby(change.rows[c.STORE_ID].astype(object)).sum()
    moved = pd.DataFrame({c.N: by_store.size(), CHANGE: by_store.sum(), c.TOTAL: size})
    largest = moved.iloc[np.argsort(-moved[c.TOTAL].to_numpy(), kind="stable")[:MOVERS_SHOWN]]
    rows = [
        (str(store), number(count), number((total + net) / 2), number((total - net) / 2), _signed(net))
        for store, count, net, total in largest.reset_index().itertuples(index=False)
    ]
    headers = ("Store", "#Changed targets", "#Units added", "#Units removed", "#Net, units")
    return Table(headers, rows, note=_cut(len(moved), MOVERS_SHOWN, "stores with changes"))


def model_table(accuracy: Accuracy, metrics: pd.DataFrame) -> Table:
    """Return every model compared with the better baseline on the same series; the champions first.

    If the models are ranked by inventory cost, the table has a column for it.
    """
    overall = metrics[metrics[c.LEVEL].astype(object) == _OVERALL].set_index(c.MODEL)
    pooled = {name: accuracy.of_model(name) for name in accuracy.models}
    ordered = models_in_order(accuracy.models, pooled)
    listed = [(CHAMPIONS, accuracy.of_champions, None)]
    for name in ordered:
        label = f"{name} (baseline)" if name in BASELINES else name
        listed.append((label, pooled[name], overall.loc[name] if name in overall.index else None))
    rows = [(*_model_row(*row), *([number(row[1].cost, 3)] if accuracy.costed else [])) for row in listed]
    headers = (
        *(
            "Model",
            "#Series",
            f"#{METRICS[c.WAPE].heading}",
            "#Better baseline, same series",
            "#Less error than baseline",
        ),
        f"#{METRICS[c.BIAS].heading}",
        *(f"#{facts.heading}" for facts in _COLUMNS),
        *([f"#{INVENTORY_COST.heading}"] if accuracy.costed else []),
    )
    return Table(headers, rows, frozenset({0}))


def band_bars(accuracy: Accuracy, metrics: pd.DataFrame, champions: pd.DataFrame) -> list[Bar]:
    """Return the acceptance bands of the champions and of every model; the figure is the share within 90 to 110 %."""
    overall = metrics[metrics[c.LEVEL].astype(object) == _OVERALL].set_index(c.MODEL)
    pooled = {name: accuracy.of_model(name) for name in accuracy.models}
    bars = []
    shares = champion_bands(metrics, champions)
    if shares is not None:
        bars.append(Bar(CHAMPIONS, shares, percent(shares[0] + shares[1]), marked=True))
    for name in models_in_order([name for name in accuracy.models if name in overall.index], pooled):
        parts = [float(overall.loc[name, band]) for band in ACCEPTANCE_BANDS]
        if np.isfinite(parts).all():
            bars.append(Bar(name, parts, percent(parts[0] + parts[1])))
    return bars


def bands_table(bars: Sequence[Bar]) -> Table:
    """Return the values of the acceptance bands as a table."""
    headers = ("Model", *(f"#{METRICS[band].heading}" for band in ACCEPTANCE_BANDS))
    rows = [(bar.label, *(percent(part) for part in bar.parts), percent(bar.parts[0] + bar.parts[1])) for bar in bars]
    return Table((*headers, "#Within 90–110 %"), rows, frozenset(i for i, bar in enumerate(bars) if bar.marked))


def champions_table(champions: pd.DataFrame, forecast: pd.DataFrame, failures: Sequence[Failure]) -> Table:
    """Return the number of series, fallbacks and champions per model."""
    model = forecast[c.MODEL].astype(object)
    served = forecast.groupby(model, observed=True)[c.DATE].size()
    periods = max(forecast[c.DATE].nunique(), 1)
    live = forecast[forecast[c.CHAMPION].astype(bool)]
    units = live.groupby(live[c.MODEL].astype(object), observed=True)[c.MEAN].sum()
    won = champions[c.MODEL].astype(object).value_counts()
    fallen = {(word, f.store_id, f.category) for f in failures for word in _WORDS.findall(f.stage)}
    fell = Counter(word for word, _, _ in fallen)
    names = sorted(served.index, key=lambda name: (-int(won.get(name, 0)), str(name)))
    rows = [
        (
            f"{name} (baseline)" if name in BASELINES else str(name),
            number(served[name] // periods),
            number(fell[name]),
            number(won.get(name, 0)),
            percent(won.get(name, 0) / len(champions) if len(champions) else None),
            percent(units.get(name, 0.0) / units.sum() if units.sum() else None),
        )
        for name in names
    ]
    counted = ("#Series forecast", "#Fell back", "#Champion of", "#Share of series", "#Share of expected units")
    return Table(("Model", *counted), rows)


def fallbacks_table(failures: Sequence[Failure]) -> Table:
    """Return the number of series with a fallback, by stage, reason and fallback."""
    groups: dict[tuple[str, str, str], set[str]] = {}
    for failure in failures:
        group = groups.setdefault((failure.stage, failure.reason, failure.fallback), set())
        group.add(f"{failure.store_id} · {failure.category}")
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        (*group, number(len(series)), "; ".join(sorted(series)[:EXAMPLES])) for group, series in ordered[:ROWS_SHOWN]
    ]
    note = _cut(len(ordered), ROWS_SHOWN, "reasons")
    return Table(("Stage", "Reason", "Fallback", "#Series", "Examples (store · category)"), rows, note=note)


def overrides_table(overrides: Sequence[Mapping[str, Any]]) -> Table:
    """Return the planners' overrides and their effect, in the order of the file."""
    rows = [
        (
            str(row["number"]),
            " / ".join(str(row[part] or "all") for part in (c.STORE_ID, c.SKU, c.CATEGORY)),
            f"{row[c.DATE_FROM]} to {row[c.DATE_TO]}",
            f"{row[c.ACTION]} {quantity(row[c.VALUE])}",
            *(str(row[part]) for part in (c.REASON, c.AUTHOR, c.STATUS)),
            number(row["changed_pairs"]),
            number(row["units"]),
        )
        for row in overrides[:ROWS_SHOWN]
    ]
    headers = ("#No.", "Store / SKU / category", "Dates", "Action", "Reason", "Author", "Status", "#Pairs", "#Units")
    return Table(headers, rows, note=_cut(len(overrides), ROWS_SHOWN, "overrides"))


def cost_table(costs: pd.DataFrame) -> Table:
    """Return the expected cost by policy, the cheapest first; the chosen policy is highlighted.

    Optional columns (fill rate, 95 % quantile, violated constraints) are shown if the table has them.
    """
    ordered = costs.sort_values([c.TOTAL, c.POLICY], kind="stable")
    shown = [column for column in _COST_HEADERS if column in ordered.columns]
    if c.LIMIT_BREACHES in shown and not ordered[c.LIMIT_BREACHES].any():
        shown.remove(c.LIMIT_BREACHES)
    rows = [
        (
            f"{row[c.POLICY]}{' (chosen)' if row[c.CHOSEN] else ''}",
            *(_cost_cell(column, row[column]) for column in shown),
        )
        for row in ordered.to_dict("records")
    ]
    chosen = frozenset(np.flatnonzero(ordered[c.CHOSEN].to_numpy(dtype=bool)).tolist())
    return Table(("Policy", *(_COST_HEADERS[column] for column in shown)), rows, chosen)


def cost_bars(costs: pd.DataFrame) -> list[Bar]:
    """Return the cost by policy as stacked bars; the most expensive policy has the full width."""
    ordered = costs.sort_values([c.TOTAL, c.POLICY], kind="stable")
    widest = float(ordered[c.TOTAL].max())
    if not widest > 0:
        return []
    return [
        Bar(
            str(row[c.POLICY]),
            [max(float(row[name]), 0.0) / widest for name in _COST_PARTS],
            quantity(float(row[c.TOTAL])),
            bool(row[c.CHOSEN]),
        )
        for row in ordered.to_dict("records")
    ]


def inputs_table(facts: RunFacts) -> Table:
    """Return the rows read, accepted, quarantined and ignored per source file."""
    rows = [
        (
            file.table,
            file.path.replace("\\", "/").rsplit("/", 1)[-1],
            number(file.rows_read),
            number(file.rows_accepted),
            number(file.rows_quarantined),
            number(file.rows_ignored),
            percent(file.rows_quarantined / file.rows_read if file.rows_read else None, 2),
            file.sha256[:12],
        )
        for file in sorted(facts.inputs, key=lambda file: (file.table, file.path))
    ]
    headers = (
        "Table",
        "File",
        "#Rows read",
        "#Accepted",
        "#Quarantined",
        "#Ignored",
        "#Share",
        "SHA-256 (first 12 digits)",
    )
    return Table(headers, rows[:ROWS_SHOWN], note=_cut(len(rows), ROWS_SHOWN, "files"))


def reasons_table(facts: RunFacts) -> Table:
    """Return the reasons for rejected rows, the most frequent first."""
    ordered = sorted(facts.reasons, key=lambda item: (-item[2], item[0], item[1]))
    rows = [(table, reason, number(count)) for table, reason, count in ordered[:ROWS_SHOWN]]
    return Table(("Table", "Reason", "#Rows"), rows, note=_cut(len(ordered), ROWS_SHOWN, "reasons"))


def cleaning_log_table(log: pd.DataFrame) -> Table:
    """Return the entries of the cleaning log, counted by kind and reason."""
    keys = [log[column].astype(object) for column in (c.TREATMENT, c.REASON) if column in log]
    counts = log.groupby(keys, dropna=False).size().reset_index().to_numpy().tolist()
    ordered = sorted(counts, key=lambda row: (-row[-1], str(row)))
    rows = [(*map(cell, names), number(count)) for *names, count in ordered[:ROWS_SHOWN]]
    headers = (*("Cleaning", "Reason")[: len(keys)], "#Rows")
    return Table(headers, rows, note=_cut(len(ordered), ROWS_SHOWN, "kinds of cleaning"))


def summary_tables(summary: Summary) -> list[tuple[str, Table]]:
    """Return the small summary tables of the stages, by title."""
    tables = []
    for title, rows in summary.items():
        if not rows:
            continue
        names = list(dict.fromkeys(name for row in rows for name in row))
        numeric = {name for name in names if all(isinstance(row.get(name, 0), int | float) for row in rows)}
        headers = [("#" if name in numeric else "") + str(name).replace("_", " ") for name in names]
        cells = [[cell(row.get(name)) for name in names] for row in rows[:ROWS_SHOWN]]
        tables.append((title.replace("_", " "), Table(headers, cells, note=_cut(len(rows), ROWS_SHOWN, "rows"))))
    return tables


def _model_row(label: str, pooled: Pooled, overall: pd.Series | None) -> tuple[str, ...]:
    figures = [UNKNOWN if overall is None else _figure(facts, float(overall[facts.name])) for facts in _COLUMNS]
    return (
        label,
        number(pooled.series),
        percent(pooled.wape),
        f"{percent(pooled.baseline_wape)} {pooled.baseline}".strip(),
        percent(pooled.gain, signed=True),
        percent(pooled.bias, signed=True),
        *figures,
    )


def _figure(facts: MetricFacts, value: float) -> str:
    return percent(value) if facts.as_percent else number(value, 2)


def _cost_cell(column: str, value: float | str) -> str:
    if isinstance(value, str):
        return value or "none"
    if column in (c.FILL_RATE, c.GAP):
        return percent(float(value))
    return quantity(float(value))


def _signed(units: float) -> str:
    return f"{'+' if units > 0 else ''}{number(units)}"


def _cut(count: int, shown: int, what: str) -> str:
    return f"The first {shown} of {count:,} {what}." if count > shown else ""
