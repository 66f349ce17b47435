"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import click

Command = Callable[..., Any]
Option = Callable[[Command], Command]

DEFAULT_SETTINGS = "settings.yaml"
_DATE = click.DateTime(["%Y-%m-%d"])


def _as_date(_context: click.Context, _parameter: click.Parameter, value: datetime | None) -> date | None:
    return value.date() if value else None


def date_option(name: str, parameter: str, text: str, required: bool = True) -> Option:
    """Return an option that takes a date, YYYY-MM-DD."""
    return click.option(name, parameter, type=_DATE, callback=_as_date, metavar="DATE", help=text, required=required)


def date_argument(required: bool) -> Option:
    """Return an argument with the run date of a publication, YYYY-MM-DD."""
    return click.argument(
        "day", metavar="DATE" if required else "[DATE]", type=_DATE, callback=_as_date, required=required
    )


settings_option = click.option(
    "--settings",
    "settings_file",
    default=DEFAULT_SETTINGS,
    show_default=True,
    metavar="FILE",
    help="Read the settings from FILE (YAML).",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Change a setting for this run. The value is read as YAML. Repeatable.",
)
finished_run_option = date_option("--as-of", "as_of", "Select the finished run by its run date, YYYY-MM-DD.")
run_date_option = date_option(
    "--as-of",
    "as_of",
    "Set the run date, YYYY-MM-DD: data before this date are used.  [default: today]",
    required=False,
)
_force_option = click.option("--force", is_flag=True, help="Recompute everything; do not reuse stored results.")


def flow_options(command: Command) -> Command:
    """Add the options of every command that runs a flow on a settings file."""
    for option in (set_option, _force_option, run_date_option, settings_option):
        command = option(command)
    return command


def question_options(command: Command) -> Command:
    """Add the options of every command that reads a finished run."""
    return settings_option(finished_run_option(command))
