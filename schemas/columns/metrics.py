"""Columns of the accuracy metrics."""

from __future__ import annotations

N = "n"
MAE = "mae"
RMSE = "rmse"
MAPE = "mape"
WAPE = "wape"
MASE = "mase"
RMSSE = "rmsse"
R2 = "r2"
BIAS = "bias"
WQL = "wql"
COVERAGE = "coverage"
SHARE_EXCELLENT = "share_excellent"
SHARE_GOOD = "share_good"
SHARE_ACCEPTABLE = "share_acceptable"
SHARE_POOR = "share_poor"

# scales of mase and rmsse
ABSOLUTE_SCALE = "absolute_scale"
SQUARED_SCALE = "squared_scale"
