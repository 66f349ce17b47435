"""Prefect settings that Restock sets through the environment, unless the user has set them."""

from __future__ import annotations

# No telemetry and no advertisements.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
# A run from the command line may start a server; on a busy machine this takes longer than Prefect's default of 20 s.
COMMAND_LINE = {**QUIET, "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"}
