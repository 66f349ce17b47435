"""The accuracy guard: errors of the champions on generated chains whose future is known.

``python -m tests.golden.accuracy_guard`` prints the figures; ``--record`` stores them, ``--set MODULE:NAME=VALUE``
replaces a constant of the product first (see README.md).
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from schemas.panel import Fold, Panel
from schemas.settings import Settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.folds import rolling_folds
from tasks.demand.panel import build_panel
from tasks.evaluation.comparison import compare
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.forecasting.registry import make_forecaster, model_names
from tests.golden.chain import Size, generate_chain

FIGURES = Path(__file__).parent / "accuracy.json"
# How far a figure may rise above, or fall below, the stored one.
TOLERANCE = 0.02
ROOMS = ("schemas", "tasks")
AS_OF = "2024-06-03"
SEED = 5

# Fewer rows and rounds than the defaults, so that the weekly chain takes half a minute on one core.
TREES = {"max_rows": 8_000, "max_rounds": 50, "params": {"learning_rate": 0.12}}
MODELS = {
    "xgboost": {**TREES, "max_rounds": 40, "params": {"learning_rate": 0.1}},
    "xgboost_lags": TREES,
    "xgboost_recursive": TREES,
    "tsb": {},
    "ensemble": {},
}
CASES: dict[str, tuple[Size, dict[str, object]]] = {
    "daily": (Size(stores=10, skus=12, days=790, hidden=28, level=3.0), {"frequency": "D", "horizon": 28}),
    "weekly": (
        Size(stores=10, skus=12, days=7 * 124, hidden=7 * 10, level=0.8),
        {"frequency": "W-MON", "aggregate": True, "horizon": 10},
    ),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One generated chain as the product sees it, and what it must not see.

    Attributes:
        settings: of the run.
        panel: history and horizon.
        folds: of the backtest.
        actual: one row per series and period of the horizon: store_id, category, date, actual.
    """

    settings: Settings
    panel: Panel
    folds: Sequence[Fold]
    actual: pd.DataFrame


def build_case(name: str) -> Case:
    """The chain of a name, cut at ``as_of``."""
    size, given = CASES[name]
    chain = generate_chain(size, AS_OF, SEED)
    settings = Settings.model_validate(
        {
            "name": name,
            "country": "CL",
            "sources": {table: {"path": f"{table}.csv"} for table in chain.tables},
            "models": MODELS,
            "backtest": {"windows": 2, "extra_folds": 2},
            "compute": {"workers": 1},
            **given,
        }
    )
    panel = build_panel(prepare(chain.tables, settings, chain.as_of.date())).panel
    return Case(settings, panel, rolling_folds(panel, **settings.backtest.model_dump()), _actual(chain.tables, panel))


def _actual(tables: Mapping[str, pd.DataFrame], panel: Panel) -> pd.DataFrame:
    sales = tables["sales"]
    labels = panel.horizon_periods
    after = sales[sales["date"] >= labels[0]]
    period = labels[labels.searchsorted(after["date"], side="right") - 1]
    sold = after.assign(date=period).groupby(["store_id", "sku", "date"])["units"].sum()
    keys = panel.series[["store_id", "category"]].astype(str)
    wanted = keys.merge(pd.DataFrame({"date": labels}), how="cross")
    found = sold.reindex(pd.MultiIndex.from_frame(wanted), fill_value=0.0)
    return wanted.assign(actual=found.to_numpy())


