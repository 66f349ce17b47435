"""Flow: DeepAR's configurations in parallel, and the best one trained on everything known."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.deepar_stages import train_stage
from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, ingest_stage, panel_stage, task_runner
from schemas.deepar import DeepArModelRecord


@flow(name="train_deepar", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def train_deepar(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> DeepArModelRecord:
    """Train DeepAR's configurations in parallel, compare them on the last horizon, train the best on everything.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return train_stage(run, panel_stage(run, ingest_stage(run)))
