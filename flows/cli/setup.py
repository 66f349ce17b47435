"""Commands for the first steps with one's data: init, check. They start no Prefect server."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.terminal import say


@click.command()
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--settings",
    "settings_file",
    default="settings.yaml",
    show_default=True,
    metavar="FILE",
    help="Write the settings to FILE. Paths in it are relative to its folder.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(folder: str, settings_file: str, force: bool) -> None:
    """Propose settings for a folder of exported files.

    FOLDER holds exports as .csv, .csv.gz, .xlsx or .parquet, with Spanish, German or English column names. The
    settings file states what each file is and how it is read, with the evidence, and asks what could not be decided.
    """
    from tasks.demand.inspect.init import write_settings

    say(*write_settings(Path(folder), Path(settings_file), force))
