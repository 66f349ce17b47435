"""Replay of 26 weekly runs on `grocery_weekly`: what calibrated orders cost compared with a coverage of four weeks.

Usage: .venv/bin/python benchmarks/inventory/replay_grocery.py --data ../shared/data/grocery_weekly --cache DIR

Every week label before the end of the data is an `as_of`. A run sees sales before it, forecasts with the product's
models (three folds, champions), calibrates by replay of the weeks before, plans with the product's policies and
orders up to its targets; orders become stock and goods in transit of the next week. The rule for comparison orders up
to some weeks of the 13-week moving average from the same opening stock. Weeks 3 to 26 are charged: holding per unit
left, shortage per lost unit; weeks out of stock move stock by what was sold and cost nothing.

Forecasts and targets are stored in DIR, so an interrupted replay resumes where it left off. Empty DIR after a change of
the code.
`--refit W` fits models in every W-th week only and lets them predict the weeks between: W = 26 takes minutes, W = 1
(the product) an hour. `--until N` stops after N runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, Panel
from schemas.protocols import FittedForecaster
from schemas.settings import BASELINES, Settings, digest_of
from schemas.settings.slices import CompareSlice, PlanSlice, ReplaySlice
from tasks.configuration.settings_file import load_settings
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.folds import plan_folds
from tasks.demand.ingest.validation import validate_tables
from tasks.demand.panel import build_panel
from tasks.demand.sku_facts import sku_facts
from tasks.evaluation.comparison import compare
from tasks.evaluation.replay import replay_forecasts, replay_model, replayed_cutoffs, with_champions
from tasks.forecasting.fold_forecasts import forecast_rows
from tasks.forecasting.registry import compared_models, facts, make_forecaster, model_names
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.replay.overstock_cost import calibrate
from tasks.inventory.weekly import optimize
from tasks.storage.machine import Cores, usable_cores
from tasks.storage.source_files import expand_sources, read_tables

RUNS, FREE_WEEKS, COVER, AVERAGE = 26, 2, 4.0, 13
MODELS = "models={xgboost: {}, xgboost_lags: {}, xgboost_recursive: {}, tsb: {}, ensemble: {}}"


@dataclass
class Ledger:
    """Stock of the n series, which continues from week to week."""

    on_hand: FloatArray
    coming: FloatArray
    holding: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True)
class History:
    """Actual demand; shapes (n, T); series in the order of the panel."""

    sold: FloatArray
    known: FloatArray
    settings: Settings

    def average(self, week: int) -> FloatArray:
        """Mean of the known weeks among the last 13 before a week."""
        recent = slice(week - AVERAGE, week)
        counts = self.known[:, recent].sum(axis=1)
        return (self.sold * self.known)[:, recent].sum(axis=1) / np.maximum(counts, 1)

    def opening(self, week: int) -> Ledger:
        """Four weeks of the moving average on hand, nothing in transit."""
        lead = self.settings.inventory.lead_time
        return Ledger(np.round(COVER * self.average(week)), np.zeros((self.sold.shape[0], lead)))

    def carry_on(self, stock: Ledger, level: FloatArray, week: int, charged: bool) -> None:
        """Order up to a level before a week, and simulate the week."""
        quantity = np.maximum(level - stock.on_hand - stock.coming.sum(axis=1), 0.0)
        coming = np.column_stack([stock.coming, quantity])
        there, requested, known = stock.on_hand + coming[:, 0], self.sold[:, week], self.known[:, week]
        left = np.maximum(there - requested, 0.0)
        stock.on_hand, stock.coming = left, coming[:, 1:]
        if charged:
            costs = self.settings.inventory
            stock.holding += costs.holding_cost * float((left * known).sum())
            stock.lost += float(costs.shortage_cost) * float((np.maximum(requested - there, 0.0) * known).sum())

    def cost(self, weeks: range, level: Callable[[int, Ledger], FloatArray]) -> Ledger:
        """The ledger of a rule over some weeks."""
        if not len(weeks):
            return Ledger(np.zeros(0), np.zeros((0, 0)))
        stock = self.opening(weeks[0])
        for number, week in enumerate(weeks):
            self.carry_on(stock, level(week, stock), week, number >= FREE_WEEKS)
        return stock


def remembered(cache: Path, stage: str, parts: dict[str, object], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A forecast table from the cache, or a new one."""
    file = cache / f"{stage}-{digest_of(parts)[:20]}.parquet"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        make().to_parquet(part)
        part.replace(file)
    return pd.read_parquet(file)


