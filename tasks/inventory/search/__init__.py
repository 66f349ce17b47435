"""Searches for delivery periods and order-up-to levels."""
