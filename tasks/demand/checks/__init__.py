"""Checks of the meaning of accepted rows: each kind is decided by evidence or reported by a named alarm."""
