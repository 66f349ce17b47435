"""Demand: cleaning, exposure, calendar, features, profile and folds."""
