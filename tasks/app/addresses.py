"""Web address of the app."""

from __future__ import annotations

import os

# Base address of the app: `make serve` sets it, or whoever runs a proxy in front of the app.
APP_URL = "RESTOCK_APP_URL"


def app_address() -> str | None:
    """Return the address of the app; None if none is known."""
    return os.environ.get(APP_URL, "").rstrip("/") or None
