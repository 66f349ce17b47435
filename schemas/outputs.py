"""The tables and facts that a run passes to its publication (docs/reference/contract.md#outputs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.metrics import METRICS
from schemas.records import Approval, BilledJob, Failure, InputFile, Summary

REPLENISHMENT = "replenishment.csv"
REPORT = "report.html"
MANIFEST = "manifest.json"
EXPLANATIONS = "explanations.parquet"
WORKBOOK = "replenishment.xlsx"


@dataclass(frozen=True)
class OutputTable:
    """One output table.

    Attributes:
        name: field of :class:`RunOutputs`.
        file: file name in the run's folder; its ending is its format.
        columns: the contract's columns, written first and in this order; further ones follow.
        key: columns that rows are sorted by.
        unique: no two rows may share a key.
        nullable: key columns that may be empty.
        dates: columns that hold dates.
        exact_ids: a CSV file that programs read: ids are written unchanged (see
            :mod:`tasks.publication.csv_format`).
        renamed: a CSV file whose columns are renamed by ``output.columns``.
    """

    name: str
    file: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    unique: bool = True
    nullable: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    exact_ids: bool = False
    renamed: bool = True


SERIES = (c.STORE_ID, c.CATEGORY)
PAIR = (c.STORE_ID, c.SKU)
PLANNED = "planned"
OVERRIDES_COLUMN = "overrides"
OVERRIDDEN = OutputTable(
    "overridden",
    "overrides.csv",
    (*PAIR, PLANNED, c.TARGET_QUANTITY, OVERRIDES_COLUMN),
    PAIR,
)
TARGETS = OutputTable("replenishment", REPLENISHMENT, (*PAIR, c.TARGET_QUANTITY), PAIR, exact_ids=True)
# Columns of the ERP's file after the first three, in this order; the setting `output.extra_columns` selects them.
EXTRA_COLUMNS = (c.TO_SEND, c.PRODUCT_NAME, c.SIZE, c.COLOR)
TRANSFERS = OutputTable(
    "transfers",
    "transfers.csv",
    (c.FROM, *PAIR, c.QUANTITY, c.DELIVERY_DATE),
    PAIR,
    dates=(c.DELIVERY_DATE,),
    exact_ids=True,
)
# Status of a delivery: quantities of the next delivery are firm, those of later ones are expected values.
FIRM = "firm"
EXPECTED = "expected"
_REJECTED = ((c.TABLE, c.ROW_NUMBER, c.REASON), (c.TABLE, c.FILE, c.ROW_NUMBER))
REJECTED_ROWS = OutputTable("quarantine", "quarantine.csv", *_REJECTED, unique=False, renamed=False)
METRIC_COLUMNS = (*METRICS, c.N)
COST_COLUMNS = (
    *(c.POLICY, c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY, c.TOTAL),
    *(c.OVER_CAPACITY_STORE_DAYS, c.VISITS, c.LOWER_BOUND, c.GAP, c.CHOSEN, c.FILL_RATE),
)

COSTS = OutputTable("costs", "costs.csv", COST_COLUMNS, (c.POLICY,))


def output_tables(quantiles: Sequence[float]) -> tuple[OutputTable, ...]:
    """Every output table that each run has except the ERP's file, for the set quantile levels."""
    forecast = (c.MODEL, c.MEAN, *c.quantile_columns(list(quantiles)))
    deliveries = (*PAIR, c.VISIT_DATE, c.QUANTITY, c.ON_HAND, c.IN_TRANSIT, c.STATUS)
    live = (*SERIES, c.DATE)
    return (
        TRANSFERS,
        OutputTable("deliveries", "deliveries.csv", deliveries, deliveries[:3], dates=(c.VISIT_DATE,)),
        OutputTable(
            "forecast", "forecast.parquet", (*live, *forecast, c.CHAMPION), (*SERIES, c.MODEL, c.DATE), dates=(c.DATE,)
        ),
        OutputTable(
            "backtest",
            "backtest.parquet",
            (c.CUTOFF, *live, c.MODEL, c.ACTUAL, *forecast[1:]),
            (c.CUTOFF, *SERIES, c.MODEL, c.DATE),
            dates=(c.CUTOFF, c.DATE),
        ),
        OutputTable(
            "metrics",
            "metrics.parquet",
            (c.MODEL, c.LEVEL, *SERIES, *METRIC_COLUMNS),
            (c.LEVEL, *SERIES, c.MODEL),
            nullable=SERIES,
        ),
        OutputTable("champions", "champions.parquet", (*SERIES, c.MODEL, c.WHY), SERIES),
        OutputTable("visits", "visits.csv", (c.STORE_ID, c.DATE), (c.STORE_ID, c.DATE), dates=(c.DATE,)),
        OutputTable(
            "levels",
            "levels.csv",
            (*SERIES, c.DATE_FROM, c.ORDER_UP_TO),
            (*SERIES, c.DATE_FROM),
            dates=(c.DATE_FROM,),
        ),
        COSTS,
        OutputTable("quarantine", "quarantine.parquet", *_REJECTED, unique=False),
        REJECTED_ROWS,
    )


