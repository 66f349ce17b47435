"""Metrics of forecasts, and their aggregation to any level."""
