"""Commands about what was published: publications, rollback, verify and prune. They start no Prefect server."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from flows.cli.options import date_argument, set_option, settings_option
from flows.cli.terminal import say, table
from schemas.errors import PublicationError

_UNITS = {"d": "days", "w": "weeks"}


@click.command()
@settings_option
@set_option
@click.option("--last", default=20, show_default=True, metavar="N", help="Show the last N versions.")
def publications(settings_file: str, overrides: tuple[str, ...], last: int) -> None:
    """List what was published: date, version, by whom, totals, alarms, and what is in force."""
    from flows.preparation import open_storage
    from tasks.publication.listing import publication_rows, readable

    lake = open_storage(settings_file, overrides)
    rows = publication_rows(lake)
    if not rows:
        say(f"Nothing was published yet in {lake.root}.")
        return
    say(*table([readable(row) for row in rows[:last]]))
    if len(rows) > last:
        say(f"  {len(rows) - last} older versions: --last {len(rows)} shows them")


@click.command()
@date_argument(required=True)
@settings_option
@set_option
@click.option("--version", type=int, metavar="N", help="Put version N in force.  [default: the one before]")
@click.option("--withdraw", "out", is_flag=True, help="Take the publication out of force; put no version in its place.")
@click.option("--note", default="", metavar="TEXT", help="Give the reason. It is shown in the list of publications.")
def rollback(
    day: date, settings_file: str, overrides: tuple[str, ...], version: int | None, out: bool, note: str
) -> None:
    """Put an earlier version of the publication of DATE in force. Give that file to the ERP again."""
    from flows.preparation import open_storage
    from tasks.publication.earlier_runs import latest_before
    from tasks.publication.versions import roll_back, withdraw

    if out and version is not None:
        raise click.UsageError("--withdraw and --version exclude each other.")
    lake = open_storage(settings_file, overrides)
    by = getpass.getuser()
    with lake.exclusive():
        if out:
            withdrawn = withdraw(lake, day, by, note)
            last = latest_before(lake, day)
            erp = "give it the file of an earlier date"
            if last is not None:
                erp = f"give it the file of {last.as_of}: {lake.uri(f'runs/{last.as_of}/replenishment.csv')}"
            say(
                f"Version {withdrawn.number} of {day} is withdrawn: no file of this date is in force.",
                f"If the ERP has loaded it, {erp}",
            )
            return
        chosen = roll_back(lake, day, version, by, note)
    say(
        f"Version {chosen.number} of {day} is in force.",
        f"Give this file to the ERP again: {lake.uri(f'runs/{day}/replenishment.csv')}",
    )


@click.command()
@date_argument(required=False)
@settings_option
@set_option
def verify(day: date | None, settings_file: str, overrides: tuple[str, ...]) -> None:
    """Check published files against their manifests, in both directions: DATE, or every date."""
    from flows.preparation import open_storage
    from tasks.publication.versions import verify as check

    checked, problems = check(open_storage(settings_file, overrides), day)
    say(*problems)
    if problems:
        raise PublicationError(
            f"{len(problems)} problems in {checked} folders. A folder below runs/ is in force: restore it with "
            "`restock rollback DATE --version N` and the number of the version in force, or run the week again. A "
            "version below versions/ with a problem cannot be put in force."
        )
    say(f"No problems in {checked} folders (in force: runs/; kept: versions/). Their files agree with their manifests.")


def _age(_context: click.Context, _parameter: click.Parameter, value: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,3})([dw])", value)
    if match is None:
        raise click.BadParameter(f"'{value}' is not an age. Expected a number of days or weeks, such as 30d or 8w.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command()
@settings_option
@set_option
@click.option(
    "--keep", default="8w", show_default=True, callback=_age, metavar="AGE", help="Keep results up to this age."
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; only list what would be removed.")
def prune(settings_file: str, overrides: tuple[str, ...], keep: timedelta, dry_run: bool) -> None:
    """Remove old stage results, previews and replaced versions. Everything that publications in force need is kept."""
    from tasks.configuration.settings_file import load_settings
    from tasks.publication.prune import prune as remove
    from tasks.storage.lake import open_existing_lake

    settings = load_settings(Path(settings_file), overrides)
    waiting = timedelta(hours=settings.publication.approval_timeout_hours)
    found = remove(open_existing_lake(settings.storage), keep, datetime.now(UTC), dry_run, waiting)
    rows = [
        {"kind": kind, "objects": len(keys), "megabytes": round(found.bytes[kind] / 1e6, 2)}
        for kind, keys in found.keys.items()
    ]
    folders = {key.rsplit("/", 1)[0] for kind in ("previews", "versions") for key in found.keys[kind]}
    if not any(found.keys.values()):
        say("Nothing is old enough to be removed.")
        return
    say(*table(rows), *(f"  {folder}" for folder in sorted(folders)))
    say("Nothing was removed (dry run)." if dry_run else "Removed.")