@dataclass(frozen=True)
class RunOutputs:
    """The tables of one run (docs/reference/contract.md#outputs); rows in any order, further columns are kept.

    Attributes:
        replenishment: store_id, sku, target_quantity, to_send.
        deliveries: store_id, sku, visit_date, quantity, on_hand, in_transit, status (firm or expected).
        forecast: store_id, category, date, model, mean, one column per quantile, champion.
        backtest: cutoff, store_id, category, date, model, actual, mean, one column per quantile.
        metrics: model, level, store_id, category (empty if they do not belong) and the metrics.
        champions: store_id, category, model, why.
        visits: store_id, date.
        levels: store_id, category, date_from, order_up_to.
        costs: one row per policy.
        quarantine: every rejected row.
        history: store_id, category, date, units (NaN = unknown) of the recent past; for the figures.
        stock_by_day: policy, store_id, date, stock (expected units after the delivery), capacity (NaN =
            unlimited), sales (expected units), over (share of paths over capacity); for the figures.
        cleaning_log: treatment and reason, one row per changed sale; for the report.
        category_totals: store_id, category, target_quantity that the SKU targets must add up to; then
            replenishment needs a category column (which is not published).
        explanations: one row per (store, SKU): how its target was computed (see
            ``tasks.inventory.allocation.explanations``); published with the other files.
        shortages: shortages by constraint, store, category and SKU; published as ``shortages.csv``.
        overridden: the pairs whose target was changed by planners' overrides (:mod:`tasks.publication.overrides`);
            published as ``overrides.csv`` if there are overrides.
        products: one row per SKU: sku, unit_price, and those of product_name, size and color (text, empty =
            unknown) that the products table has.
        last_year: store_id, category, date, units (NaN = unknown): sales 52 weeks (12 months) before each forecast
            period; ``date`` is the label of the forecast period.
        transfers: from, store_id, sku, quantity, delivery_date of everything to send now
            (:mod:`tasks.publication.to_send`).
    """

    replenishment: pd.DataFrame
    deliveries: pd.DataFrame
    forecast: pd.DataFrame
    backtest: pd.DataFrame
    metrics: pd.DataFrame
    champions: pd.DataFrame
    visits: pd.DataFrame
    levels: pd.DataFrame
    costs: pd.DataFrame
    quarantine: pd.DataFrame
    history: pd.DataFrame | None = None
    stock_by_day: pd.DataFrame | None = None
    cleaning_log: pd.DataFrame | None = None
    category_totals: pd.DataFrame | None = None
    explanations: pd.DataFrame | None = None
    shortages: pd.DataFrame | None = None
    overridden: pd.DataFrame | None = None
    products: pd.DataFrame | None = None
    last_year: pd.DataFrame | None = None
    transfers: pd.DataFrame | None = None


