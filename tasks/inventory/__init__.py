"""Inventory: the simulator, policies, bounds, and the plan of a weekly run."""
