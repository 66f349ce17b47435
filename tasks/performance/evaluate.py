"""Evaluate every published week whose sales have become known, or have changed, since its last evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import PublicationError, StorageError
from schemas.outputs import EXPLANATIONS, REPLENISHMENT
from schemas.performance import (
    ACCURACY,
    ACTUALS,
    CHALLENGER_WEEKS,
    CHALLENGERS,
    CHAMPION,
    DRIFT,
    EVALUATIONS,
    OVERRIDE_VALUE,
    PLAN_COSTS,
    PROFILES,
    SERVICE,
    VALUE_ADDED,
    PerformanceTable,
    Step,
)
from schemas.records import EvaluationRecord, IngestRecord, PanelRecord, Summary
from schemas.settings import Settings
from schemas.tables import AVAILABILITY, SALES, STORES
from tasks.demand.stored import load_panel
from tasks.performance.accuracy import accuracy, with_tracking_signal
from tasks.performance.actuals import Actuals, changes, fingerprint, sold_by_sku
from tasks.performance.challengers import challenger_weeks, decide, shadow_keys
from tasks.performance.drift import Findings, error_drift, input_drift
from tasks.performance.importance import keep_importance
from tasks.performance.override_value import override_value
from tasks.performance.published_week import FORECAST, PublishedWeek, weeks_before
from tasks.performance.read import actual_demand, lag_one, read_table, rows_at
from tasks.performance.replay import Replay
from tasks.performance.service import SoldUnits, out_of_stock_share, plan_costs, service
from tasks.performance.tables import append, append_if_new
from tasks.performance.value_added import value_added
from tasks.performance.variants import compare_variants
from tasks.publication.earlier_runs import published
from tasks.publication.guards import latest_sale, stale_sales
from tasks.storage.code_version import code_version
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake

# Older weeks are not evaluated again, because corrections of sales half a year ago no longer matter.
LOOK_BACK = timedelta(weeks=26)
SHOWN_WEEKS = 26


@dataclass(frozen=True)
class Known:
    """The data that are known at the run date of the evaluation.

    Attributes:
        until: run date.
        actuals: demand of every series.
        sales: accepted sale lines.
        availability: the table; None if it does not exist.
        changed: rows of the table ``actuals`` that are new or changed.
    """

    until: date
    actuals: Actuals
    sales: pd.DataFrame
    availability: pd.DataFrame | None
    changed: pd.DataFrame


def evaluate_weeks(
    lake: Lake, settings: Settings, until: date, ingested: IngestRecord, panel: PanelRecord
) -> EvaluationRecord:
    """Evaluate the publications before a run date with the sales before it, and append the results to the tables.

    A week without new information is skipped, so a second evaluation of the same date writes nothing. The same
    holds for an evaluation of an earlier date than the last one, as in a backfill.

    Args:
        lake: lake of the publications.
        settings: settings of the run.
        until: run date of the evaluation.
        ingested: accepted tables.
        panel: demand before ``until``.
    """
    history = load_panel(lake, panel.panel, settings.period)
    sales = lake.read_table(ingested.tables[SALES.name], [c.DATE, c.STORE_ID, c.SKU, c.UNITS])
    # Missing sales look like a drift; training again on them repairs nothing.
    late = bool(stale_sales(settings, until, latest_sale(sales[c.DATE], until)))
    inputs = Findings(pd.DataFrame(), pd.DataFrame()) if late else input_drift(history)
    append_if_new(lake, PROFILES, until, inputs.profiles)
    # A publication of the run date itself is complete by now: the weekly run evaluates at its end.
    keep_importance(lake, settings, until - LOOK_BACK, until + timedelta(days=1))
    stores = ingested.tables.get(STORES.name)
    actuals = Actuals.of(history, None if stores is None else lake.read_table(stores))
    lag_length = settings.period.periods_per_week
    compare_variants(lake, actuals, until - LOOK_BACK, until, lag_length, settings.challenger)
    weeks = list(weeks_before(lake, until, until - LOOK_BACK, settings))
    if not weeks:
        before = read_table(lake, DRIFT.name)
        append_if_new(lake, DRIFT, until, inputs.drift)
        return EvaluationRecord(as_of=until, drifts=inputs.new_messages(before))
    availability = ingested.tables.get(AVAILABILITY.name)
    first = pd.Timestamp(weeks[0].as_of)
    known = Known(
        until=until,
        actuals=actuals,
        sales=sales,
        availability=None if availability is None else lake.read_table(availability),
        changed=changes(actuals.rows_from(first), actual_demand(lake)),
    )
    last = read_table(lake, EVALUATIONS.name).set_index(c.AS_OF)
    done: list[date] = []
    restated: list[date] = []
    notes: list[str] = []
    for week in weeks:
        if week.settings.frequency != settings.frequency:
            notes.append(f"{week.as_of}: published with frequency {week.settings.frequency}, not {settings.frequency}")
            continue
        stamp = pd.Timestamp(week.as_of)
        earlier = last.loc[stamp] if stamp in last.index else None
        if earlier is not None and earlier[c.KNOWN_UNTIL] > pd.Timestamp(until):
            continue  # a run of an earlier date has less data
        try:
            facts, found = _evaluate(lake, week, known, earlier)
        except (PublicationError, StorageError) as error:
            notes.append(f"{week.as_of}: {error}")
            continue
        if facts is not None:
            done.append(week.as_of)
            restated += [week.as_of] if facts[c.RESTATED] else []
            notes += [f"{week.as_of}: {note}" for note in found]
    if not (last[c.KNOWN_UNTIL] > pd.Timestamp(until)).any():
        append_if_new(lake, ACTUALS, until, known.changed)
    compared = read_table(lake, CHALLENGER_WEEKS.name)
    compared = compared[compared[c.AS_OF] < pd.Timestamp(until)]
    append_if_new(lake, CHALLENGERS, until, decide(compared, settings.challenger))
    per_year = 12 if settings.period.kind == "MS" else 52
    errors = pd.DataFrame() if late else error_drift(lag_one(lake, last=None), until, per_year)
    findings = Findings(inputs.profiles, pd.concat([inputs.drift, errors], ignore_index=True))
    before = read_table(lake, DRIFT.name)
    append_if_new(lake, DRIFT, until, findings.drift)
    return EvaluationRecord(
        as_of=until,
        weeks=done,
        restated=restated,
        notes=notes,
        drifts=findings.new_messages(before),
        summary=_summary(lake),
    )


def _summary(lake: Lake) -> Summary:
    """Small tables for artifacts: value added of the last week, and the errors one week ahead of the last weeks."""
    last = rows_at(read_table(lake, VALUE_ADDED.name, last=1))
    order = [step for step in Step if step in set(last[c.STEP])]
    added = last.set_index(c.STEP).loc[order].reset_index() if order else last
    names = [c.STEP, c.MODEL, c.AGAINST, c.WAPE, c.WAPE_ADDED, c.COST, c.COST_ADDED, c.DESTROYED]
    errors = lag_one(lake, last=SHOWN_WEEKS)
    shown = [c.AS_OF, c.WAPE, c.BIAS, c.COVERAGE, c.COVERAGE_TARGET, c.TRACKING_SIGNAL]
    return {
        "forecast-value-added": rows_of(added[names]),
        "realized-accuracy": rows_of(errors[shown].assign(**{c.AS_OF: errors[c.AS_OF].dt.strftime("%Y-%m-%d")})),
    }


def _evaluate(
    lake: Lake, week: PublishedWeek, known: Known, earlier: pd.Series | None
) -> tuple[dict[str, object] | None, list[str]]:
    """Write a new version of a week; returns its row of evaluations, None if nothing is new, and notes."""
    dates = week.dates[week.dates < pd.Timestamp(known.until)]
    if not len(dates):
        return None, []
    stock_days = _stock_days(lake, week, len(dates))
    facts = _facts(week, known, dates, stock_days, shadow_keys(lake, week.as_of))
    if earlier is not None and earlier[c.FINGERPRINT] == facts[c.FINGERPRINT]:
        return None, []
    version = 1 if earlier is None else int(earlier[c.VERSION]) + 1
    tables, notes = _tables(lake, week, known, dates, stock_days)
    if earlier is None:
        facts |= {c.RESTATED: False, c.RESTATED_CELLS: 0, c.RESTATED_UNITS: 0.0}
    for table, frame in tables.items():
        append(lake, table, week.as_of, version, frame)
    append(lake, EVALUATIONS, week.as_of, version, pd.DataFrame([facts]))
    return facts, notes


def _facts(
    week: PublishedWeek,
    known: Known,
    dates: pd.DatetimeIndex,
    stock_days: dict[int, PublishedWeek],
    shadows: list[str],
) -> dict[str, object]:
    changed = known.changed[known.changed[c.RESTATED] & known.changed[c.DATE].isin(dates)]
    demand, sold = known.actuals.within(known.actuals.series, dates)
    sums = week.checksums()
    files = [sums.get(name, "") for name in (FORECAST, REPLENISHMENT)]
    counts = {lag: later.checksums().get(EXPLANATIONS, "") for lag, later in stock_days.items()}
    return {
        c.KNOWN_UNTIL: pd.Timestamp(known.until),
        c.PUBLICATION: week.version,
        c.PERIODS_KNOWN: len(dates),
        c.PERIODS: len(week.dates),
        c.FINAL: len(dates) == len(week.dates),
        c.RESTATED: bool(len(changed)),
        c.RESTATED_CELLS: len(changed),
        c.RESTATED_UNITS: float(changed[c.UNITS].sum()),
        c.CURRENCY: week.settings.currency or "",
        c.FINGERPRINT: fingerprint([files, counts, shadows, len(dates)], demand, sold),
        c.CODE_VERSION: code_version(),
    }


def _stock_days(lake: Lake, week: PublishedWeek, periods: int) -> dict[int, PublishedWeek]:
    """The publications whose opening stock is the stock at the end of a lag of this week."""
    found = {}
    for lag in range(1, periods // week.lag_length + 1):
        at = lag * week.lag_length
        day = week.settings.period.shift(week.dates[0], at).date()
        later = PublishedWeek.read(lake, day, week.settings) if published(lake, day) is not None else None
        if later is not None:
            found[lag] = later
    return found


def _tables(
    lake: Lake, week: PublishedWeek, known: Known, dates: pd.DatetimeIndex, stock_days: dict[int, PublishedWeek]
) -> tuple[dict[PerformanceTable, pd.DataFrame], list[str]]:
    grid = week.forecast
    demand, _ = known.actuals.within(grid.series, dates)
    past = read_table(lake, ACCURACY.name)
    past = past[past[c.AS_OF] < pd.Timestamp(week.as_of)]
    period = week.settings.period
    year_before = pd.DatetimeIndex([period.shift(label, -period.periods_per_year) for label in dates])
    last_year, _ = known.actuals.within(grid.series, year_before)
    tables = {ACCURACY: with_tracking_signal(accuracy(grid, demand, week.lag_length, last_year), past)}
    replay = Replay.of(lake, week)
    if replay is None:
        return tables, ["another version of Restock published it: costs, service and value added are not known"]
    series = pd.DataFrame(replay.bare.names, columns=[c.STORE_ID, c.CATEGORY])
    demand, sold = known.actuals.within(series, dates)
    champion = grid.of_model(CHAMPION).mean
    at = replay.places(grid.series)
    expected = np.where((at >= 0)[:, None], np.nan_to_num(champion[at]), 0.0)
    expected[known.actuals.closed(series, week.dates)] = 0.0
    by_sku = sold_by_sku(known.sales, week.settings.period, dates[0], pd.Timestamp(known.until))
    units = SoldUnits(demand, sold, expected[:, : len(dates)])
    if known.availability is not None:
        found = out_of_stock_share(known.availability, week, replay, by_sku, units.expected)
        units = units if found is None else SoldUnits(demand, sold, units.expected, *found)
    stock = {lag: counts for lag, later in stock_days.items() if (counts := _on_hand(later, replay)) is not None}
    served = service(units, series, replay.problem.price[:, 0], week.lag_length, stock, expected)
    tables[SERVICE] = served.assign(**{c.SERVICE_LEVEL: week.settings.inventory.service_level})
    tables[PLAN_COSTS] = plan_costs(week, replay, units.estimated_demand)
    tables[VALUE_ADDED] = value_added(week, replay, demand)
    tables[OVERRIDE_VALUE] = override_value(week, replay, by_sku, demand)
    tables[CHALLENGER_WEEKS] = challenger_weeks(lake, week, replay, demand)
    return tables, []


def _on_hand(week: PublishedWeek, replay: Replay) -> np.ndarray | None:
    """Counted units of each series before opening on the run date of a publication, shape (n,)."""
    stock = week.stock()
    if stock is None:
        return None
    counted = stock.set_index([c.STORE_ID, c.CATEGORY])[c.ON_HAND]
    return counted.reindex(pd.MultiIndex.from_tuples(replay.bare.names)).fillna(0.0).to_numpy(dtype=np.float64)
