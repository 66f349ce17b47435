"""Task: what the weeks of a backfill cost, and how far off they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas import columns as c
from schemas.errors import BackfillError
from schemas.records import PanelRecord, WeekOutcome
from schemas.run import RunContext
from tasks.demand.stored import demand_rows, load_panel
from tasks.publication.later_sales import judge_week
from tasks.report.formats import percent, quantity
from tasks.stages.support import show_table
from tasks.storage.lake import Lake, open_lake

DIGITS = 4
_LONG = ("reason", "folder")
_HEADERS = ("week", "result", "changed", "WAPE", "periods known", "policy", "cost", "lower bound")


@task(name="judge weeks", task_run_name="judge weeks", cache_policy=NO_CACHE)
def judge_weeks(run: RunContext, weeks: list[WeekOutcome], panel: PanelRecord) -> list[WeekOutcome]:
    """Accuracy against later sales and expected cost of every published week; a summary artifact.

    Args:
        run: its ``as_of`` is the first day whose sales are not known.
        weeks: the outcomes, in order.
        panel: demand up to ``as_of``.
    """
    lake = open_lake(run.settings.storage)
    sales = _sales(lake, run, panel)
    judged = [judge_week(lake, week, sales) for week in weeks]
    rows = [_row(week) for week in judged]
    show_table(run, "backfill", rows, "Weeks of the backfill: result, champions' error against later sales, cost")
    return judged


def _row(week: WeekOutcome) -> dict[str, Any]:
    """A row of the artifact; long texts stand last, where they hide no figure."""
    dumped = week.model_dump(mode="json", exclude={"exit_code"})
    row = {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in dumped.items()}
    return {**{name: value for name, value in row.items() if name not in _LONG}, **{name: row[name] for name in _LONG}}


def weeks_as_text(weeks: Sequence[WeekOutcome]) -> list[str]:
    """The summary as lines of text, columns under each other; the first line names them."""
    rows = [
        (
            week.as_of.isoformat(),
            week.result,
            percent(week.changed_share),
            percent(week.wape),
            str(week.periods_known),
            week.policy,
            quantity(week.cost),
            quantity(week.lower_bound),
        )
        for week in weeks
    ]
    table = [_HEADERS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADERS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def refuse_failed_weeks(weeks: Sequence[WeekOutcome]) -> None:
    """Fail a backfill of which a week failed.

    Raises:
        BackfillError: names every failed week and its reason.
    """
    failed = [week for week in weeks if week.result == "failed"]
    if not failed:
        return
    codes = {week.exit_code for week in failed}
    reasons = "\n".join(f"- week {week.as_of}: {week.reason}" for week in failed)
    table = "\n".join(weeks_as_text(weeks))
    raise BackfillError(
        f"{len(failed)} of {len(weeks)} weeks failed; the others are published.\n{table}\n{reasons}\n"
        "Mend what the reasons name and start the same backfill again: finished weeks are left as they are.",
        exit_code=codes.pop() if len(codes) == 1 else 1,
    )


def _sales(lake: Lake, run: RunContext, record: PanelRecord) -> pd.DataFrame:
    panel = load_panel(lake, record.panel, run.settings.period)
    rows = demand_rows(panel, panel.history)
    keys = {name: rows[name].astype(str) for name in (c.STORE_ID, c.CATEGORY)}
    return rows.assign(**keys, **{c.DATE: pd.to_datetime(rows[c.DATE])})
