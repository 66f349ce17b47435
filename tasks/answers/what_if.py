"""``restock what-if``: plan a published run again with other constraints or costs. The run's files do not change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.outputs import COSTS, OutputTable
from schemas.plan import BoolArray
from schemas.protocols import ReportProgress
from schemas.run import RunContext
from schemas.settings import OutputSettings
from schemas.settings.slices import PlanSlice
from tasks.inventory.inputs import weekly_inputs
from tasks.inventory.model.weekly_problem import WeeklyInputs
from tasks.inventory.weekly import WeeklyPlan, optimize
from tasks.publication.csv_format import csv_bytes
from tasks.publication.earlier_runs import EarlierRun, plan_inputs_of, published, run_key
from tasks.publication.overrides import apply_overrides
from tasks.report.costs import ALL_DEMAND
from tasks.report.formats import percent, quantity
from tasks.storage.lake import Lake, open_lake

_MEASURES = {
    c.TRANSPORT: "Transport",
    c.LOST_SALES: "Lost sales",
    c.HOLDING: "Holding",
    c.OVER_CAPACITY: "Over capacity",
    c.TOTAL: "Total",
    c.OVER_CAPACITY_STORE_DAYS: "Store-periods over capacity",
    c.VISITS: "Deliveries",
    c.FILL_RATE: "Share of demand served",
    c.LOWER_BOUND: "Lower bound",
}
_UNITS = "Target stock, units"
_WIDTH, _NAME = 16, 30
_PUBLISHED, _ASKED, _CHANGE = "published", "what_if", "change"
_SHOWN = 10
OVERRIDES_TABLE = "overrides"


@dataclass(frozen=True)
class Promotion:
    """A promotion that the run did not know: the forecast of a category is multiplied on some days.

    Attributes:
        category: category of the SKUs.
        first: first day.
        last: last day.
        uplift: factor of the forecast.
    """

    category: str
    first: date
    last: date
    uplift: float


@dataclass(frozen=True)
class Factors:
    """Factors that multiply the inputs of a run; 1 changes nothing.

    Attributes:
        capacity: Factor of every store's storage capacity.
        visit_cost: Factor of every store's delivery cost.
        dc_stock: Factor of the DC stock of every SKU; the result is rounded down.
        demand: Factor of every forecast.
        promotion: Further promotion; None = none.
    """

    capacity: float = 1.0
    visit_cost: float = 1.0
    dc_stock: float = 1.0
    demand: float = 1.0
    promotion: Promotion | None = None


@dataclass(frozen=True)
class Replanned:
    """A published run that was planned again.

    Attributes:
        before: cost table of the published run.
        plan: the new plan.
        changes: store_id, category, sku, published, what_if and change of every target that differs after the
            planners' overrides; the largest change first.
        targets: the new targets after the planners' overrides: store_id, sku, category, target_quantity.
        units_before: published target stock in units.
        units: new target stock in units.
        settings_changed: the settings file has changed since the run was published.
    """

    before: pd.DataFrame
    plan: WeeklyPlan
    changes: pd.DataFrame
    targets: pd.DataFrame
    units_before: float
    units: float
    settings_changed: bool


def published_costs(run: RunContext) -> pd.DataFrame:
    """Return the cost table of a published run.

    Raises:
        ConfigError: The run does not exist.
    """
    return _published_run(open_lake(run.settings.storage), run).table(COSTS)


def plan_again(
    run: RunContext, changed: RunContext, factors: Factors, progress: ReportProgress | None = None
) -> Replanned:
    """Plan a published run again with other settings or inputs; the arguments are those of :func:`what_if`."""
    lake = open_lake(run.settings.storage)
    earlier = _published_run(lake, run)
    given = plan_inputs_of(lake, run_key(run.as_of))
    inputs = _multiplied(weekly_inputs(lake, PlanSlice.of(changed.settings), run.as_of, given), factors)
    targets = earlier.targets()
    plan = optimize(inputs, progress)
    asked = _with_overrides(plan, earlier)
    return Replanned(
        before=earlier.table(COSTS),
        plan=plan,
        changes=target_changes(targets, asked),
        targets=asked,
        units_before=float(targets[c.TARGET_QUANTITY].sum()),
        units=float(asked[c.TARGET_QUANTITY].sum()),
        settings_changed=earlier.manifest.get("settings_sha256") != run.settings.digest(),
    )


def what_if(
    run: RunContext,
    changed: RunContext,
    factors: Factors,
    progress: ReportProgress | None = None,
    output: Path | None = None,
) -> list[str]:
    """Plan a published run again and compare the plans.

    Args:
        run: Settings of the settings file, and the run date of the published run.
        changed: The settings to plan with.
        factors: Factors of the run's inputs.
        progress: Called with the progress of the searches.
        output: CSV file that receives every changed target; None writes nothing.

    Returns:
        Lines of text: costs of the published and of the new plan, totals by policy, the targets that change by store,
        category and SKU (after the planners' overrides), and shortages by constraint.

    Raises:
        ConfigError: The run does not exist, or the input of a factor does not exist.
        StorageError: The inputs of the published plan are no longer in the lake.
    """
    found = plan_again(run, changed, factors, progress)
    changes = found.changes
    if output is not None:
        table = OutputTable("changes", output.name, tuple(changes.columns), (c.STORE_ID, c.SKU))
        output.write_bytes(csv_bytes(changes, list(changes.columns), table, OutputSettings()))
    notes = []
    if found.settings_changed:
        notes.append(
            "The settings or the version of Restock have changed since the run was published. This may explain part of "
            "the change."
        )
    return [
        *_compared_plans(found.before, (found.units_before, found.units), found.plan),
        "",
        *_by_policy(found.before, found.plan),
        "",
        *_what_changes(changes, found.targets),
        "",
        *notes,
        *_shortfalls(found.plan),
    ]


def _with_overrides(plan: WeeklyPlan, earlier: EarlierRun) -> pd.DataFrame:
    """The new plan's targets after the planners' overrides of the published run."""
    given = [row for row in earlier.manifest.get(OVERRIDES_TABLE, []) if row.get(c.ACTION)]
    if not given:
        return plan.replenishment
    rows = pd.DataFrame(given)
    for name in (c.DATE_FROM, c.DATE_TO):
        rows[name] = pd.to_datetime(rows[name])
    scope = [name for name in (c.STORE_ID, c.SKU, c.CATEGORY) if name in rows.columns]
    rows = rows.assign(**{name: rows[name].where(rows[name].notna() & (rows[name] != "")) for name in scope})
    return apply_overrides(plan.replenishment, rows, earlier.as_of, plan.explanations).targets


def target_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose target differs: store_id, category, sku, published, what_if and change; the largest change first."""
    keys = [c.STORE_ID, c.SKU]
    old = before.astype(dict.fromkeys(keys, str)).set_index(keys)[c.TARGET_QUANTITY]
    new = after.astype(dict.fromkeys(keys, str)).set_index(keys)
    both = pd.DataFrame({_PUBLISHED: old, _ASKED: new[c.TARGET_QUANTITY]}).fillna(0).astype(np.int64)
    both = both.assign(**{c.CATEGORY: new[c.CATEGORY].astype(object).reindex(both.index).fillna("")})
    both = both[both[_PUBLISHED] != both[_ASKED]].reset_index()
    both[_CHANGE] = both[_ASKED] - both[_PUBLISHED]
    both = both.sort_values(keys, kind="stable", ignore_index=True)
    largest = np.argsort(-both[_CHANGE].abs().to_numpy(), kind="stable")
    return both.iloc[largest][[c.STORE_ID, c.CATEGORY, c.SKU, _PUBLISHED, _ASKED, _CHANGE]].reset_index(drop=True)


def _what_changes(changes: pd.DataFrame, targets: pd.DataFrame) -> list[str]:
    """Lines with the stores, categories and SKUs whose targets change most; totals are of all their targets."""
    if changes.empty:
        return ["No target changes."]
    lines = [f"{len(changes):,} targets change. Target stock where it changes most, in units:"]
    for column, words in ((c.STORE_ID, "by store"), (c.CATEGORY, "by category")):
        asked = targets.groupby(targets[column].astype(str))[c.TARGET_QUANTITY].sum()
        change = changes.groupby(changes[column].astype(str))[_CHANGE].sum()
        asked = asked.reindex(change.index).fillna(0)
        totals = pd.DataFrame({_PUBLISHED: asked - change, _ASKED: asked})[change != 0]
        order = (totals[_ASKED] - totals[_PUBLISHED]).abs().sort_values(ascending=False, kind="stable").index
        lines += ["", _line(words, "published", "what if", "change")]
        for key in order[:_SHOWN]:
            old, new = (float(totals.loc[key, name]) for name in (_PUBLISHED, _ASKED))
            lines.append(_compared(str(key), old, new, False))
        lines += [f"  and {len(order) - _SHOWN} more"] if len(order) > _SHOWN else []
    lines += ["", _line("by store and SKU", "published", "what if", "change")]
    for row in changes.head(_SHOWN).to_dict("records"):
        lines.append(_compared(f"{row[c.STORE_ID]} / {row[c.SKU]}", float(row[_PUBLISHED]), float(row[_ASKED]), False))
    if len(changes) > _SHOWN:
        lines.append(f"  and {len(changes) - _SHOWN:,} more; --csv FILE writes all of them")
    return lines


def _published_run(lake: Lake, run: RunContext) -> EarlierRun:
    earlier = published(lake, run.as_of)
    if earlier is None:
        raise ConfigError(
            f"--as-of {run.as_of}: {lake.uri(run_key(run.as_of))} does not contain a published run to compare "
            f"with. To create it: restock weekly --settings FILE --as-of {run.as_of}"
        )
    return earlier


def _multiplied(inputs: WeeklyInputs, factors: Factors) -> WeeklyInputs:
    stores = inputs.stores
    for option, column, factor in (
        ("--capacity", c.STORAGE_CAPACITY, factors.capacity),
        ("--visit-cost", c.VISIT_COST, factors.visit_cost),
    ):
        if factor == 1.0:
            continue
        if column not in stores.columns or stores[column].isna().all():
            raise ConfigError(f"{option} {factor:g}: no store has a {column}.")
        stores = stores.assign(**{column: stores[column].astype(float) * factor})
    dc_stock = inputs.dc_stock
    if factors.dc_stock != 1.0:
        if dc_stock is None:
            raise ConfigError(f"--dc-stock {factors.dc_stock:g}: the run has no table dc_stock.")
        dc_stock = dc_stock.assign(**{c.AVAILABLE: np.floor(dc_stock[c.AVAILABLE].astype(float) * factors.dc_stock)})
    uplift = np.full(len(inputs.forecast), factors.demand)
    if factors.promotion is not None:
        uplift[_promoted(inputs.forecast, factors.promotion)] *= factors.promotion.uplift
    numbers = [c.MEAN, *c.quantile_columns(inputs.settings.quantiles)]
    forecast = inputs.forecast.assign(**{name: inputs.forecast[name].astype(float) * uplift for name in numbers})
    return replace(inputs, stores=stores, dc_stock=dc_stock, forecast=forecast)


def _promoted(forecast: pd.DataFrame, promotion: Promotion) -> BoolArray:
    """Rows of the forecast that a promotion multiplies."""
    days = pd.to_datetime(forecast[c.DATE])
    chosen: BoolArray = forecast[c.CATEGORY].astype(str).eq(promotion.category).to_numpy()
    chosen &= ((days >= pd.Timestamp(promotion.first)) & (days <= pd.Timestamp(promotion.last))).to_numpy()
    if not chosen.any():
        raise ConfigError(
            f"promotion: the forecast has no period of the category {promotion.category} from {promotion.first} to "
            f"{promotion.last}. Choose a category of the run and days within its horizon."
        )
    return chosen


def _chosen(costs: pd.DataFrame) -> pd.Series:
    return costs[costs[c.CHOSEN].astype(bool)].iloc[0]


def _compared_plans(before: pd.DataFrame, units: tuple[float, float], plan: WeeklyPlan) -> list[str]:
    old, new = _chosen(before), _chosen(plan.costs)
    lines = [_line("", "published", "what if", "change"), _line("Policy", old[c.POLICY], new[c.POLICY], "")]
    for column, name in _MEASURES.items():
        if column in old.index and column in new.index:
            lines.append(_compared(name, float(old[column]), float(new[column]), column == c.FILL_RATE))
    return [*lines, _compared(_UNITS, *units, False)]


def _by_policy(before: pd.DataFrame, plan: WeeklyPlan) -> list[str]:
    old = before.set_index(c.POLICY)[c.TOTAL]
    lines = [_line("Total by policy", "published", "what if", "change")]
    for name, total in zip(plan.costs[c.POLICY], plan.costs[c.TOTAL], strict=True):
        lines.append(_compared(str(name), float(old.get(name, np.nan)), float(total), False))
    return lines


def _shortfalls(plan: WeeklyPlan) -> list[str]:
    counts = plan.shortages[c.LIMIT].value_counts()
    named = ", ".join(f"{limit} {count}" for limit, count in sorted(counts.items()))
    served = float(_chosen(plan.costs)[c.FILL_RATE])
    if named:
        return [f"Shortages by constraint: {named}. Share of demand served: {percent(served)}."]
    if served < ALL_DEMAND:
        return [f"No constraint allocates less than requested. Share of demand served: {percent(served)}."]
    return ["No constraint is binding; all demand is met."]


def _compared(name: str, old: float, new: float, fraction: bool) -> str:
    show = percent if fraction else quantity
    change = percent(new / old - 1, signed=True) if np.isfinite(old) and old else ("" if old == new else "new")
    return _line(name, show(old), show(new), change)


def _line(name: str, *cells: str) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)
