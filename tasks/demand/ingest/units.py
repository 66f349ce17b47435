"""Quantities in other units than pieces: boxes, pairs, dozens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.raw import RawTable, as_text
from schemas.settings import SourceSettings
from schemas.suites import READ
from tasks.demand.ingest.parsing import ParsedColumn
from tasks.demand.words import COLUMNS, phrases, plain

# Sale lines per SKU and unit from which their median price counts.
_FEWEST_LINES = 3
# A ratio of prices shows a number of pieces if it is this close to an integer for this share of the SKUs.
_TOLERANCE = 0.05
_SHARE_OF_SKUS = 0.8
_UNITS_SHOWN = 10


@dataclass(frozen=True)
class Units:
    """The factor for the quantities of each row.

    Attributes:
        factors: shape (rows,); NaN where the unit is not in the conversion table. None: all quantities are pieces.
        alarms: what was decided, or what is unclear.
    """

    factors: NDArray[np.float64] | None = None
    alarms: tuple[Alarm, ...] = ()


def find_units(
    raw: RawTable, names: Mapping[str, str], parsed: Mapping[str, ParsedColumn], source: SourceSettings
) -> Units:
    """Find the units of a table's quantities.

    The conversion table of the settings decides. Without it, the amounts of sale lines decide: where the net amount
    per unit in one unit is the same multiple of the one in another unit for the same SKUs, that multiple is the
    number of pieces.

    Args:
        raw: the table as read.
        names: Restock's column names to the files' names.
        parsed: typed columns.
        source: the conversion table.
    """
    column = names.get(c.UNIT) or next((name for name in names.values() if _is_unit(name)), None)
    if column is None:
        return Units()
    text = as_text(raw.frame[column])
    units = text.cat.rename_categories(_distinct_stripped(text)) if _can_strip(text) else text
    codes, distinct = units.cat.codes.to_numpy(), [str(value) for value in units.cat.categories]
    if source.conversion:
        # An empty unit is the piece.
        table = {"": 1.0, **source.conversion}
        return Units(np.array([table.get(unit, np.nan) for unit in distinct])[codes])
    counts = np.bincount(codes, minlength=len(distinct))
    used = [index for index, count in enumerate(counts) if count and distinct[index]]
    if len(used) < 2:  # noqa: PLR2004
        return Units()
    shown = ", ".join(
        f"{distinct[index]!r} {counts[index]:,}" for index in sorted(used, key=lambda at: -counts[at])[:10]
    )
    example = ", ".join(f"{distinct[index]}: 1" for index in used[:3])
    pieces = _pieces(codes, parsed, used)
    if pieces is None:
        message = (
            f"{raw.name}: the column {column!r} has several units ({shown} rows), and quantities are read as pieces. "
            f"Map the column (sources.{raw.name}.columns.unit: {column}) and set the pieces per unit "
            f"(sources.{raw.name}.conversion: {{{example}}})."
        )
        return Units(None, (raise_alarm("mixed_units", message, count=int(counts[used].sum())),))
    if all(value == 1 for value in pieces.values()):
        return Units()
    factors = np.array([float(pieces.get(index, 1)) for index in range(len(distinct))])[codes]
    decided = ", ".join(f"{distinct[index]}: {pieces[index]}" for index in used)
    message = (
        f"{raw.name}: the column {column!r} has several units ({shown} rows). The net amount per unit shows the pieces "
        f"per unit: {decided}; quantities were converted. Confirm with sources.{raw.name}.columns.unit: {column} and "
        f"sources.{raw.name}.conversion: {{{decided}}}."
    )
    return Units(factors, (raise_alarm("mixed_units", message, count=int((factors != 1).sum())),))


def _is_unit(name: str) -> bool:
    # In lower case, because UoM is one word.
    return plain(name.lower()) in {plain(phrase) for phrase in phrases(COLUMNS, "unit")}


def _can_strip(text: pd.Series) -> bool:
    stripped = _distinct_stripped(text)
    return len(set(stripped)) == len(stripped)


def _distinct_stripped(text: pd.Series) -> list[str]:
    return [str(value).strip() for value in text.cat.categories]


def _pieces(codes: NDArray[np.int64], parsed: Mapping[str, ParsedColumn], used: list[int]) -> dict[int, int] | None:
    """Return the number of pieces of each unit by the prices of sale lines, or None if they do not show it."""
    if not {c.UNITS, c.NET_AMOUNT, c.SKU} <= parsed.keys():
        return None
    units, amount = parsed[c.UNITS], parsed[c.NET_AMOUNT]
    sound = (units.state == READ) & (amount.state == READ) & (parsed[c.SKU].state == READ)
    sound &= (units.values > 0).to_numpy() & (amount.values > 0).to_numpy()
    lines = pd.DataFrame(
        {
            c.SKU: parsed[c.SKU].values.cat.codes.to_numpy()[sound],
            c.UNIT: codes[sound],
            c.PRICE: (amount.values.to_numpy()[sound] / units.values.to_numpy()[sound]),
        }
    )
    prices = lines.groupby([c.SKU, c.UNIT])[c.PRICE].agg(["median", "size"])
    table = prices["median"].where(prices["size"] >= _FEWEST_LINES).unstack()  # noqa: PD010
    if not set(used) <= set(table.columns):
        return None
    base = table[used].median().idxmin()
    found: dict[int, int] = {}
    for unit in used:
        ratios = (table[unit] / table[base]).dropna()
        if ratios.empty:
            return None
        pieces = max(1, round(float(ratios.median())))
        if ((ratios / pieces - 1).abs() <= _TOLERANCE).mean() < _SHARE_OF_SKUS:
            return None
        found[unit] = pieces
    return found