@dataclass(frozen=True)
class RunFacts:
    """Facts about a run in addition to its tables.

    Attributes:
        inputs: one entry per source file.
        reasons: table, reason and number of rows rejected for it.
        failures: series that a stage could not serve, and what served them.
        alarms: alarms of all stages, in the order of the stages.
        totals: totals of the replenishment file (``tasks.publication.guards.Totals``); in the manifest only.
        sales_end: date of the latest accepted sale before the run date; None = unknown.
        warnings: what the reader of the report should know first.
        notes: remarks of the stages, by topic; in the report only.
        seconds: stage to its running time in seconds; in the manifest only.
        stock_given: whether opening stock was given; without it the report says that it is 0.
        summary: further small tables for the report, by title.
        overrides: every planner's override and its effect, as JSON values.
        billed: SageMaker jobs and the seconds that they are charged for; in the manifest only.
        model_files: SHA-256 by model and name of files outside the lake that it reads; in the manifest only.
        plan_inputs: references to the inputs of the plan; in the manifest only.
        approval: who approved the publication, if the run required an approval; in the manifest only.
        changes: drift of inputs and of forecast errors: rows of the performance table ``drift``; in the report only.
        replaces: checksum and approval of the file of the same date that was published before; in the
            manifest only.
    """

    inputs: Sequence[InputFile] = ()
    reasons: Sequence[tuple[str, str, int]] = ()
    failures: Sequence[Failure] = ()
    alarms: Sequence[Alarm] = ()
    totals: Mapping[str, Any] = field(default_factory=dict)
    sales_end: date | None = None
    warnings: Sequence[str] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    stock_given: bool = True
    summary: Summary = field(default_factory=dict)
    overrides: Sequence[Mapping[str, Any]] = ()
    billed: Sequence[BilledJob] = ()
    model_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    plan_inputs: Mapping[str, Any] = field(default_factory=dict)
    approval: Approval | None = None
    changes: Sequence[Mapping[str, Any]] = ()
    replaces: Mapping[str, Any] | None = None


EXPLANATION_TABLE = OutputTable(
    "explanations",
    EXPLANATIONS,
    (c.STORE_ID, c.SKU, c.TARGET_QUANTITY, c.LIMIT),
    (c.STORE_ID, c.SKU),
    dates=(c.VISIT_DATE, c.NEXT_VISIT, c.COVERED_FROM),
)


SHORTAGE_TABLE = OutputTable(
    "shortages",
    "shortages.csv",
    (*SERIES, c.SKU, c.LIMIT, c.REQUESTED, c.ALLOCATED, c.REASON),
    (c.LIMIT, *SERIES, c.SKU, c.REASON),
    unique=False,
)

# Columns of costs.csv after the listed ones.
_MORE_COSTS = (c.TOTAL_P95, c.MISSED_WEEKS, c.VALID, c.LIMIT_BREACHES, c.BOUND_HOLDS_FOR)


def csv_columns(extra: Sequence[str] = EXTRA_COLUMNS) -> dict[str, tuple[str, ...]]:
    """Map each CSV file whose columns ``output.columns`` renames to its columns.

    Args:
        extra: columns of the ERP's file after the first three.
    """
    tables = (TARGETS, *output_tables([0.5]), SHORTAGE_TABLE, OVERRIDDEN)
    found = {table.file: table.columns for table in tables if table.file.endswith(".csv") and table.renamed}
    found[TARGETS.file] += tuple(extra)
    found[COSTS.file] += _MORE_COSTS
    return found


@dataclass(frozen=True)
class EarlierWeek:
    """The tables of the last earlier publication that the report compares with.

    Attributes:
        as_of: its run date.
        to_send: store_id, sku, to_send (units) of its targets; None if it cannot be read.
        forecast: store_id, category, date, mean of its champions; None if it cannot be read.
    """

    as_of: date
    to_send: pd.DataFrame | None
    forecast: pd.DataFrame | None


BEFORE = "before"
AFTER = "after"
CHANGE = "change"


@dataclass(frozen=True)
class Change:
    """The difference between two replenishment files.

    Attributes:
        against: ``as_of`` of the earlier file.
        pairs: (store, SKU) pairs in either file.
        rows: store_id, sku, before, after and change (units) of every pair whose target changed, the
            largest change first.
    """

    against: date
    pairs: int
    rows: pd.DataFrame

    @property
    def share(self) -> float:
        """Changed pairs per pair, as a fraction; 0 where neither file has a pair."""
        return len(self.rows) / self.pairs if self.pairs else 0.0
