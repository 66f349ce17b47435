"""Baseline expectations that the trees correct: level and calendar effect, with or without the season."""

from __future__ import annotations

import numpy as np

from schemas.panel import FloatArray, IndexArray, Panel, SmallFloatArray
from tasks.demand.features import levels
from tasks.demand.features.known import KnownColumns
from tasks.demand.features.rows import Features, FeatureTable
from tasks.demand.features.training_rows import Rows, target_values
from tasks.forecasting.trees.calendar_effects import CalendarProfile


class BaselineExpectation:
    """A panel with its calendar effects: turns rows into feature tables and expectations.

    Args:
        panel: n series over T periods, and H to forecast.
        profile: fitted on no later history than the panel's; None = no effects.
        known: look-up tables of the panel's known columns, if already made.
    """

    def __init__(self, panel: Panel, profile: CalendarProfile | None, known: KnownColumns | None = None) -> None:
        shape = (panel.n, panel.history + panel.horizon)
        self.panel = panel
        self.known = known or KnownColumns(panel)
        self._effects: SmallFloatArray = (
            np.ones(shape, dtype=np.float32) if profile is None else profile.effects(panel, self.known)
        )
        self._features = Features(panel, self._effects, self.known)

    @property
    def size(self) -> int:
        """Series per block."""
        return self._features.size

    def table(self, rows: Rows) -> FeatureTable:
        """Features of rows."""
        return self._features.table(rows)

    def blocks(self, rows: Rows) -> list[IndexArray]:
        """Positions of the rows of each block of series (:meth:`tasks.demand.features.rows.Features.blocks`)."""
        return self._features.blocks(rows)

    def mostly_seasonal(self, rows: Rows) -> bool:
        """Whether an earlier year of the series is known for most of the rows."""
        seasonal = sum(int(self.table(rows.take(block)).expected.seasonal.sum()) for block in self.blocks(rows))
        return 2 * seasonal > len(rows)

    def of_level(self, table: FeatureTable, rows: Rows) -> FloatArray:
        """Expectation from level and calendar, shape (k,), units above 0."""
        return table.expected.level * self._effect(rows)

    def of_season(self, table: FeatureTable, rows: Rows, long_weight: float) -> FloatArray:
        """Expectation from level, season and calendar, shape (k,), units above 0."""
        return table.expected.curves[long_weight] * self._effect(rows)

    def long_weight(self, table: FeatureTable, rows: Rows) -> float:
        """The weight of the long mean with the least sum of absolute errors over the rows."""
        units = target_values(self.panel, rows)
        losses = {w: float(np.abs(self.of_season(table, rows, w) - units).sum()) for w in levels.RULE.long_weights}
        return min(losses, key=lambda weight: losses[weight])

    def _effect(self, rows: Rows) -> FloatArray:
        return self._effects[rows.series, rows.target].astype(np.float64)