def forecast_case(case: Case, models: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
    """The forecasts of every model, for the folds and the hidden horizon.

    Args:
        case: the chain.
        models: only these; all models of the settings where None.
    """
    settings = case.settings
    return {
        name: forecast_folds(
            make_forecaster(name, settings), case.panel, case.folds, True, settings.quantiles, settings.seed
        ).rows()
        for name in (model_names(settings) if models is None else models)
    }


def score_case(case: Case, forecasts: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Let the product choose champions, and hold them against the hidden horizon and against the folds.

    Returns:
        ``wape`` (sum of absolute errors of the median over units sold) and ``wql`` (mean over the quantile levels of
        twice the pinball loss over units sold) on the hidden horizon; ``folds_wape`` and ``folds_wql`` on the folds.
    """
    found = compare(list(forecasts.values()), case.panel, case.folds, case.settings)
    keys = ["store_id", "category"]
    live = found.forecast[found.forecast["champion"]].astype(dict.fromkeys(keys, str))
    hidden = live.merge(case.actual, on=[*keys, "date"], how="inner")
    if len(hidden) != len(case.actual):
        raise AssertionError(f"{len(hidden)} of {len(case.actual)} hidden periods have a champion's forecast")
    chosen = found.champions[[*keys, "model"]].astype(str)
    folds = found.backtest.astype(dict.fromkeys([*keys, "model"], str)).merge(chosen, on=[*keys, "model"])
    levels = case.settings.quantiles
    return {**_errors(hidden, levels), **{f"folds_{name}": value for name, value in _errors(folds, levels).items()}}


def _errors(rows: pd.DataFrame, levels: Sequence[float]) -> dict[str, float]:
    """WAPE and weighted quantile loss, written out here so that no change of the product's metrics moves them."""
    rows = rows[rows["actual"].notna()]
    actual = rows["actual"].to_numpy(np.float64)
    pinball = []
    for level in levels:
        error = actual - rows[f"q{level:g}"].to_numpy(np.float64)
        pinball.append(2 * np.maximum(level * error, (level - 1) * error).sum())
    absolute = np.abs(actual - rows["q0.5"].to_numpy(np.float64)).sum()
    return {"wape": float(absolute / actual.sum()), "wql": float(np.mean(pinball) / actual.sum())}


def score(cases: Sequence[str] = tuple(CASES), constants: Mapping[str, object] | None = None) -> dict[str, float]:
    """The guard's figures, in this process.

    Args:
        cases: names of :data:`CASES`.
        constants: ``module:NAME`` or ``module:NAME.field`` to the value that takes its place (see :func:`replaced`).

    Returns:
        ``wape`` and ``wql`` on the hidden horizons, the mean over the cases; then every figure of
        :func:`score_case` as ``CASE.FIGURE``.
    """
    with replaced(constants or {}):
        by_case = {}
        for name in cases:
            case = build_case(name)
            by_case[name] = score_case(case, forecast_case(case))
    means = {name: float(np.mean([figures[name] for figures in by_case.values()])) for name in ("wape", "wql")}
    return {**means, **{f"{case}.{name}": value for case, found in by_case.items() for name, value in found.items()}}


@contextmanager
def replaced(constants: Mapping[str, object]) -> Iterator[None]:
    """Replace constants of the product's modules while this is open.

    A constant that other modules imported by name is replaced there as well. Constants that were used while a module
    was imported (default arguments, other constants) and those inside functions that numba has compiled keep their
    values.

    Args:
        constants: ``module:NAME``, or ``module:NAME.field`` where NAME is a frozen dataclass, to the new value.

    Raises:
        AttributeError: a module has no such constant.
    """
    undo: list[tuple[Any, str, object]] = []
    try:
        for path, value in constants.items():
            module, name = path.split(":")
            name, _, attribute = name.partition(".")
            old = getattr(importlib.import_module(module), name)
            new = dataclasses.replace(old, **{attribute: value}) if attribute else value
            for place in _holders(module, name, old):
                undo.append((place, name, old))
                setattr(place, name, new)
        yield
    finally:
        for place, name, old in reversed(undo):
            setattr(place, name, old)


def _holders(module: str, name: str, value: object) -> list[Any]:
    """The modules of the product that hold the constant: its own, and those that imported it by name."""
    holders = [sys.modules[module]]
    for other, loaded in list(sys.modules.items()):
        if other != module and other.split(".")[0] in ROOMS and vars(loaded).get(name) is value:
            holders.append(loaded)
    return holders


def read_figures() -> dict[str, float]:
    """The stored figures."""
    return dict(json.loads(FIGURES.read_text(encoding="utf-8")))


def deviations(stored: Mapping[str, float], found: Mapping[str, float], tolerance: float = TOLERANCE) -> list[str]:
    """One line per figure that is further from the stored one than the tolerance, or missing.

    >>> deviations({"wape": 0.5, "wql": 0.3}, {"wape": 0.512, "wql": 0.305})
    ['wape: stored 0.5000, found 0.5120 (+2.4 %)']
    """
    lines = []
    for name in dict.fromkeys([*stored, *found]):
        if name not in stored or name not in found:
            lines.append(f"{name}: {'not stored' if name in found else 'not found'}")
        elif abs(found[name] / stored[name] - 1) > tolerance:
            change = 100 * (found[name] / stored[name] - 1)
            lines.append(f"{name}: stored {stored[name]:.4f}, found {found[name]:.4f} ({change:+.1f} %)")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures next to the stored ones; ``--record`` stores them."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.accuracy_guard", description=__doc__)
    parser.add_argument("--record", action="store_true", help="Store the figures found.")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="MODULE:NAME=VALUE",
        help="Replace a constant of the product; VALUE is a Python literal. Repeatable.",
    )
    given = parser.parse_args(arguments)
    constants = dict(text.split("=", 1) for text in given.set)
    began = time.process_time()
    found = score(constants={path: ast.literal_eval(value) for path, value in constants.items()})
    stored = read_figures() if FIGURES.exists() else {}
    for name, value in found.items():
        change = f"  stored {stored[name]:.4f}  {100 * (value / stored[name] - 1):+.2f} %" if name in stored else ""
        sys.stdout.write(f"{name:20}{value:.4f}{change}\n")
    sys.stdout.write(f"{time.process_time() - began:.0f} seconds of processor time\n")
    if given.record:
        text = json.dumps({name: round(value, 6) for name, value in found.items()}, indent=2)
        FIGURES.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
