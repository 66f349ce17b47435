"""What pushed a forecast up or down: the median of one series and date in parts that add up to it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.panel import FloatArray, Panel
from tasks.demand.features.rows import FeatureTable
from tasks.demand.features.training_rows import Rows, horizon_rows
from tasks.forecasting.trees.booster import FEATURE
from tasks.forecasting.trees.direct import FittedXgboost, Learned
from tasks.forecasting.trees.expectation import BaselineExpectation
from tasks.forecasting.trees.sub_models import SubModel

VALUE = "value"
# Parts of the expectation that the trees correct, in the order in which they are added up.
RECENT_LEVEL, YEARLY_SEASON, KNOWN_CALENDAR = "recent level", "season of earlier years", "calendar, promotions"
LEARNT_OFFSET, FLOOR = "all rows learned from", "not below zero"


def explain(fitted: FittedXgboost, panel: Panel, store_id: str, category: str, day: pd.Timestamp) -> pd.DataFrame:
    """The parts of a median forecast, in units.

    First what level, season and calendar let expect, then the trees' corrections as SHAP values times that
    expectation (Lundberg and Lee 2017): what each feature adds against the average row.

    Args:
        fitted: the fitted forecaster.
        panel: the panel whose horizon is forecast.
        store_id: of the series.
        category: of the series.
        day: a label of the horizon.

    Returns:
        One row per part, the three of the expectation first, then by size: feature, value (of the feature,
        NaN where a part has none) and units. The units add up to the median before closures. Empty where
        nothing was learned.

    Raises:
        ConfigError: the panel has no such series, or its horizon no such label.
    """
    row = _row_of(panel, store_id, category, day)
    if fitted.learned is None:
        return pd.DataFrame({FEATURE: [], VALUE: [], c.UNITS: []})
    baseline = BaselineExpectation(panel, fitted.learned.profile)
    table = baseline.table(row)
    parts = _expectation(fitted.learned, baseline, table, row)
    corrections: dict[str, float] = {}
    for sub_model, weight in _weighed(fitted.learned):
        _correct(corrections, sub_model, table, weight * float(sub_model.baseline(baseline, table, row)[0]))
    ranked = sorted(corrections.items(), key=lambda part: (-abs(part[1]), part[0]))
    values = dict(zip(table.names, table.matrix[0].astype(np.float64), strict=True))
    return pd.DataFrame(
        [(name, values.get(name, np.nan), units) for name, units in [*parts.items(), *ranked]],
        columns=[FEATURE, VALUE, c.UNITS],
    )


def _row_of(panel: Panel, store_id: str, category: str, day: pd.Timestamp) -> Rows:
    same = panel.series[c.STORE_ID].eq(store_id) & panel.series[c.CATEGORY].eq(category)
    if not same.any():
        raise ConfigError(f"explain: no series of store {store_id!r} and category {category!r}")
    if day not in panel.horizon_periods:
        first, last = (label.date() for label in panel.horizon_periods[[0, -1]])
        raise ConfigError(f"explain: {pd.Timestamp(day).date()} is no label of the horizon, {first} to {last}")
    rows = horizon_rows(panel)
    step = panel.horizon_periods.get_loc(day) + 1
    return rows.take((rows.series == int(np.flatnonzero(same)[0])) & (rows.step == step))


def _weighed(learned: Learned) -> list[tuple[SubModel, float]]:
    """The boosters and their weights in the median."""
    if learned.sub_models.season is None:
        return [(learned.sub_models.level, 1.0)]
    weight = learned.held_out.weight
    return [(learned.sub_models.level, 1.0 - weight), (learned.sub_models.season, weight)]


def _expectation(learned: Learned, baseline: BaselineExpectation, table: FeatureTable, row: Rows) -> dict[str, float]:
    """Level, what the season adds to it, and what the calendar adds to both."""
    level = float(table.expected.level[0])
    season, expected = 0.0, 0.0
    for sub_model, weight in _weighed(learned):
        curve = level if sub_model.long_weight is None else float(table.expected.curves[sub_model.long_weight][0])
        season += weight * (curve - level)
        expected += weight * float(sub_model.baseline(baseline, table, row)[0])
    return {RECENT_LEVEL: level, YEARLY_SEASON: season, KNOWN_CALENDAR: expected - level - season}


def _correct(parts: dict[str, float], sub_model: SubModel, table: FeatureTable, expected: float) -> None:
    """Add a booster's SHAP values, times what it corrects, to the parts."""
    if sub_model.boosted is None:
        return
    matrix = table.columns(sub_model.boosted.names)
    shares: FloatArray = sub_model.boosted.contributions(matrix, np.ones(1))[0]
    floor = float(sub_model.ratio(table)[0]) - float(shares.sum())
    # The trees set out from a ratio of 1: what the average row adds to that is the offset.
    named = {
        **dict(zip(sub_model.boosted.names, shares[:-1], strict=True)),
        LEARNT_OFFSET: shares[-1] - 1.0,
        FLOOR: floor,
    }
    for name, share in named.items():
        if share != 0.0:
            parts[name] = parts.get(name, 0.0) + expected * float(share)