def stock_digest(stock: Ledger) -> str:
    """Digest of the stock on hand and in transit."""
    return digest_of([stock.on_hand.tolist(), stock.coming.tolist()])


class Weeks:
    """The runs, one `as_of` after the other."""

    def __init__(self, settings: Settings, cache: Path, tables: dict[str, pd.DataFrame], refit: int) -> None:
        self.settings, self.cache, self.tables, self.refit = settings, cache, tables, refit
        self.fits: dict[tuple[str, int], FittedForecaster] = {}
        self.notes: list[str] = []
        self.replays: list[pd.DataFrame] = []

    def levels(self, as_of: date, stock: Ledger, keys: pd.DataFrame) -> FloatArray:
        """Targets of the run of one day, in the order of the keys (store_id, sku)."""
        panel = build_panel(prepare(self.tables, self.settings, as_of)).panel
        folds = list(plan_folds(panel, self.settings.backtest.windows, self.settings.backtest.step).folds)
        compared = compare(
            [self._model(name, panel) for name in model_names(self.settings)],
            panel,
            folds,
            CompareSlice.of(self.settings, models=compared_models(self.settings)),
        )
        counted = keys.assign(**{c.ON_HAND: stock.on_hand})
        for period in range(stock.coming.shape[1]):
            counted[c.in_transit_column(period + 1)] = stock.coming[:, period]
        marks = [c.STORE_ID, c.CATEGORY, c.MODEL]
        champions = compared.champions[marks].astype(str)
        inputs = WeeklyInputs(
            forecast=compared.forecast[compared.forecast[c.CHAMPION].to_numpy()],
            backtest=compared.backtest.astype(dict.fromkeys(marks, str)).merge(champions, on=marks),
            sku_facts=sku_facts(prepare({**self.tables, "stock": counted}, self.settings, as_of)),
            stores=self.tables["stores"],
            settings=PlanSlice.of(self.settings),
            has_stock=True,
        )
        ranking = compared.overall[c.MODEL].astype(str).tolist()
        found = calibrate(inputs, panel, self._past(panel, inputs.backtest, ranking))
        self.notes.append(f"{as_of}: {found.note}")
        self.replays.append(found.table)
        plan = optimize(WeeklyInputs(**{**vars(inputs), "holding_factor": found.holding_factor}))
        targets = plan.replenishment.set_index([c.STORE_ID, c.SKU])[c.TARGET_QUANTITY]
        self.notes[-1] += f" Policy {plan.chosen}, {targets.sum():,} units."
        requested = pd.MultiIndex.from_frame(keys[[c.STORE_ID, c.SKU]].astype(str))
        return targets.reindex(requested).fillna(0).to_numpy(dtype=float)

    def _model(self, name: str, panel: Panel) -> pd.DataFrame:
        """Folds and live forecast of a model; each cutoff is cached separately, runs share their folds."""
        folds = plan_folds(panel, self.settings.backtest.windows, self.settings.backtest.step).folds
        return self._at(name, panel, [*(fold.known_periods for fold in folds), panel.history])

    def _at(self, name: str, panel: Panel, cutoffs: list[int]) -> pd.DataFrame:
        """Forecasts at some cutoffs, each by the fit that is in force there."""
        tables = []
        for known in cutoffs:
            seen = panel.until(known) if known < panel.history else panel
            fitted_at = known - known % self.refit
            parts = {"until": str(seen.horizon_periods[0].date()), "fit": fitted_at, **self._read(name)}
            tables.append(
                remembered(
                    self.cache,
                    f"cutoff-{name}",
                    parts,
                    lambda seen=seen, at=fitted_at: forecast_rows(
                        name,
                        seen,
                        self._fitted(name, seen, at).predict(seen, self.settings.quantiles),
                        self.settings.quantiles,
                    ),
                )
            )
        return pd.concat(tables, ignore_index=True)

    def _fitted(self, name: str, seen: Panel, at: int) -> FittedForecaster:
        if (name, at) not in self.fits:
            known = seen.until(at) if at < seen.history else seen
            self.fits[name, at] = make_forecaster(name, self.settings).fit(known, self.settings.seed)
        return self.fits[name, at]

    def _past(self, panel: Panel, backtest: pd.DataFrame, ranking: list[str]) -> pd.DataFrame:
        inventory, models = self.settings.inventory, self.settings.models.named()
        cutoffs = replayed_cutoffs(panel, inventory.review_period, inventory.calibration.runs)
        name = replay_model([name for name in models if facts()[name].replayable], ranking)
        use = ReplaySlice.of(self.settings, model=models.get(name))
        if self.refit > 1:
            made = self._at(name, panel, cutoffs)
        else:
            made = remembered(
                self.cache,
                f"past-{name}",
                {"cutoffs": cutoffs, "as_of": str(panel.horizon_periods[0].date()), **self._read(name)},
                lambda: replay_forecasts(panel, cutoffs, name, use, Cores(usable_cores(), usable_cores())),
            )
        return with_champions(made, backtest, self.settings.horizon)

    def _read(self, name: str) -> dict[str, object]:
        model = getattr(self.settings.models, name, None)
        return {
            "model": None if name in BASELINES or model is None else model.model_dump(mode="json"),
            **self.settings.model_dump(mode="json", include={"quantiles", "seed", "horizon", "sources"}),
        }


