"""Realized performance: what was published, compared with what happened."""
