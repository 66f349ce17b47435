"""The command plan: inventory optimization without forecasts and without a Prefect server."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import set_option
from flows.cli.terminal import progress, say


@click.command()
@click.option(
    "--problem",
    required=True,
    metavar="DIR",
    help="Read the problem from DIR: stores.csv, demand.parquet and the other files of docs/reference/contract.md.",
)
@click.option("--out", required=True, metavar="DIR", help="Write the plan to DIR.")
@set_option
def plan(problem: str, out: str, overrides: tuple[str, ...]) -> None:
    """Optimize the inventory of a problem folder."""
    from tasks.inventory.plan_command import plan_problem

    with progress() as show:
        lines = plan_problem(Path(problem), Path(out), overrides, show)
    say(*lines)
