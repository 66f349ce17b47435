"""Rows of the backtest, their losses, and quantiles recalibrated on the folds."""
