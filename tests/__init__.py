"""A package, so that no installed distribution's `tests` comes first."""
