"""Environment variables of Prefect that Restock reads, and settings that it makes unless the user has made them."""

from __future__ import annotations

# Address of the API of the server that a process uses.
API = "PREFECT_API_URL"
# Id of the flow run; Prefect sets it in the process of a deployment's run.
RUN = "PREFECT__FLOW_RUN_ID"
# File in Prefect's home by which `make serve` announces its server to runs of the command line and to the app.
ANNOUNCEMENT = "restock-served.json"
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
