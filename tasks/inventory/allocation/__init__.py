"""Allocation of the order-up-to levels of categories to whole units of SKUs."""
