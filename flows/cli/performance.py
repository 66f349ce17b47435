"""Commands about the performance of what was published."""

from __future__ import annotations

import getpass
import json
from datetime import date
from typing import Any

import click

from flows.cli.options import date_option, flow_options, set_option, settings_option
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


@click.command()
@settings_option
@set_option
@date_option("--from", "since", "Apply to runs from this run date on, YYYY-MM-DD.  [default: today]", required=False)
@click.option("--revert", "back", is_flag=True, help="Revert the promotion in force: use only the settings file.")
@click.option("--undecided", is_flag=True, help="Promote even if the comparison is undecided.")
@click.option("--note", default="", metavar="TEXT", help="Give the reason. It is stored with the promotion.")
def promote(
    settings_file: str, overrides: tuple[str, ...], since: date | None, back: bool, undecided: bool, note: str
) -> None:
    """Use the settings of the challenger from now on. The settings file does not change; --revert ends this."""
    from pathlib import Path

    from tasks.configuration.settings_file import read_settings
    from tasks.performance.challengers import put_in_force, take_out_of_force
    from tasks.storage.lake import open_lake

    settings = read_settings(Path(settings_file), overrides).settings
    lake, day, by = open_lake(settings.storage), since or date.today(), getpass.getuser()
    if back:
        entry = take_out_of_force(lake, day, by, note)
    else:
        entry = put_in_force(lake, settings.challenger, day, by, note, undecided=undecided)
    say(f"{entry.text()}.", *([] if back else [f"  {change}" for change in entry.changes()]))


@click.command("compare-variants")
@settings_option
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print all comparisons as JSON.")
def compare_variants(settings_file: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Compare the variants of an endpoint with later sales, and show which one to keep.

    `ask --keep` keeps the answers of a week. `evaluate-week` and the weekly run compare them with the sales.
    """
    from pathlib import Path

    from tasks.configuration.settings_file import load_settings
    from tasks.performance.read import variant_table
    from tasks.storage.json_rows import rows_of
    from tasks.storage.lake import open_lake

    found = variant_table(open_lake(load_settings(Path(settings_file), overrides).storage))
    if as_json:
        click.echo(json.dumps(rows_of(found), indent=1))
    elif found.empty:
        say(
            "No variants were compared yet. Keep their answers with restock ask --keep, and compare them with "
            "restock evaluate-week when the sales of the week are known."
        )
    else:
        say(*table(rows_of(found)))
