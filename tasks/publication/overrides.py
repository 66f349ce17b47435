"""Planners' overrides: targets corrected by hand, after the plan and before the publication.

An override concerns the ``target_quantity`` of every pair (store, SKU) in the file of an ``as_of`` from
``date_from`` to ``date_to``, both included; a store, SKU or category that it leaves empty means all.
``set`` takes the target's place, ``multiply`` multiplies it (both rounded to whole units, halves up), ``cap``
bounds it from above (rounded down). Nothing else of the plan changes: levels, visits, deliveries and costs
are the model's.

Of several overrides of one action on one pair the most specific holds: one that names the SKU before one
that names the store, that before one that names the category; among equals the one that begins last, then the
one further down in the file. A ``set`` discards any ``multiply``; a ``cap`` bounds what the other two leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.outputs import OVERRIDES_COLUMN, PLANNED, SERIES
from schemas.tables import CAP, MULTIPLY, SET

# What became of an override.
APPLIED = "applied"
UNCHANGED = "changes nothing"
OVERRULED = "overruled"
UNMATCHED = "matches no target"
EXPIRED = "expired"
AHEAD = "not yet begun"

_SCOPE = (c.SKU, c.STORE_ID, c.CATEGORY)  # the most specific first
_NONE = -1

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Overridden:
    """Targets after the overrides.

    Attributes:
        targets: the plan's rows with new targets.
        changed: store_id, sku, planned, target_quantity and the numbers of the overrides that made it, one
            row per pair whose target differs from the plan's.
        rows: one mapping of JSON values per override, in the order of the file: its number (from 1), what it
            says, its status, the pairs that it names, those whose target it changed, and by how many units.
    """

    targets: pd.DataFrame
    changed: pd.DataFrame
    rows: list[dict[str, Any]]


def override_warnings(rows: Sequence[Mapping[str, Any]], rejected: int) -> list[str]:
    """What a planner should know: overrides that are no good, have run out, or name nothing.

    Args:
        rows: as :class:`Overridden` has them.
        rejected: rows of the table in quarantine.
    """
    found = [f"overrides in quarantine, not applied: {rejected}, see quarantine.parquet"] if rejected else []
    for status, words in (
        (EXPIRED, "expired, to be taken out or given a later date_to"),
        (UNMATCHED, "that match no store and SKU of the file"),
    ):
        numbers = [str(row["number"]) for row in rows if row[c.STATUS] == status]
        if numbers:
            found.append(f"overrides {words}: number {', '.join(numbers)}")
    return found


def apply_overrides(targets: pd.DataFrame, overrides: pd.DataFrame, as_of: date) -> Overridden:
    """Correct the plan's targets.

    Args:
        targets: store_id, sku, category and target_quantity (whole units); one row per pair.
        overrides: the accepted rows of the table, in file order.
        as_of: the run's date; overrides hold where it lies within their dates.

    Returns:
        New targets, whole and at least 0; the frames given stay as they are.
    """
    planned = targets[c.TARGET_QUANTITY].to_numpy(dtype=np.int64)
    today = pd.Timestamp(as_of)
    masks = _matches(targets, overrides)
    begun = (overrides[c.DATE_FROM] <= today).to_numpy()
    over = (overrides[c.DATE_TO] < today).to_numpy()
    by_action = _deciding(overrides, masks, np.flatnonzero(begun & ~over), len(targets))
    value = overrides[c.VALUE].to_numpy(dtype=np.float64)
    moved = _moved(planned, value, by_action)
    final = _capped(moved, value, by_action[CAP])
    effects = _Effects(planned, moved, final, by_action)
    rows = [
        {**_as_json(overrides, number), **effects.of(number, int(mask.sum()), bool(begun[number]), bool(over[number]))}
        for number, mask in enumerate(masks)
    ]
    return Overridden(targets.assign(**{c.TARGET_QUANTITY: final}), effects.changed(targets), rows)


def corrected_totals(totals: pd.DataFrame, targets: pd.DataFrame, overridden: pd.DataFrame) -> pd.DataFrame:
    """Category totals moved by what the overrides changed, so that targets can still be checked against them.

    Args:
        totals: store_id, category, target_quantity of the plan.
        targets: the plan's rows.
        overridden: the same rows with new targets.
    """
    change = targets[list(SERIES)].assign(
        **{c.TARGET_QUANTITY: overridden[c.TARGET_QUANTITY].to_numpy() - targets[c.TARGET_QUANTITY].to_numpy()}
    )
    both = pd.concat([totals[[*SERIES, c.TARGET_QUANTITY]], change], ignore_index=True)
    return both.astype(dict.fromkeys(SERIES, str)).groupby(list(SERIES), as_index=False)[c.TARGET_QUANTITY].sum()


@dataclass(frozen=True)
class _Effects:
    """Who changed what.

    Attributes:
        planned: targets of the plan.
        moved: after ``set`` and ``multiply``.
        final: after ``cap``.
        deciding: action to the override that decides for each pair, -1 = none.
    """

    planned: IntArray
    moved: IntArray
    final: IntArray
    deciding: dict[str, IntArray]

    def of(self, number: int, pairs: int, begun: bool, over: bool) -> dict[str, Any]:
        """Status, pairs named, pairs changed and units of change of one override."""
        first = (self.deciding[SET] == number) | (self.deciding[MULTIPLY] == number)
        last = self.deciding[CAP] == number
        change = np.where(first, self.moved - self.planned, 0) + np.where(last, self.final - self.moved, 0)
        changed = int(np.count_nonzero(change))
        if over or not begun:
            status = EXPIRED if over else AHEAD
        elif not pairs:
            status = UNMATCHED
        elif not (first | last).any():
            status = OVERRULED
        else:
            status = APPLIED if changed else UNCHANGED
        return {c.STATUS: status, "pairs": pairs, "changed_pairs": changed, "units": int(change.sum())}

    def changed(self, targets: pd.DataFrame) -> pd.DataFrame:
        """The pairs whose target differs from the plan's."""
        at = np.flatnonzero(self.final != self.planned)
        makers = [
            [str(numbers[pair] + 1) for numbers in self.deciding.values() if numbers[pair] != _NONE] for pair in at
        ]
        return pd.DataFrame(
            {
                c.STORE_ID: targets[c.STORE_ID].astype(object).to_numpy()[at],
                c.SKU: targets[c.SKU].astype(object).to_numpy()[at],
                PLANNED: self.planned[at],
                c.TARGET_QUANTITY: self.final[at],
                OVERRIDES_COLUMN: np.array([" + ".join(numbers) for numbers in makers], dtype=object),
            }
        )


