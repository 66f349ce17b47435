"""Searches for delivery days and order-up-to levels."""
