"""From a category's order-up-to level to whole units of SKUs."""
