"""Propose a settings file for a folder of exports."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigError
from tasks.demand.inspect.proposal import propose
from tasks.demand.inspect.settings_text import settings_text, understood


def write_settings(folder: Path, settings_file: Path, force: bool = False) -> list[str]:
    """Look at a folder of exports and write a commented settings file.

    Args:
        folder: the exports: .csv, .csv.gz, .xlsx and .parquet files, also in subfolders.
        settings_file: file to write; its folder must exist.
        force: replace an existing file.

    Returns:
        Lines for the terminal: what was understood, what is open, and the next command.

    Raises:
        ConfigError: the folder does not exist or holds no table, or the settings file exists.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder. Give the folder with your exported files.")
    if settings_file.exists() and not force:
        raise ConfigError(
            f"{settings_file} exists and was not changed. Use --force to replace it, or --settings FILE to write "
            "another file."
        )
    if not settings_file.parent.is_dir():
        raise ConfigError(f"The folder {settings_file.parent} does not exist. Create it first.")
    proposal = propose(folder, settings_file.parent)
    if not proposal.tables:
        found = "".join(f"\n  - {note}" for note in proposal.notes)
        raise ConfigError(
            f"No table was recognized in {folder}. Expected .csv, .csv.gz, .xlsx or .parquet files with sales, "
            f"products and stores.{found}"
        )
    settings_file.write_text(settings_text(proposal), encoding="utf-8")
    return understood(proposal, settings_file)
