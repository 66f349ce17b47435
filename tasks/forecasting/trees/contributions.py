"""Named parts of the medians of a horizon, such as level, season and promotions; they add up to the medians."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.panel import FloatArray, IndexArray, Panel
from tasks.demand.features.known import POSITION_IN_YEAR
from tasks.demand.features.rows import KNOWN, FeatureTable
from tasks.demand.features.training_rows import Rows, horizon_rows
from tasks.forecasting.trees.expectation import BaselineExpectation
from tasks.forecasting.trees.sub_models import SubModel
from tasks.storage.mapped import row_blocks

if TYPE_CHECKING:
    from tasks.forecasting.trees.direct import Learned

LEVEL, SEASON, CALENDAR, PROMOTIONS, PRICE, STOCK, PLACE = (
    *("level", "season", "calendar", "promotions", "price", "stock"),
    "store and product",
)
# The named parts, in the order in which they are shown.
PARTS = (LEVEL, SEASON, CALENDAR, PROMOTIONS, PRICE, STOCK, PLACE)
# First matching beginning of a column's name, without "known:" and "observed:".
_BEGINNINGS = {
    "static:": PLACE,
    "promotion_price": PRICE,
    c.PRICE: PRICE,
    c.UNIT_PRICE: PRICE,
    "promo": PROMOTIONS,
    c.DISCOUNT: PROMOTIONS,
    "own:promo": PROMOTIONS,
    c.STOCK: STOCK,
    c.AVAILABLE: STOCK,
    "season_": SEASON,
    "year_ago": SEASON,
    POSITION_IN_YEAR: SEASON,
    "time_year": SEASON,
    "effect": CALENDAR,
    "same_": CALENDAR,
    "own:": CALENDAR,
}
# Parts of this size, in units, are 0.
NOTHING = 1e-9


def part_of(column: str) -> str:
    """The named part of a column: known future columns are calendar, columns of past demand are level.

    >>> part_of("known:promotion_share"), part_of("known:public_holiday:next"), part_of("mean_28")
    ('promotions', 'calendar', 'level')
    """
    name = column.removeprefix(KNOWN).removeprefix("observed:")
    for beginning, part in _BEGINNINGS.items():
        if name.startswith(beginning):
            return part
    return CALENDAR if column.startswith(KNOWN) else LEVEL


def horizon_parts(learned: Learned | None, baseline: BaselineExpectation) -> Iterator[pd.DataFrame]:
    """Yield the parts of every median of the horizon, in units, a block of series at a time.

    First the expectation from level, season and known effects: the recent level, what the season of earlier years adds
    to it, and the effect of the calendar times both. The logarithm of the effect is divided among calendar, promotions
    and price by their contributions (logarithmic mean weights, Ang, The LMDI approach to decomposition analysis, Energy
    Policy 33, 2005). Then the corrections of the trees: the contribution of each column times that expectation.

    Args:
        learned: the fitted parts of the forecaster; None if it was not trained.
        baseline: baseline of the panel whose horizon is forecast.

    Yields:
        store_id, category, date, part (of :data:`PARTS`) and units, without parts of 0; series by series and date by
        date. The units of a date add up to its median before closed periods are set to 0. Nothing if nothing was
        learned.
    """
    if learned is not None:
        for series in row_blocks(baseline.panel.n, 1, baseline.size):
            yield _block_parts(learned, baseline, horizon_rows(baseline.panel, series))


def _block_parts(learned: Learned, baseline: BaselineExpectation, rows: Rows) -> pd.DataFrame:
    """The parts of the medians of some rows."""
    table = baseline.table(rows)
    units = np.zeros((len(rows), len(PARTS)))
    units[:, PARTS.index(LEVEL)] = table.expected.level
    shares = _effect_shares(learned, baseline, rows)
    for sub_model, weight in _weighted(learned):
        expected = sub_model.baseline(baseline, table, rows)
        long = sub_model.long_weight
        curve = table.expected.level if long is None else table.expected.curves[long]
        units[:, PARTS.index(SEASON)] += weight * (curve - table.expected.level)
        units += (weight * (expected - curve))[:, None] * shares
        units += (weight * expected)[:, None] * _corrections(sub_model, table)
    return _long(baseline.panel, rows, units)


def _weighted(learned: Learned) -> list[tuple[SubModel, float]]:
    """The sub-models and their weights in the median."""
    if learned.sub_models.season is None:
        return [(learned.sub_models.level, 1.0)]
    weight = learned.weight
    return [(learned.sub_models.level, 1.0 - weight), (learned.sub_models.season, weight)]


def _effect_shares(learned: Learned, baseline: BaselineExpectation, rows: Rows) -> FloatArray:
    """Share of each part in the known effect, shape (k, parts); each row adds up to 1."""
    only_calendar = np.zeros((len(rows), len(PARTS)))
    only_calendar[:, PARTS.index(CALENDAR)] = 1.0
    if learned.profile is None:
        return only_calendar
    logs, names = learned.profile.log_parts(baseline.panel, baseline.known, rows.series, rows.target)
    parts = _summed(logs, names, CALENDAR)
    total = parts.sum(axis=1, keepdims=True)
    return np.where(np.abs(total) > NOTHING, parts / np.where(np.abs(total) > NOTHING, total, 1.0), only_calendar)


def _corrections(sub_model: SubModel, table: FeatureTable) -> FloatArray:
    """Contribution of a sub-model's trees to its ratio of 1, by part, shape (k, parts)."""
    if sub_model.boosted is None:
        return np.zeros((len(table.matrix), len(PARTS)))
    matrix = table.columns(sub_model.boosted.names)
    found = sub_model.boosted.contributions(matrix, np.ones(len(matrix)))
    parts = _summed(found, sub_model.boosted.names, LEVEL)
    # The trees start from a ratio of 1, and the ratio is never below 0.
    parts[:, PARTS.index(LEVEL)] += sub_model.ratio(table) - found.sum(axis=1) - 1.0
    return parts


def _summed(contributions: FloatArray, names: Sequence[str], start: str) -> FloatArray:
    """Contributions (k, F + 1) summed by part; the last column belongs to ``start``."""
    place = np.array([PARTS.index(part_of(name)) for name in names] + [PARTS.index(start)])
    groups = (place[:, None] == np.arange(len(PARTS))).astype(np.float64)
    return contributions @ groups


def _long(panel: Panel, rows: Rows, units: FloatArray) -> pd.DataFrame:
    row, part = np.nonzero(np.abs(units) > NOTHING)
    series: IndexArray = rows.series[row]
    return pd.DataFrame(
        {
            c.STORE_ID: panel.series[c.STORE_ID].astype("category").iloc[series].array,
            c.CATEGORY: panel.series[c.CATEGORY].astype("category").iloc[series].array,
            c.DATE: panel.horizon_periods.to_numpy()[rows.step[row] - 1],
            c.PART: pd.Categorical.from_codes(part, list(PARTS)),
            c.UNITS: units[row, part],
        }
    )
