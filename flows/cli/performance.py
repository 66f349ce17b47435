"""Commands about the performance of what was published."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.options import flow_options
from flows.cli.run_flow import run_flow
from flows.cli.terminal import say, table


@click.command("evaluate-week")
@flow_options
def evaluate_week(**parameters: Any) -> None:
    """Compare published weeks with what was sold since: errors, service, costs, value added, drift."""
    record = run_flow("evaluate_week", "evaluate_week", **parameters)
    weeks = ", ".join(map(str, record.weeks[-5:])) or "none"
    say("", f"Weeks with a new evaluation: {weeks}", *(f"Restated: {day}" for day in record.restated))
    rows = record.summary.get("forecast-value-added", [])
    say(*(["", *table(rows)] if rows else []), *(f"Drift: {text}" for text in record.drifts))
