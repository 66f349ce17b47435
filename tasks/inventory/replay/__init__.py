"""Past weeks replayed with the real demand."""
