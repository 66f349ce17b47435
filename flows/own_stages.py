"""Models with separate stages (``ModelFacts.own_stages``): how a run submits them, and what runs at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows import deepar_stages
from flows.submitting import OwnStages
from schemas.deepar import DEEPAR
from tasks.stages.deepar_hooks import close_endpoints, stop_jobs

OWN_STAGES: Mapping[str, OwnStages] = {
    DEEPAR: OwnStages(forecasting=deepar_stages.forecasting, tune=deepar_stages.tune_stage),
}

# Hooks of every flow. They stop SageMaker jobs when a flow is cancelled, and delete endpoints when it ends. Jobs of a
# killed run continue, and the next run finds them.
AT_THE_END: dict[str, Any] = {
    "on_cancellation": [stop_jobs],
    "on_completion": [close_endpoints],
    "on_failure": [close_endpoints],
    "on_crashed": [close_endpoints],
}
