"""Forecasts combined: ensemble, quantile recalibration, reconciliation."""
