"""Prefect settings that Restock sets through the environment, unless the user has set them."""

from __future__ import annotations

# No telemetry and no advertisements.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
# A run from the command line may start a server. On a busy machine this takes longer than Prefect's default of 20 s.
# A run uses no blocks; to compare their types, the server would import all integrations, among them those of AWS.
COMMAND_LINE = {
    **QUIET,
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}
