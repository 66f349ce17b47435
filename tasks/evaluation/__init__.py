"""Evaluation of forecasts: metrics, acceptance bands, backtest, selection, comparison."""
