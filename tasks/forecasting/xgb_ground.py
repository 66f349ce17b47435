"""The ground that the trees correct: level, season and calendar effect, chosen on the rows learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, FloatArray, Panel, SmallFloatArray
from tasks.demand.feature_known import KnownColumns
from tasks.demand.feature_levels import LONG_WEIGHTS, Expectations, blend
from tasks.demand.features import Features, FeatureTable
from tasks.demand.training_rows import Rows, target_values
from tasks.forecasting.xgb_boost import Examples
from tasks.forecasting.xgb_profile import CalendarProfile

# How far a season must leave the level to be believed (log scale): from always to never.
DOUBTS = (0.0, 0.05, 0.1, 0.15, 0.25, 0.4, 0.7, float("inf"))
# Of choices whose error is within this share of the least, the most seasonal one is taken: rows seen so far
# show ordinary times more often than the peaks for which the season matters.
TOLERANCE = 0.02
# Rows without an earlier year are left out where most of the horizon has one, and enough rows have.
SEASONAL_AHEAD, SEASONAL_LEARNT = 0.5, 0.1
# Labels beyond this multiple of the expectation are cut: single odd periods must not lead the trees.
LARGEST_LABEL = 30.0


@dataclass(frozen=True)
class Recipe:
    """How level and season make the expectation.

    Attributes:
        long_weight: weight of the long mean in the season's level.
        doubt: see :func:`tasks.demand.feature_levels.blend`.
    """

    long_weight: float
    doubt: float

    def expected(self, found: Expectations) -> FloatArray:
        """Expectation without calendar effect, shape (k,), units."""
        return blend(found.level, found.curves[self.long_weight], self.doubt)


@dataclass(frozen=True)
class Labelled:
    """Rows ready for the trees.

    Attributes:
        table: features.
        scale: shape (k,); expectation of each row in units, above 0.
        units: shape (k,); demand.
    """

    table: FeatureTable
    scale: FloatArray
    units: FloatArray

    def examples(self, names: Sequence[str]) -> Examples:
        """Columns of the given names; demand as a multiple of the expectation, weighted by the expectation."""
        return Examples(self.table.columns(names), np.minimum(self.units / self.scale, LARGEST_LABEL), self.scale)

    def take(self, used: BoolArray) -> Labelled:
        """Some of the rows."""
        return Labelled(self.table.take(used), self.scale[used], self.units[used])


class Ground:
    """A panel with its calendar effects: turns rows into feature tables, expectations and labels.

    Args:
        panel: n series over T periods, and H to forecast.
        profile: fitted on no later history than the panel's; None = no effects.
    """

    def __init__(self, panel: Panel, profile: CalendarProfile | None) -> None:
        known = KnownColumns(panel)
        shape = (panel.n, panel.history + panel.horizon)
        self.panel = panel
        self._effects: SmallFloatArray = (
            np.ones(shape, dtype=np.float32) if profile is None else profile.effects(panel, known)
        )
        self._features = Features(panel, self._effects, known)

    def table(self, rows: Rows) -> FeatureTable:
        """Features of rows."""
        return self._features.table(rows)

    def scale(self, table: FeatureTable, rows: Rows, recipe: Recipe) -> FloatArray:
        """Expectation of each row in units, calendar effect included, shape (k,)."""
        scale: FloatArray = recipe.expected(table.expected) * self._effects[rows.series, rows.target]
        return scale

    def labelled(self, table: FeatureTable, rows: Rows, recipe: Recipe) -> Labelled:
        """Rows with their scale and demand."""
        return Labelled(table, self.scale(table, rows, recipe), target_values(self.panel, rows))

    def choose(self, table: FeatureTable, rows: Rows) -> Recipe:
        """The recipe with the least sum of absolute errors over the rows, the season preferred when close."""
        units = target_values(self.panel, rows)
        losses = {recipe: float(np.abs(self.scale(table, rows, recipe) - units).sum()) for recipe in _recipes()}
        bearable = (1 + TOLERANCE) * min(losses.values())
        return min(losses, key=lambda recipe: (losses[recipe] > bearable, recipe.doubt, losses[recipe]))


def like_ahead(table: FeatureTable, ahead: FeatureTable) -> BoolArray:
    """Rows like those of the horizon: with an earlier year to read where that has one.

    Args:
        table: of the rows to learn from.
        ahead: of the horizon.
    """
    seasonal = table.expected.seasonal
    if float(ahead.expected.seasonal.mean()) > SEASONAL_AHEAD and float(seasonal.mean()) > SEASONAL_LEARNT:
        return seasonal
    return np.ones(len(seasonal), dtype=np.bool_)


def _recipes() -> Iterator[Recipe]:
    return (Recipe(weight, doubt) for doubt in DOUBTS for weight in LONG_WEIGHTS)