def main() -> None:
    """Print the table by cover, the cost of the runs and what each calibration said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/grocery_weekly"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--refit", type=int, default=1)
    parser.add_argument("--until", type=int, default=RUNS)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    own = [given.models, "expert.compute.workers=1", f"storage={given.cache}"]
    settings = load_settings(given.data / "settings.yaml", [*own, *given.overrides])
    tables = validate_tables(read_tables(expand_sources(settings.sources), settings.sources), settings).tables
    end = tables["sales"][c.DATE].max() + pd.Timedelta(weeks=1)
    whole = build_panel(prepare(tables, settings, end.date())).panel
    assert whole.sold is not None
    history = History(np.nan_to_num(whole.sold), ~np.isnan(whole.demand) * 1.0, settings)
    weeks = range(whole.history - RUNS, whole.history - RUNS + given.until)
    keys = whole.series[[c.STORE_ID, c.CATEGORY]].rename(columns={c.CATEGORY: c.SKU}).astype(str)

    rule = history.cost(weeks, lambda week, _: np.round(COVER * history.average(week)))
    reference = rule.holding + rule.lost
    for coverage in (2.0, 2.5, 3.0, 3.5, 4.0):
        found = history.cost(weeks, lambda week, _, coverage=coverage: np.round(coverage * history.average(week)))
        print(
            f"cover {coverage:3.1f}  cost {found.holding + found.lost:9,.0f}"
            f"  ratio {(found.holding + found.lost) / reference:.3f}"
        )
    runs = Weeks(settings, given.cache, tables, given.refit)

    def level(week: int, stock: Ledger) -> FloatArray:
        kept = given.cache / f"targets-{digest_of([week, given.refit, own, stock_digest(stock)])[:20]}.npy"
        if kept.exists():
            return np.load(kept)
        targets = runs.levels(whole.periods[week].date(), stock, keys)
        np.save(kept, targets)
        so_far = history.cost(range(weeks[0], week), lambda w, _: np.round(COVER * history.average(w)))
        print(runs.notes[-1])
        print(
            f"  until then holding {stock.holding:,.0f}, lost {stock.lost:,.0f}; cover {COVER:g}: "
            f"{so_far.holding + so_far.lost:,.0f}",
            flush=True,
        )
        return targets

    found = history.cost(weeks, level)
    if given.until < RUNS:
        print("the first runs only: no ratio to compare with the figure")
    if runs.replays:
        table = pd.concat(runs.replays).groupby(c.HOLDING_FACTOR)[[c.SERVICE_LEVEL, c.TOTAL]].mean()
        print(f"replay cost by service level, mean over {len(runs.replays)} runs\n{table}")
    print(
        f"weekly runs: holding {found.holding:,.0f}, lost {found.lost:,.0f}, "
        f"ratio {(found.holding + found.lost) / reference:.4f}"
    )


if __name__ == "__main__":
    main()
