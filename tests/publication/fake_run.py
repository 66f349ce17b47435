"""Artificial outputs of a run: every table, with configurable size."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import WORKBOOK, RunFacts, RunOutputs
from schemas.records import Failure, InputFile
from schemas.run import RunContext
from schemas.settings import Settings
from tasks.publication.to_send import with_quantities_to_send
from tasks.report.drawing import Drawing

AS_OF = date(2025, 1, 2)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
SPREAD = np.array([0.55, 0.8, 1.0, 1.25, 1.6])
MODELS = {"arima": 0.24, "moving_average": 0.33, "prophet": 0.3, "seasonal_naive": 0.36, "xgboost": 0.2}


def draw_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish a page and a workbook of one line: the real ones take most of a publication's time."""
    monkeypatch.setattr("tasks.publication.transaction.render_report", lambda data: f"<p>{data.run.as_of}</p>")
    monkeypatch.setattr("tasks.publication.transaction.write_planner_workbook", _short_workbook)


def _short_workbook(folder: Path, outputs: RunOutputs, facts: RunFacts, run: RunContext) -> None:
    (folder / WORKBOOK).write_text(f"{run.as_of}")


def draw_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures of deliveries and forecasts out of the page: they take most of its time."""
    empty = Drawing("data:,", "", 1, 1)
    monkeypatch.setattr("tasks.report.charts.visits_figure", lambda *_: empty)
    monkeypatch.setattr("tasks.report.charts.visits_maps", lambda *_: [empty])
    monkeypatch.setattr("tasks.report.charts.forecast_figures", lambda _, alts, **__: [empty] * len(alts))


def settings(horizon: int = 14, **changed: Any) -> Settings:
    given = {
        "name": "shoes",
        "horizon": horizon,
        "sources": {name: {"path": f"data/{name}.csv"} for name in ("sales", "products", "stores")},
        "backtest": {"windows": 2},
        **changed,
    }
    return Settings.model_validate(given)


def context(**changed: Any) -> RunContext:
    parts = {name: changed.pop(name) for name in ("as_of", "dry_run", "stores", "categories") if name in changed}
    return RunContext(**{"settings": settings(**changed), "as_of": AS_OF, **parts})


def outputs(stores: int = 3, categories: int = 2, horizon: int = 14, seed: int = 1, as_of: date = AS_OF) -> RunOutputs:
    """Return every output table; the chosen policy is genetic."""
    made = _outputs(stores, categories, horizon, seed, as_of)
    tables = {field.name: getattr(made, field.name) for field in fields(made)}
    return replace(made, **{name: table.copy() for name, table in tables.items() if isinstance(table, pd.DataFrame)})


@cache
def _outputs(stores: int, categories: int, horizon: int, seed: int, as_of: date) -> RunOutputs:
    rng = np.random.default_rng(seed)
    store_ids = [str(101 + i) for i in range(stores)]
    names = [f"BRAND {'AB'[j % 2]}_SHOE/{j}_casual" for j in range(categories)]
    series = pd.DataFrame(
        [(store, name) for store in store_ids for name in names], columns=[c.STORE_ID, c.CATEGORY], dtype=object
    )
    size = rng.gamma(1.2, 12.0, len(series)) + 0.5
    start = pd.Timestamp(as_of)
    days = pd.date_range(start - pd.Timedelta(days=3 * horizon), periods=4 * horizon)
    rhythm = np.array([0.8, 0.7, 0.8, 1.0, 1.3, 1.8, 0.9])[days.dayofweek] * np.linspace(0.9, 1.2, len(days))
    truth = size[:, None] * rhythm[None, :]
    demand = rng.poisson(truth).astype(float)
    demand[rng.random(demand.shape) < 0.02] = np.nan
    champions = series.assign(
        **{c.MODEL: rng.choice(list(MODELS), len(series), p=[0.2, 0.05, 0.1, 0.05, 0.6]), c.WHY: "least wape"}
    )
    backtest, forecast = _forecasts(rng, series, champions, truth, demand, days, horizon)
    plan = _plan(rng, store_ids, days[-horizon:], truth, len(names))
    found = RunOutputs(
        replenishment=_targets(rng, store_ids, names, size),
        deliveries=_deliveries(rng, store_ids, start),
        forecast=forecast,
        backtest=backtest,
        metrics=_metrics(rng, series),
        champions=champions,
        visits=plan[0],
        levels=series.assign(**{c.DATE_FROM: start, c.ORDER_UP_TO: np.round(size * 9)}),
        costs=plan[1],
        quarantine=pd.DataFrame(
            {
                c.TABLE: ["sales"],
                c.FILE: ["sales.csv"],
                c.ROW_NUMBER: [17],
                c.REASON: ["units: no number"],
                "Uns": ["x"],
            }
        ),
        history=_long(series, days[: 3 * horizon], c.UNITS, demand[:, : 3 * horizon]),
        stock_by_day=plan[2],
        cleaning_log=pd.DataFrame(
            {c.TREATMENT: ["return"] * 30 + ["fault"] * 2, c.REASON: ["counts as 0"] * 30 + ["20 times the peak"] * 2}
        ),
    )
    return with_quantities_to_send(found, "DC")


def facts(**changed: Any) -> RunFacts:
    files = [
        InputFile(
            table="sales", path="/data/ventas_2024.csv", sha256="ab" * 32, rows_read=2845641, rows_accepted=2843411,
            rows_quarantined=2230,
        ),
        InputFile(
            table="stores", path="/data/stores.csv", sha256="cd" * 32, rows_read=59, rows_accepted=59,
            rows_quarantined=0,
        ),
    ]  # fmt: skip
    given = {
        "inputs": files,
        "reasons": [("sales", "units: no number", 2000), ("sales", "store_id: not in stores", 230)],
        "failures": [
            Failure(
                store_id="101", category=f"C{i}", stage="prophet", reason="fewer than 2 known periods",
                fallback="seasonal_naive",
            )
            for i in range(4)
        ],
        "seconds": {"ingest": 12.5, "plan": 30.0},
        "warnings": ["The calendar ends before the horizon: holiday was left out."],
        **changed,
    }  # fmt: skip
    return RunFacts(**given)


def _long(series: pd.DataFrame, days: pd.DatetimeIndex, column: str, values: np.ndarray) -> pd.DataFrame:
    table = series.loc[series.index.repeat(len(days))].reset_index(drop=True)
    return table.assign(**{c.DATE: np.tile(days.to_numpy(), len(series)), column: values.ravel()})


def _forecasts(rng, series, champions, truth, demand, days, horizon):
    folds, live = [], []
    for model, error in MODELS.items():
        for back in (horizon + 7, horizon, 0):
            first = 3 * horizon - back
            cut = slice(first, first + horizon)
            guess = truth[:, cut] * np.exp(error * rng.standard_normal((len(series), horizon)))
            table = _long(series, days[cut], c.MEAN, guess)
            for level, factor in zip(QUANTILES, SPREAD, strict=True):
                table[c.quantile_column(level)] = (guess * factor).ravel()
            table[c.MODEL] = model
            if back:
                folds.append(table.assign(**{c.CUTOFF: days[first], c.ACTUAL: demand[:, cut].ravel()}))
            else:
                live.append(table.assign(**{c.CHAMPION: np.repeat((champions[c.MODEL] == model).to_numpy(), horizon)}))
    return pd.concat(folds, ignore_index=True), pd.concat(live, ignore_index=True)


def _metrics(rng, series):
    rows = []
    for model, error in MODELS.items():
        blank = pd.DataFrame({c.STORE_ID: [None], c.CATEGORY: [None]}, dtype=object)
        for level, keys in (("overall", blank), ("series", series)):
            shares = rng.dirichlet([2 / error, 2, 3, 60 * error], len(keys)) * 0.999999
            figures = {name: error * rng.uniform(0.9, 1.3, len(keys)) for name in (c.WAPE, c.MASE, c.RMSSE, c.WQL)}
            bands = dict(
                zip((c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR), shares.T, strict=True)
            )
            rest = {c.MAE: 4 * error, c.RMSE: 6 * error, c.MAPE: 3.0, c.R2: 1 - error, c.BIAS: 0.01, c.COVERAGE: 0.8}
            rows.append(keys.assign(**{c.MODEL: model, c.LEVEL: level, **figures, **rest, **bands, c.N: 28}))
    return pd.concat(rows, ignore_index=True)


def _targets(rng, store_ids, names, size):
    rows = [
        (store, f"{j:03d}-{36 + k}", int(q))
        for i, store in enumerate(store_ids)
        for j in range(len(names))
        for k, q in enumerate(rng.poisson(size[i * len(names) + j] * 2, 3))
    ]
    return pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.TARGET_QUANTITY])


def _deliveries(rng, store_ids, start):
    rows = [(store, "000-36", start, float(rng.poisson(20)), 3.0, 0.0) for store in store_ids]
    return pd.DataFrame(rows, columns=[c.STORE_ID, c.SKU, c.VISIT_DATE, c.QUANTITY, c.ON_HAND, c.IN_TRANSIT])


def _plan(rng, store_ids, days, truth, categories):
    daily = truth[:, -len(days) :].reshape(len(store_ids), categories, len(days)).sum(axis=1)
    visits, tables, counts = [], [], {}
    for policy, stride, cover in (("eoq", 3, 14), ("genetic", 7, 9), ("newsvendor", 7, 8)):
        stock = np.zeros_like(daily)
        for i in range(len(store_ids)):
            held, shift = 0.0, int(rng.integers(stride))
            for t in range(len(days)):
                if t == 0 or t % stride == shift:
                    held = max(held, daily[i, t : t + cover].mean() * cover)
                    counts[policy] = counts.get(policy, 0) + 1
                    if policy == "genetic":
                        visits.append((store_ids[i], days[t]))
                stock[i, t] = held
                held = max(0.0, held - daily[i, t])
        capacity = np.where(
            np.arange(len(store_ids)) % 10 == 7, np.nan, daily.mean(axis=1) * rng.choice([11, 14, 60], len(store_ids))
        )
        over = np.clip((stock / np.nan_to_num(capacity, nan=np.inf)[:, None] - 0.9) * 5, 0, 1)
        base = pd.DataFrame({c.STORE_ID: store_ids})
        table = _long(base, days, c.STOCK, stock)
        sales = np.minimum(stock, daily)
        tables.append(
            table.assign(
                **{
                    c.POLICY: policy,
                    c.CAPACITY: np.repeat(capacity, len(days)),
                    c.SALES: sales.ravel(),
                    c.OVER: over.ravel(),
                }
            )
        )
    costs = pd.DataFrame({c.POLICY: ["eoq", "genetic", "newsvendor"]})
    costs[c.TRANSPORT] = [418.9e6, 97.5e6, 130.1e6]
    costs[c.LOST_SALES] = [551.92e6, 91.87e6, 120e6]
    costs[c.HOLDING] = [0.0, 0.0, 0.0]
    costs[c.OVER_CAPACITY] = [31e6, 2e6, 8e6]
    costs[c.TOTAL] = costs[[c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY]].sum(axis=1)
    costs[c.OVER_CAPACITY_STORE_DAYS] = [31.0, 2.13, 8.0]
    costs[c.VISITS] = [counts[policy] for policy in costs[c.POLICY]]
    costs[c.LOWER_BOUND] = 171e6
    costs[c.GAP] = costs[c.TOTAL] / costs[c.LOWER_BOUND] - 1
    costs[c.CHOSEN] = [False, True, False]
    costs[c.FILL_RATE] = [0.91, 0.984, 0.973]
    costs[c.TOTAL_P95] = costs[c.TOTAL] * 1.12
    costs[c.LIMIT_BREACHES] = ["", "", "dc_stock exceeded"]
    return pd.DataFrame(visits, columns=[c.STORE_ID, c.DATE]), costs, pd.concat(tables, ignore_index=True)
