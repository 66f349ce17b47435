"""Replay of past weeks with actual demand."""
