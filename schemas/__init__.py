"""What data and settings look like: column names, table contracts, settings, records, errors."""
