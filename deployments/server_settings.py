"""Settings of the Prefect server of ``make serve``, unless the user has set them."""

from __future__ import annotations

import os
from pathlib import Path

import prefect
from prefect.settings import get_current_settings

# How often the server looks for late runs, answers that did not come in time, expired leases and missing heartbeats.
# Prefect's default is every 5 seconds (leases 15). Nothing here needs that, and an idle server does little else.
CALM = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "15",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "60",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT15S",
}

# The server removes records of runs that ended 90 days ago. Only from its own SQLite file: another database may hold
# records of other people.
TIDY = {"PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs"}
UI_FILES = "PREFECT_SERVER_UI_STATIC_DIRECTORY"
DATABASES = ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")


def server_settings() -> dict[str, str]:
    """Return the settings as environment variables."""
    tidy = {} if any(name in os.environ for name in DATABASES) else TIDY
    return {**CALM, **tidy, **place_of_ui_files()}


def place_of_ui_files(package: Path = Path(prefect.__ui_static_subpath__).parent) -> dict[str, str]:
    """Let Prefect keep the files of its UI in its home if it may not write into its package.

    Prefect copies them at the first start, next to the originals, and shows no UI if it cannot: a service or container
    installs its packages under another user or mounts them read-only.

    Args:
        package: folder of Prefect's package that takes the copies.
    """
    if os.access(package, os.W_OK):
        return {}
    place = Path(get_current_settings().home) / "ui"
    place.mkdir(parents=True, exist_ok=True)
    return {UI_FILES: str(place)}
