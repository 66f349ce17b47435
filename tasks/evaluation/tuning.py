"""Tuning of a tree model by the loss that ranks models."""

from __future__ import annotations

from schemas.records import PanelRef, Record, TreeTuningRecord
from schemas.settings.slices import FoldsSlice
from tasks.demand.folds import rolling_folds
from tasks.demand.stored import load_panel
from tasks.evaluation.metrics.stats import ranking_loss
from tasks.forecasting.trees.tuning import tune
from tasks.storage.lake import Lake
from tasks.storage.machine import Cores


class TreeTuningInputs(Record):
    """The model to tune, and its panel."""

    panel: PanelRef
    model: str


def tune_model(lake: Lake, inputs: TreeTuningInputs, use: FoldsSlice, cores: Cores) -> TreeTuningRecord:
    """Search a model's parameters on periods before the first fold."""
    panel = load_panel(lake, inputs.panel, use.period)
    folds = rolling_folds(panel, **use.backtest.model_dump())
    return tune(inputs.model, use, panel, folds, ranking_loss, cores)
