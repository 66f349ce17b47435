"""Tables of the models: daily errors, acceptance bands and champions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.metrics import ACCEPTANCE_BANDS, INVENTORY_COST, METRICS, MetricFacts
from schemas.records import Failure
from schemas.settings import BASELINES
from tasks.report.accuracy import Accuracy, Pooled, champion_bands, models_in_order
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, Language, message
from tasks.report.tables import Bar

CHAMPIONS = message("Chosen models")
_OVERALL = "overall"
_COLUMNS = tuple(facts for facts in METRICS.values() if facts.in_report)
_WORDS = re.compile(r"[A-Za-z0-9_]+")
_HEADINGS = {
    c.MAE: message("MAE, units"),
    c.RMSE: message("RMSE, units"),
    c.BIAS: message("Bias"),
    c.COVERAGE: message("Actuals inside the band"),
    c.INVENTORY_COST: message("Inventory cost a period"),
}


def model_table(accuracy: Accuracy, metrics: pd.DataFrame, say: Language) -> Table:
    """Return every model compared with the better baseline on the same series; the champions first.

    If the models are ranked by inventory cost, the table has a column for it.
    """
    overall = metrics[metrics[c.LEVEL].astype(object) == _OVERALL].set_index(c.MODEL)
    pooled = {name: accuracy.of_model(name) for name in accuracy.models}
    listed = [(say.known(CHAMPIONS), accuracy.of_champions, None)]
    for name in models_in_order(accuracy.models, pooled):
        figures = overall.loc[name] if name in overall.index else None
        listed.append((_model_name(name, say), pooled[name], figures))
    rows = [(*_model_row(*row, say), *([say.number(row[1].cost, 3)] if accuracy.costed else [])) for row in listed]
    headers = (
        *say.headers("Model", "#Series", "#WAPE", "#Best simple method, same series"),
        *say.headers("#Less error than the best simple method"),
        *(f"#{_heading(facts, say)}" for facts in (METRICS[c.BIAS], *_COLUMNS)),
        *([f"#{_heading(INVENTORY_COST, say)}"] if accuracy.costed else []),
    )
    return Table(headers, rows, frozenset({0}))


def band_titles(say: Language) -> list[str]:
    """Return the names of the acceptance bands, best first.

    The title of a metric has both names, as in ``Poor (Necesita mejora)``.
    """
    titles = [METRICS[band].title.rstrip(")").split(" (") for band in ACCEPTANCE_BANDS]
    return [title[-1] if say.code == "es" else title[0] for title in titles]


def band_bars(accuracy: Accuracy, metrics: pd.DataFrame, champions: pd.DataFrame, say: Language) -> list[Bar]:
    """Return the acceptance bands of the champions and of every model; the figure is the share within 90 to 110 %."""
    overall = metrics[metrics[c.LEVEL].astype(object) == _OVERALL].set_index(c.MODEL)
    pooled = {name: accuracy.of_model(name) for name in accuracy.models}
    bars = []
    shares = champion_bands(metrics, champions)
    if shares is not None:
        bars.append(Bar(say.known(CHAMPIONS), shares, say.percent(shares[0] + shares[1]), marked=True))
    for name in models_in_order([name for name in accuracy.models if name in overall.index], pooled):
        parts = [float(overall.loc[name, band]) for band in ACCEPTANCE_BANDS]
        if np.isfinite(parts).all():
            bars.append(Bar(_model_name(name, say), parts, say.percent(parts[0] + parts[1])))
    return bars


def bands_table(bars: Sequence[Bar], say: Language) -> Table:
    """Return the values of the acceptance bands as a table."""
    headers = (*say.headers("Model"), *(f"#{title}" for title in band_titles(say)), *say.headers("#Within 90–110 %"))
    rows = [(bar.label, *map(say.percent, bar.parts), say.percent(bar.parts[0] + bar.parts[1])) for bar in bars]
    return Table(headers, rows, frozenset(i for i, bar in enumerate(bars) if bar.marked))


def champions_table(
    champions: pd.DataFrame, forecast: pd.DataFrame, failures: Sequence[Failure], say: Language
) -> Table:
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
            _model_name(str(name), say),
            say.number(served[name] // periods),
            say.number(fell[name]),
            say.number(won.get(name, 0)),
            say.percent(won.get(name, 0) / len(champions) if len(champions) else None),
            say.percent(units.get(name, 0.0) / units.sum() if units.sum() else None),
        )
        for name in names
    ]
    headers = say.headers(
        *("Model", "#Series forecast", "#Fell back", "#Chosen for", "#Share of series", "#Share of expected units")
    )
    return Table(headers, rows)


def _model_name(name: str, say: Language) -> str:
    return say("{model} (simple method)", model=name.replace("_", " ")) if name in BASELINES else name


def _model_row(label: str, pooled: Pooled, overall: pd.Series | None, say: Language) -> tuple[str, ...]:
    figures = [UNKNOWN if overall is None else _figure(facts, float(overall[facts.name]), say) for facts in _COLUMNS]
    return (
        label,
        say.number(pooled.series),
        say.percent(pooled.wape),
        f"{say.percent(pooled.baseline_wape)} {pooled.baseline.replace('_', ' ')}".strip(),
        say.percent(pooled.gain, signed=True),
        say.percent(pooled.bias, signed=True),
        *figures,
    )


def _heading(facts: MetricFacts, say: Language) -> str:
    return say.known(_HEADINGS.get(facts.name, facts.heading))


def _figure(facts: MetricFacts, value: float, say: Language) -> str:
    return say.percent(value) if facts.as_percent else say.number(value, 2)
