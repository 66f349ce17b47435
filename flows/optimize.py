"""Flow: plan the inventory and publish the replenishment file."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.first_stages import flow_run_name, task_runner
from flows.interrupted import AT_THE_END_OF_A_PUBLICATION
from flows.outcome import finished, held
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import replenish
from schemas.errors import PublicationHeldError
from schemas.records import PublicationRecord


@flow(name="optimize_inventory", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END_OF_A_PUBLICATION)
@describe_parameters
def optimize_inventory(
    settings_file: str,
    as_of: date | None = None,
    force: bool = False,
    overrides: list[str] = [],  # noqa: B006
) -> PublicationRecord:
    """Plan deliveries and order-up-to levels from the champions' forecasts, and publish the replenishment file."""
    run = prepare_run(settings_file, as_of, overrides, force=force)
    try:
        return finished(replenish(run))
    except PublicationHeldError as error:
        return held(error)
