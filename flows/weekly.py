"""Flow: the weekly run, from the input tables to the replenishment file."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.challenge import forecast_challenger
from flows.first_stages import flow_run_name, task_runner
from flows.interrupted import AT_THE_END_OF_A_PUBLICATION
from flows.outcome import finished, held
from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from flows.stages import replenish
from schemas.errors import PublicationHeldError
from schemas.records import PublicationRecord
from tasks.stages.deepar_tools import refuse_unwanted_payment


@flow(name="weekly_replenishment", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END_OF_A_PUBLICATION)
@describe_parameters
def weekly_replenishment(  # noqa: PLR0913, PLR0917
    settings_file: str,
    as_of: date | None = None,
    dry_run: bool = False,
    force: bool = False,
    approve_before_publishing: bool = False,
    pay: bool = False,
    stores: list[str] = [],  # noqa: B006
    categories: list[str] = [],  # noqa: B006
    overrides: list[str] = [],  # noqa: B006
) -> PublicationRecord:
    """Weekly run: compute each store's target stock for next week (ingest, forecast, compare, plan, publish).

    Args:
        dry_run: Run everything except the publication.
        approve_before_publishing: Write the files to previews and wait until somebody approves or rejects them. To
            answer, choose Resume in the menu (three dots) of the waiting run. Without an answer within
            publication.approval_timeout_hours, the previous file is kept.
        pay: Agree to pay for the SageMaker trainings of a dry run or of a part of the network.
        stores: Restrict the run to these stores; all stores if empty.
        categories: Restrict the run to these categories; all categories if empty.
    """
    run = prepare_run(settings_file, as_of, overrides, force, dry_run, stores, categories)
    if run.dry_run:
        refuse_unwanted_payment(run.settings, 1, "A run that publishes nothing", pay)
    try:
        published = replenish(run, approve=approve_before_publishing)
    except PublicationHeldError as error:
        return held(error)
    forecast_challenger(run, settings_file, overrides)
    return finished(published)
