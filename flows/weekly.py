"""Flow: the weekly run, from source tables to the replenishment file."""

from __future__ import annotations

from datetime import date

from prefect import flow

from flows.preparation import prepare_run
from flows.stages import AT_THE_END, flow_run_name, replenish, task_runner
from schemas.records import PublicationRecord


@flow(name="weekly_replenishment", flow_run_name=flow_run_name, task_runner=task_runner, **AT_THE_END)
def weekly_replenishment(
    settings_file: str,
    as_of: date | None = None,
    dry_run: bool = False,
    force: bool = False,
    approve_before_publishing: bool = False,
    stores: list[str] = [],  # noqa: B006
    categories: list[str] = [],  # noqa: B006
    overrides: list[str] = [],  # noqa: B006
) -> PublicationRecord:
    """Tell what every store should hold next week: ingest, forecast, compare, plan, publish.

    Args:
        settings_file: Path of the settings file (YAML), as the worker sees it.
        as_of: First day that is not known (YYYY-MM-DD): press "date" to choose one; "None" is today.
        dry_run: Do everything but the publication.
        force: Compute again what the lake already holds; seldom needed, changed data and settings are noticed.
        approve_before_publishing: Wait with the files in preview until somebody approves or rejects them: in the
            waiting run's menu (three dots) choose Resume; without an answer within
            publication.approval_timeout_hours the last file stands.
        stores: Only these stores; all when empty.
        categories: Only these categories; all when empty.
        overrides: Settings to change for this run, one key.path=value each, such as horizon=14. Not the planners'
            table of that name, which corrects targets.
    """
    run = prepare_run(settings_file, as_of, overrides, force, dry_run, stores, categories)
    return replenish(run, approve=approve_before_publishing)
