"""Commands of the weekly run: demo, weekly, backfill."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from flows.cli.options import date_option, flow_options, set_option
from flows.cli.run_flow import run_flow, say_published
from flows.cli.terminal import say

PAY = "Agree to pay for SageMaker jobs of a dry run or backfill."


@click.command()
@click.option("--out", default="demo-company", show_default=True, metavar="DIR", help="Write data and results to DIR.")
@set_option
def demo(out: str, overrides: tuple[str, ...]) -> None:
    """Write a demo company, then run `weekly` on it."""
    from tasks.demo.company import write_demo_company
    from tasks.demo.timeline import AS_OF
    from tasks.publication.addresses import RUN_PAGE

    say(f"Writing the demo company to {out} ...")
    settings_file = str(write_demo_company(Path(out), size="slice"))
    record = run_flow("weekly", "weekly_replenishment", settings_file, overrides, as_of=AS_OF)
    say_published(record)
    prefect = Path(sys.executable).with_name("prefect")
    say(
        "",
        "To see the run in the Prefect UI:",
        f"  {prefect} server start   (not needed while `make serve` is running)",
        f"  then open http://127.0.0.1:4200{RUN_PAGE}{record.flow_run_id}",
    )


@click.command()
@flow_options
@click.option("--dry-run", is_flag=True, help="Run everything except the publication.")
@click.option("--pay", is_flag=True, help=PAY)
@click.option("--stores", multiple=True, metavar="STORE", help="Restrict the run to STORE. Repeatable.")
@click.option("--categories", multiple=True, metavar="CATEGORY", help="Restrict the run to CATEGORY. Repeatable.")
def weekly(stores: tuple[str, ...], categories: tuple[str, ...], **parameters: Any) -> None:
    """Run all stages and publish the replenishment file."""
    say_published(
        run_flow("weekly", "weekly_replenishment", stores=list(stores), categories=list(categories), **parameters)
    )


@click.command()
@flow_options
@date_option("--from", "date_from", "Set the run date of the first week, YYYY-MM-DD.")
@date_option("--to", "date_to", "Set the latest run date, YYYY-MM-DD.")
@click.option(
    "--parallel",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Prepare N weeks at the same time.",
)
@click.option("--pay", is_flag=True, help=PAY)
def backfill(**parameters: Any) -> None:
    """Run `weekly` once for each week from FIRST to LAST.

    FIRST is the date of --from, LAST the date of --to. Weeks that are already published are skipped. The accuracy and
    cost of the weeks are measured with the sales before --as-of.
    """
    record = run_flow("backfill", "backfill", **parameters)
    from tasks.publication.backfill_summary import weeks_as_text

    say("", *weeks_as_text(record.weeks))
