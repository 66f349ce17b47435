"""Commands about the performance of what was published."""

from __future__ import annotations

import getpass
from datetime import date
from typing import Any

import click

from flows.cli.options import date_option, flow_options, set_option, settings_option
from flows.cli.run_flow import run_flow
from flows.cli.terminal import say, table
from schemas.errors import ConfigError


@click.command("evaluate-week")
@flow_options
def evaluate_week(**parameters: Any) -> None:
    """Compare published weeks with what was sold since: errors, service, costs, value added, drift."""
    record = run_flow("evaluate_week", "evaluate_week", **parameters)
    weeks = ", ".join(map(str, record.weeks[-5:])) or "none"
    say("", f"Weeks with a new evaluation: {weeks}", *(f"Restated: {day}" for day in record.restated))
    rows = record.summary.get("forecast-value-added", [])
    say(*(["", *table(rows)] if rows else []), *(f"Drift: {text}" for text in record.drifts))


@click.command()
@settings_option
@set_option
@date_option("--from", "since", "Apply to runs from this run date on, YYYY-MM-DD.  [default: today]", required=False)
@click.option("--revert", "back", is_flag=True, help="Revert the promotion in force: use the settings file alone.")
@click.option("--undecided", is_flag=True, help="Promote although the comparison does not say so.")
@click.option("--note", default="", metavar="TEXT", help="Say why. It is kept with the promotion.")
def promote(
    settings_file: str, overrides: tuple[str, ...], since: date | None, back: bool, undecided: bool, note: str
) -> None:
    """Use the settings of the challenger from now on. The settings file stays as it is; --revert undoes it."""
    from pathlib import Path

    from tasks.configuration.settings_file import read_settings
    from tasks.performance import promotion
    from tasks.performance.challengers import last_decision
    from tasks.storage.lake import open_lake

    settings = read_settings(Path(settings_file), overrides).settings
    lake, day, by = open_lake(settings.storage), since or date.today(), getpass.getuser()
    with lake.exclusive():
        if back:
            entry = promotion.revert(lake, day, by, note)
        else:
            decision = last_decision(lake, settings.challenger.name)
            if settings.challenger.settings and decision != "promote" and not undecided:
                raise ConfigError(
                    f"The comparison of the challenger {settings.challenger.name} says: {decision}. Expected: promote. "
                    "Wait for more weeks, or promote it anyway with --undecided."
                )
            entry = promotion.promote(lake, settings.challenger, day, by, note)
    say(f"{entry.text()}.", *([] if back else [f"  {change}" for change in entry.changes()]))
