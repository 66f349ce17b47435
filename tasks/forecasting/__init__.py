"""Forecasting models, one per file, with one small interface: `schemas.protocols.Forecaster`."""
