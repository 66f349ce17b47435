"""Flow: policies, plan and replenishment file."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, replenish, task_runner
from schemas.records import PublicationRecord


@flow(name="optimize_inventory", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def optimize_inventory(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> PublicationRecord:
    """Plan visits and levels from the champions' forecasts and publish the replenishment file.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD); today when empty.
        force: Compute again what the lake already holds.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14.
    """
    run = prepare_run(settings_file, as_of, overrides, force=force)
    return replenish(run)
