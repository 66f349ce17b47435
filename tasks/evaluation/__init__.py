"""Judging forecasts: metrics, acceptance bands, backtest, selection, comparison."""
