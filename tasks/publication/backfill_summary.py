"""Summary of a backfill's weeks: table rows, text lines, and the error for failed weeks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.errors import BackfillError
from schemas.records import WeekOutcome
from tasks.report.formats import number, percent

_DIGITS = 4
# Long texts are the last columns, so that the UI does not cut off the numbers.
_LONG_COLUMNS = ("reason", "folder")
_HEADERS = ("week", "result", "changed", "WAPE", "periods known", "policy", "cost", "lower bound")


def week_rows(weeks: Sequence[WeekOutcome]) -> list[dict[str, Any]]:
    """Return one table row per week; numbers are rounded."""
    return [_row(week) for week in weeks]


def weeks_as_text(weeks: Sequence[WeekOutcome]) -> list[str]:
    """Return the summary as lines of text with aligned columns; the first line has the column names."""
    rows = [
        (
            week.as_of.isoformat(),
            week.result,
            percent(week.changed_share),
            percent(week.wape),
            str(week.periods_known),
            week.policy,
            number(week.cost),
            number(week.lower_bound),
        )
        for week in weeks
    ]
    table = [_HEADERS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADERS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def raise_for_failed_weeks(weeks: Sequence[WeekOutcome]) -> None:
    """Raise an error if a week of the backfill failed.

    Raises:
        BackfillError: names every failed week and the reason. Its exit code is that of the failed weeks if they have
            the same one, otherwise 1.
    """
    failed = [week for week in weeks if week.result == "failed"]
    if not failed:
        return
    codes = {week.exit_code for week in failed}
    reasons = "\n".join(f"- week {week.as_of}: {week.reason}" for week in failed)
    table = "\n".join(weeks_as_text(weeks))
    raise BackfillError(
        f"{len(failed)} of {len(weeks)} weeks failed; the others are published.\n{table}\n{reasons}\n"
        "Fix the errors above and rerun the same backfill; finished weeks are skipped.",
        exit_code=codes.pop() if len(codes) == 1 else 1,
    )


def _row(week: WeekOutcome) -> dict[str, Any]:
    dumped = week.model_dump(mode="json", exclude={"exit_code"})
    row = {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in dumped.items()}
    short = {name: value for name, value in row.items() if name not in _LONG_COLUMNS}
    return {**short, **{name: row[name] for name in _LONG_COLUMNS}}
