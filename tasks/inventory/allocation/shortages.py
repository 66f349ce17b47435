"""Shortages of a plan by store, category, SKU and constraint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import first_few
from schemas.plan import Plan, PlanProblem
from tasks.inventory.allocation.assortment import display_overflow
from tasks.inventory.allocation.disaggregate import SMALLEST_REST
from tasks.inventory.allocation.explanations import (
    BLACKOUT,
    DELIVERY_SLOTS,
    DISPLAY,
    MINIMUM,
    NONE,
    PACK,
    SIZE_RUN,
)
from tasks.inventory.allocation.sku_targets import DC_SHARE, DC_STOCK, STORAGE, SkuTargets
from tasks.inventory.model.delivery_days import visitable, week_starts
from tasks.inventory.model.ledger import Ledger
from tasks.inventory.model.weekly_problem import WeeklyInputs, WeeklyProblem
from tasks.inventory.outputs import labels

COLUMNS = (c.STORE_ID, c.CATEGORY, c.SKU, c.LIMIT, c.REQUESTED, c.ALLOCATED, c.REASON)
# A store is reported as over capacity if more than this share of the paths exceeds it in any period.
SHARE_OF_PATHS = 0.05
_ALL = ""


def find_shortages(
    inputs: WeeklyInputs, weekly: WeeklyProblem, plan: Plan, outcome: Ledger, chosen: SkuTargets, decided: np.ndarray
) -> pd.DataFrame:
    """List everything that a constraint of the plan does not allow.

    Args:
        inputs: inputs of the run.
        weekly: its plan problem.
        plan: the selected plan.
        outcome: its simulation.
        chosen: its targets.
        decided: per row of the facts, the binding constraint of its target.

    Returns:
        store_id, category and sku (empty if the row is about a whole store or category), limit, requested, allocated
        (in the unit that ``reason`` names) and reason; sorted.
    """
    facts = inputs.sku_facts
    rows = [
        *_of_stores(weekly.problem, plan, outcome, chosen),
        *_of_categories(weekly.problem, chosen),
        *_of_styles(facts, chosen),
        *_of_skus(facts, chosen, decided),
    ]
    shortages = pd.DataFrame(rows, columns=list(COLUMNS)).astype({c.REQUESTED: float, c.ALLOCATED: float})
    return shortages.sort_values([c.LIMIT, c.STORE_ID, c.CATEGORY, c.SKU, c.REASON], ignore_index=True)


def shortage_notes(shortages: pd.DataFrame) -> list[str]:
    """Return one sentence per constraint and reason; it names the first rows."""
    notes = []
    for (limit, reason), rows in shortages.groupby([c.LIMIT, c.REASON], sort=True):
        names = [
            " / ".join(part for part in (row[c.STORE_ID], row[c.CATEGORY], row[c.SKU]) if part)
            + f" ({row[c.ALLOCATED]:g} of {row[c.REQUESTED]:g})"
            for row in rows.to_dict("records")
        ]
        notes.append(f"Shortage, {limit}: {reason}: {first_few(names)}.")
    return notes


def _of_stores(problem: PlanProblem, plan: Plan, outcome: Ledger, chosen: SkuTargets) -> Iterator[tuple[object, ...]]:
    stores = labels(problem.store_ids)
    crowded = np.isfinite(problem.capacity) & (outcome.over.max(axis=1, initial=0.0) > SHARE_OF_PATHS)
    for i in np.flatnonzero(crowded):
        within = round(problem.periods - float(outcome.over[i].sum()), 2)
        yield stores[i], _ALL, _ALL, STORAGE, float(problem.periods), within, "expected periods within capacity"
    beyond = display_overflow(chosen.display, chosen.rows.position)
    for i in np.flatnonzero(beyond > 0):
        room = chosen.display.capacity[i]
        yield (
            stores[i],
            _ALL,
            _ALL,
            DISPLAY,
            room + beyond[i],
            room,
            "more styles in stock than the display capacity (styles)",
        )
    able = visitable(problem)
    for start in week_starts(problem.periods, problem.periods_per_week, problem.settings.lead_time):
        week = slice(int(start), int(start) + problem.periods_per_week)
        missed = ~plan.visits[:, week].any(axis=1)
        for i in np.flatnonzero(missed):
            limit = DELIVERY_SLOTS if able[i, week].any() else BLACKOUT
            yield (
                stores[i],
                _ALL,
                _ALL,
                limit,
                1.0,
                0.0,
                f"no delivery in periods {start} to {week.stop - 1} (deliveries)",
            )


def _of_categories(problem: PlanProblem, chosen: SkuTargets) -> Iterator[tuple[object, ...]]:
    """Series that get no units because of packs or the display capacity."""
    size = len(chosen.levels)
    rows = chosen.rows
    held = np.bincount(rows.series, weights=rows.position, minlength=size)
    sent = np.bincount(rows.series, weights=chosen.steps.targets, minlength=size)
    able = np.bincount(rows.series, weights=rows.open, minlength=size) > 0
    sendable = np.bincount(rows.series, weights=rows.may_send, minlength=size) > 0
    packed = np.bincount(rows.series, weights=rows.pack > 1, minlength=size) > 0
    short = (chosen.requested > held + SMALLEST_REST) & (sent == 0) & sendable
    stores, names = labels(problem.store_ids), labels(problem.categories)
    for s in np.flatnonzero(short & (~able | packed)):
        limit, reason = (
            (PACK, "a pack does not fit") if able[s] else (DISPLAY, "no style of the category is on display")
        )
        key = stores[problem.series_store[s]], names[problem.series_category[s]]
        yield *key, _ALL, limit, float(chosen.requested[s]), float(held[s]), f"{reason} (units)"


def _of_styles(facts: pd.DataFrame, chosen: SkuTargets) -> Iterator[tuple[object, ...]]:
    """Styles on display with an incomplete core size run."""
    rows = chosen.rows
    if rows.core is None:
        return
    there = np.maximum(chosen.targets, rows.position) >= 1
    core = rows.core & chosen.lifecycle
    frame = facts[[c.STORE_ID, c.CATEGORY]].assign(
        **{
            c.ARTICLE: chosen.labels,
            # Displayed by this plan: it has a target.
            c.ALLOCATED: (core & there).astype(float),
            c.REQUESTED: (core & chosen.in_dc | core & there).astype(float),
            c.SHARE: (chosen.targets > 0) & rows.open,
        }
    )
    found = frame.groupby([c.STORE_ID, c.CATEGORY, c.ARTICLE], as_index=False).agg(
        {c.ALLOCATED: "sum", c.REQUESTED: "sum", c.SHARE: "any"}
    )
    for row in found[found[c.SHARE] & (found[c.ALLOCATED] < found[c.REQUESTED])].to_dict("records"):
        reason = "style (in the column SKU) displayed with an incomplete core size run (sizes)"
        yield row[c.STORE_ID], row[c.CATEGORY], row[c.ARTICLE], SIZE_RUN, row[c.REQUESTED], row[c.ALLOCATED], reason


def _of_skus(facts: pd.DataFrame, chosen: SkuTargets, decided: np.ndarray) -> Iterator[tuple[object, ...]]:
    rows, targets = chosen.rows, chosen.targets
    have = np.maximum(targets, rows.position)
    short = targets < chosen.within_capacity
    kept = (chosen.cuts[DC_SHARE] > 0) & (chosen.cuts[DC_STOCK] == 0)
    hidden = ~chosen.displayed & (chosen.undisplayed > rows.position)
    tests = (
        (DISPLAY, hidden, chosen.undisplayed, have, "no display capacity left for this style (units)"),
        (STORAGE, chosen.cuts[STORAGE] > 0, chosen.wanted, chosen.within_capacity, "the store has no room (units)"),
        (
            DC_STOCK,
            short & kept,
            chosen.within_capacity,
            targets,
            "kept in the DC for other stores or later weeks (units)",
        ),
        (DC_STOCK, short & ~kept & chosen.in_dc, chosen.within_capacity, targets, "DC stock is too low (units)"),
        (DC_STOCK, short & ~chosen.in_dc, chosen.within_capacity, targets, "the DC has no stock (units)"),
    )
    keys = facts[[c.STORE_ID, c.CATEGORY, c.SKU]].to_numpy(dtype=object)
    for limit, applies, requested, allocated, reason in tests:
        for i in np.flatnonzero(applies):
            yield *keys[i], limit, float(requested[i]), float(allocated[i]), reason
    for i in np.flatnonzero(chosen.lifecycle & (have < rows.floor)):
        why = "exceeds the order-up-to level" if decided[i] in (MINIMUM, NONE) else f"because of {decided[i]}"
        yield *keys[i], MINIMUM, float(rows.floor[i]), float(have[i]), f"below the minimum, {why} (units)"
