"""A package of its own, so that no installed distribution's `tests` stands before it."""
