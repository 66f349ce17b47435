"""Columns of forecasts, of backtest folds and of the choice of a model."""

from __future__ import annotations

# forecasts and folds
MODEL = "model"
MEAN = "mean"
MEDIAN = "q0.5"
CHAMPION = "champion"
CUTOFF = "cutoff"
ACTUAL = "actual"
LEVEL = "level"
WHY = "why"
WEIGHT = "weight"
PART = "part"

# selection and reconciliation
RELATIVE_LOSS = "relative_loss"
INVENTORY_COST = "inventory_cost"
EARLIER_FOLDS = "earlier_folds"
LAST_FOLD = "last_fold"
METHOD = "method"
LOSS_BEFORE = "loss_before"
LOSS_AFTER = "loss_after"
SHARE = "share"


def quantile_column(level: float) -> str:
    """Name of the column that holds one quantile.

    >>> quantile_column(0.9), quantile_column(0.25)
    ('q0.9', 'q0.25')
    """
    return f"q{level_text(level)}"


def level_text(level: float) -> str:
    """Text of a quantile level: in column names, and in DeepAR's requests and responses.

    >>> level_text(0.5), level_text(1 / 3)
    ('0.5', '0.333333')
    """
    return f"{level:g}"


def quantile_columns(levels: tuple[float, ...] | list[float]) -> list[str]:
    """Names of the quantile columns, in the order of ``levels``."""
    return [quantile_column(level) for level in levels]
