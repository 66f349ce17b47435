"""The plan problem, the simulator, and sample paths of demand."""
