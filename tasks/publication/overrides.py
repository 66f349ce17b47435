"""Planners' overrides: manual corrections of targets, applied after the plan and before the publication.

An override applies to the ``target_quantity`` of the (store, SKU) pairs that match its store, SKU and category; an
empty field matches all. It is active for run dates from ``date_from`` to ``date_to``, both included. ``set`` replaces
the target, ``multiply`` multiplies it (both rounded to integers, halves up), and ``cap`` limits it (rounded down). The
distribution center sends whole packs: an override that leaves a part of a pack to send is rounded to the nearest pack
(halves up), a ``cap`` down. Order-up-to levels, expected deliveries and costs of the plan do not change.

If several overrides of one action match a pair, the most specific one applies: SKU before store before category.
Among equally specific overrides, the one with the latest ``date_from`` applies, then the last one in the file. A
``set`` replaces any ``multiply``; a ``cap`` limits the result of the other two.
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
from schemas.outputs import OVERRIDES_COLUMN, PAIR, PLANNED, SERIES
from schemas.tables import CAP, MULTIPLY, SET
from tasks.report.language import ENGLISH, Language, message

# Status of an override.
APPLIED = "applied"
UNCHANGED = "changes nothing"
OVERRULED = "overruled"
UNMATCHED = "matches no target"
EXPIRED = "expired"
AHEAD = "not yet begun"

_SCOPE = (c.SKU, c.STORE_ID, c.CATEGORY)  # the most specific first
_NONE = -1
_TOLERANCE = 1e-6

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Overridden:
    """Targets after the overrides.

    Attributes:
        targets: the plan's rows with new targets.
        changed: store_id, sku, planned, target_quantity and the numbers of the overrides that changed it, one
            row per pair whose target differs from the plan.
        rows: one mapping of JSON values per override, in the order of the file: its number (from 1), its fields,
            its status, the number of matching pairs and of changed pairs, and the change in units.
    """

    targets: pd.DataFrame
    changed: pd.DataFrame
    rows: list[dict[str, Any]]


def override_warnings(rows: Sequence[Mapping[str, Any]], rejected: int, say: Language = ENGLISH) -> list[str]:
    """Return warnings about rejected, expired and unmatched overrides.

    Args:
        rows: the rows of :class:`Overridden`.
        rejected: number of rows of the table in quarantine.
        say: language of the warnings.
    """
    found = []
    if rejected:
        found.append(say("overrides in quarantine, not applied: {count}; see quarantine.csv", count=rejected))
    for status, text in (
        (EXPIRED, message("expired overrides (remove them or set a later date_to): number {numbers}")),
        (UNMATCHED, message("overrides without a matching store and SKU in the file: number {numbers}")),
    ):
        numbers = [str(row["number"]) for row in rows if row[c.STATUS] == status]
        if numbers:
            found.append(say(text, numbers=", ".join(numbers)))
    return found


def apply_overrides(
    targets: pd.DataFrame, overrides: pd.DataFrame, as_of: date, explanations: pd.DataFrame | None = None
) -> Overridden:
    """Apply overrides to the plan's targets.

    Args:
        targets: store_id, sku, category and target_quantity (integers); one row per pair.
        overrides: the accepted rows of the table, in file order.
        as_of: run date; overrides are active if it is within their dates.
        explanations: store_id, sku, on_hand, in_transit and pack_size; None = every pack has one unit.

    Returns:
        New targets, integers of at least 0. The arguments are not modified.
    """
    planned = targets[c.TARGET_QUANTITY].to_numpy(dtype=np.int64)
    today = pd.Timestamp(as_of)
    masks = _matches(targets, overrides)
    begun = (overrides[c.DATE_FROM] <= today).to_numpy()
    over = (overrides[c.DATE_TO] < today).to_numpy()
    by_action = _deciding(overrides, masks, np.flatnonzero(begun & ~over), len(targets))
    value = overrides[c.VALUE].to_numpy(dtype=np.float64)
    packs = _Packs.of(targets, explanations)
    moved = packs.whole(planned, _moved(planned, value, by_action), 0.5)
    final = packs.whole(moved, _capped(moved, value, by_action[CAP]), 0.0)
    effects = _Effects(planned, moved, final, by_action)
    rows = [
        {**_as_json(overrides, number), **effects.of(number, int(mask.sum()), bool(begun[number]), bool(over[number]))}
        for number, mask in enumerate(masks)
    ]
    return Overridden(targets.assign(**{c.TARGET_QUANTITY: final}), effects.changed(targets), rows)


def corrected_totals(totals: pd.DataFrame, targets: pd.DataFrame, overridden: pd.DataFrame) -> pd.DataFrame:
    """Add the changes of the overrides to the category totals, so that they match the new targets.

    Args:
        totals: store_id, category, target_quantity of the plan.
        targets: targets of the plan.
        overridden: the same rows with new targets.
    """
    change = targets[list(SERIES)].assign(
        **{c.TARGET_QUANTITY: overridden[c.TARGET_QUANTITY].to_numpy() - targets[c.TARGET_QUANTITY].to_numpy()}
    )
    both = pd.concat([totals[[*SERIES, c.TARGET_QUANTITY]], change], ignore_index=True)
    return both.astype(dict.fromkeys(SERIES, str)).groupby(list(SERIES), as_index=False)[c.TARGET_QUANTITY].sum()


@dataclass(frozen=True)
class _Packs:
    """Stock and pack size of each pair: shape (pairs,)."""

    stock: FloatArray
    size: FloatArray

    @classmethod
    def of(cls, targets: pd.DataFrame, explanations: pd.DataFrame | None) -> _Packs:
        """Look the pairs up; unknown stock counts as 0, an unknown pack as one unit."""
        if explanations is None:
            return cls(np.zeros(len(targets)), np.ones(len(targets)))
        known = explanations.set_index(pd.MultiIndex.from_frame(explanations[list(PAIR)].astype(str)))
        found = known[[c.ON_HAND, c.IN_TRANSIT, c.PACK_SIZE]].reindex(
            pd.MultiIndex.from_frame(targets[list(PAIR)].astype(str))
        )
        stock = found[[c.ON_HAND, c.IN_TRANSIT]].astype(np.float64).fillna(0.0).to_numpy().sum(axis=1)
        return cls(stock, found[c.PACK_SIZE].astype(np.float64).fillna(1.0).clip(lower=1.0).to_numpy())

    def whole(self, before: IntArray, after: IntArray, up: float) -> IntArray:
        """Round changed targets so that whole packs are sent.

        Args:
            before: targets before the override.
            after: targets after it.
            up: share of a pack from which the quantity is rounded up, 0.5; 0 = always down.
        """
        send = np.maximum(after - self.stock, 0.0)
        packs = np.floor(send / self.size + up + _TOLERANCE)
        rounded = np.floor(self.stock + packs * self.size + _TOLERANCE).astype(np.int64)
        broken = (after != before) & (send > 0) & (self.size > 1)
        return np.where(broken, rounded, after)


@dataclass(frozen=True)
class _Effects:
    """Effects of the overrides on the targets.

    Attributes:
        planned: targets of the plan.
        moved: after ``set`` and ``multiply``.
        final: after ``cap``.
        deciding: maps each action to the override that applies to each pair; -1 = none.
    """

    planned: IntArray
    moved: IntArray
    final: IntArray
    deciding: dict[str, IntArray]

    def of(self, number: int, pairs: int, begun: bool, over: bool) -> dict[str, Any]:
        """Return status, number of matching and changed pairs, and change in units of one override."""
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
        """Return the pairs whose target differs from the plan."""
        at = np.flatnonzero(self.final != self.planned)
        sources = [
            [str(numbers[pair] + 1) for numbers in self.deciding.values() if numbers[pair] != _NONE] for pair in at
        ]
        return pd.DataFrame(
            {
                c.STORE_ID: targets[c.STORE_ID].astype(object).to_numpy()[at],
                c.SKU: targets[c.SKU].astype(object).to_numpy()[at],
                PLANNED: self.planned[at],
                c.TARGET_QUANTITY: self.final[at],
                OVERRIDES_COLUMN: np.array([" + ".join(numbers) for numbers in sources], dtype=object),
            }
        )


def _matches(targets: pd.DataFrame, overrides: pd.DataFrame) -> list[NDArray[np.bool_]]:
    """Return one mask of shape (pairs,) per override: True if the pair matches."""
    named = [column for column in _SCOPE if column in overrides.columns]
    coded = {column: pd.factorize(targets[column].astype(str)) for column in named}
    found = []
    for row in overrides[named].to_dict("records"):
        mask = np.ones(len(targets), dtype=bool)
        for column, value in row.items():
            if not pd.isna(value):
                codes, names = coded[column]
                mask &= codes == pd.Index(names).get_indexer([value])[0]
        found.append(mask)
    return found


def _deciding(
    overrides: pd.DataFrame, masks: list[NDArray[np.bool_]], active: IntArray, pairs: int
) -> dict[str, IntArray]:
    """Map each action to the override that applies to each pair, -1 = none; a ``set`` removes a ``multiply``."""
    deciding = {action: np.full(pairs, _NONE, dtype=np.int64) for action in (SET, MULTIPLY, CAP)}
    begins = overrides[c.DATE_FROM].to_numpy()
    for number in sorted(active, key=lambda number: (_specificity(overrides, number), begins[number], number)):
        deciding[overrides[c.ACTION].iloc[number]][masks[number]] = number
    deciding[MULTIPLY][deciding[SET] != _NONE] = _NONE
    return deciding


def _specificity(overrides: pd.DataFrame, number: int) -> int:
    named = [column in overrides.columns and not pd.isna(overrides[column].iloc[number]) for column in _SCOPE]
    return sum(given << bit for given, bit in zip(named, (2, 1, 0), strict=True))


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
    fields = {c.ACTION: row[c.ACTION], c.VALUE: float(row[c.VALUE]), c.REASON: row[c.REASON], c.AUTHOR: row[c.AUTHOR]}
    return {"number": number + 1, **scope, **dates, **fields}
