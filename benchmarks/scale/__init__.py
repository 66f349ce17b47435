"""Time and memory by size."""
