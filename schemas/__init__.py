"""Definitions of data and settings: column names, table contracts, settings, records, errors."""
