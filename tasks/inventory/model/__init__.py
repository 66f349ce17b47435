"""The plan problem, the simulator, and the demand that both read."""