def _matches(targets: pd.DataFrame, overrides: pd.DataFrame) -> list[NDArray[np.bool_]]:
    """Per override, shape (pairs,): the pair is one that it names."""
    named = [column for column in _SCOPE if column in overrides.columns]
    coded = {column: pd.factorize(targets[column].astype(str)) for column in named}
    found = []
    for row in overrides[named].to_dict("records"):
        mask = np.ones(len(targets), dtype=bool)
        for column, wanted in row.items():
            if not pd.isna(wanted):
                codes, names = coded[column]
                mask &= codes == pd.Index(names).get_indexer([wanted])[0]
        found.append(mask)
    return found


def _deciding(
    overrides: pd.DataFrame, masks: list[NDArray[np.bool_]], holding: IntArray, pairs: int
) -> dict[str, IntArray]:
    """Action to the override that decides for each pair, -1 = none; a ``set`` leaves no ``multiply``."""
    deciding = {action: np.full(pairs, _NONE, dtype=np.int64) for action in (SET, MULTIPLY, CAP)}
    begins = overrides[c.DATE_FROM].to_numpy()
    for number in sorted(holding, key=lambda number: (_specificity(overrides, number), begins[number], number)):
        deciding[overrides[c.ACTION].iloc[number]][masks[number]] = number
    deciding[MULTIPLY][deciding[SET] != _NONE] = _NONE
    return deciding


def _specificity(overrides: pd.DataFrame, number: int) -> int:
    named = [column in overrides.columns and not pd.isna(overrides[column].iloc[number]) for column in _SCOPE]
    return sum(given << place for given, place in zip(named, (2, 1, 0), strict=True))


def _moved(planned: IntArray, value: FloatArray, deciding: dict[str, IntArray]) -> IntArray:
    moved = planned.astype(np.float64)
    for action in (SET, MULTIPLY):
        numbers = deciding[action]
        pairs = numbers != _NONE
        base = 1.0 if action == SET else moved[pairs]
        moved[pairs] = np.floor(value[numbers[pairs]] * base + 0.5)
    return moved.astype(np.int64)


def _capped(moved: IntArray, value: FloatArray, numbers: IntArray) -> IntArray:
    pairs = numbers != _NONE
    final = moved.copy()
    final[pairs] = np.minimum(final[pairs], np.floor(value[numbers[pairs]]))
    return final


def _as_json(overrides: pd.DataFrame, number: int) -> dict[str, Any]:
    row = overrides.iloc[number]
    given = {column: row.get(column) for column in (c.STORE_ID, c.SKU, c.CATEGORY)}
    scope = {column: None if pd.isna(value) else value for column, value in given.items()}
    dates = {column: row[column].date().isoformat() for column in (c.DATE_FROM, c.DATE_TO)}
    said = {c.ACTION: row[c.ACTION], c.VALUE: float(row[c.VALUE]), c.REASON: row[c.REASON], c.AUTHOR: row[c.AUTHOR]}
    return {"number": number + 1, **scope, **dates, **said}
