"""Commands for the first steps with your data: init, check, demo-data. They start no Prefect server."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from flows.cli.options import DEFAULT_SETTINGS, run_date_option, set_option, settings_option
from flows.cli.terminal import progress, say


@click.command()
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--settings",
    "settings_file",
    default=DEFAULT_SETTINGS,
    show_default=True,
    metavar="FILE",
    help="Write the settings to FILE. Paths in it are relative to its folder.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(folder: str, settings_file: str, force: bool) -> None:
    """Propose settings for a folder of exported files.

    FOLDER holds exports as .csv, .csv.gz, .xlsx or .parquet. Column names may be English, Spanish, German, French,
    Portuguese, Italian, Dutch or Polish. The settings file states what each file is and how it is read, with the
    evidence, and lists the open questions.
    """
    from tasks.demand.inspect.init import write_settings

    say(*write_settings(Path(folder), Path(settings_file), force))


@click.command()
@settings_option
@run_date_option
@set_option
def check(settings_file: str, as_of: date | None, overrides: tuple[str, ...]) -> None:
    """Read and validate all tables, and print what they hold.

    Uses the same reading rules as `ingest` and writes nothing. Exit code 2 if a run would stop.
    """
    from tasks.configuration.settings_file import read_settings
    from tasks.demand.overview.check import check_tables
    from tasks.demand.overview.text import check_lines
    from tasks.forecasting.pretrained.weights import unusable_weights

    loaded = read_settings(Path(settings_file), overrides, checks=[unusable_weights])
    say(*(f"Warning: {warning}" for warning in loaded.warnings))
    run_date = as_of or date.today()
    with progress() as show:
        checked = check_tables(loaded.settings, run_date, show)
    given = "" if settings_file == DEFAULT_SETTINGS else f" --settings {settings_file}"
    given += f" --as-of {run_date}" if as_of else ""
    say(*check_lines(checked, loaded.settings, run_date, given))
    if checked.error:
        raise checked.error


@click.command("demo-data")
@click.option("--out", required=True, metavar="DIR", help="Write settings.yaml and data/ to DIR.")
@click.option("--stores", default=60, show_default=True, help="Set the number of stores.")
@click.option("--categories", default=118, show_default=True, help="Set the number of categories.")
@click.option("--skus", default=17, show_default=True, help="Set the number of SKUs per category.")
@click.option("--days", default=782, show_default=True, help="Set the days of sales up to 2025-02-20.")
@click.option("--lines", default=0.5, show_default=True, help="Set the expected sale lines per series and day.")
@click.option(
    "--layout",
    default="stores",
    show_default=True,
    type=click.Choice(["stores", "months", "csv"]),
    help="Write one Parquet file per store, one per store and month, or one CSV file.",
)
@click.option("--seed", default=7, show_default=True, type=click.IntRange(min=0), help="Set the random seed.")
def demo_data(out: str, seed: int, **given: Any) -> None:
    """Write the data of a generated chain of any size, for load tests.

    Every store sells every category, except the first store, which sells one. The same options give the same bytes.
    Memory does not grow with the size. Run `restock weekly --settings DIR/settings.yaml --as-of 2025-02-21` on it.
    """
    from tasks.demo.load import LoadSize
    from tasks.demo.load_files import write_load_company

    size = LoadSize(**given)
    with progress() as show:
        settings_file, lines = write_load_company(Path(out), size, seed, show)
    say(f"{size.series:,} series, {size.days:,} days, {lines:,} sale lines", f"Settings: {settings_file}")
