"""Commands that answer questions about a finished run: why, explain, what-if. They start no Prefect server."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from flows.cli.options import date_option, question_options, set_option
from flows.cli.terminal import progress, say

_FACTOR = click.FloatRange(min=0, min_open=True)


@click.command()
@question_options
@click.option("--store", required=True, metavar="STORE", help="Select the store, by its ID in replenishment.csv.")
@click.option("--sku", required=True, metavar="SKU", help="Select the SKU, by its ID in replenishment.csv.")
@set_option
def why(settings_file: str, as_of: date, store: str, sku: str, overrides: tuple[str, ...]) -> None:
    """Explain how the target of one store and SKU was computed."""
    from flows.preparation import prepare_run
    from tasks.answers.why import why as answer

    say(*answer(prepare_run(settings_file, as_of, overrides), store, sku))


@click.command()
@question_options
@click.option("--store", required=True, metavar="STORE", help="Select the store, by its ID in forecast.parquet.")
@click.option("--category", required=True, metavar="CATEGORY", help="Select the category, as in forecast.parquet.")
@date_option("--date", "day", "Select a period of the horizon by its first day, YYYY-MM-DD.")
@set_option
def explain(settings_file: str, as_of: date, store: str, category: str, day: date, overrides: tuple[str, ...]) -> None:
    """Split a published forecast into parts that add up to it."""
    from flows.preparation import prepare_run
    from tasks.answers.explain import explain_forecast

    say(*explain_forecast(prepare_run(settings_file, as_of, overrides), store, category, day))


@click.command("what-if")
@question_options
@click.option(
    "--capacity", type=_FACTOR, default=1.0, metavar="FACTOR", help="Multiply every store's storage capacity by FACTOR."
)
@click.option(
    "--visit-cost", type=_FACTOR, default=1.0, metavar="FACTOR", help="Multiply every store's delivery cost by FACTOR."
)
@click.option("--dc-stock", type=_FACTOR, default=1.0, metavar="FACTOR", help="Multiply the DC stock by FACTOR.")
@click.option("--demand", type=_FACTOR, default=1.0, metavar="FACTOR", help="Multiply every forecast by FACTOR.")
@click.option(
    "--service-level", type=float, metavar="VALUE", help="Override `inventory.service_level` from the settings."
)
@click.option(
    "--holding-cost", type=float, metavar="VALUE", help="Override `inventory.holding_cost` from the settings."
)
@click.option(
    "--shortage-cost",
    metavar="VALUE",
    help="Override `inventory.shortage_cost` from the settings: a number, or `price`.",
)
@click.option("--csv", "output", metavar="FILE", help="Write every changed target to FILE (CSV).")
@click.option("--lead-time", type=int, metavar="VALUE", help="Override `inventory.lead_time` from the settings.")
@click.option(
    "--max-visits-per-period",
    type=int,
    metavar="VALUE",
    help="Override `inventory.max_visits_per_period` from the settings.",
)
@set_option
def what_if(
    settings_file: str,
    as_of: date,
    capacity: float,
    visit_cost: float,
    dc_stock: float,
    demand: float,
    overrides: tuple[str, ...],
    output: str | None,
    **values: float | str | None,
) -> None:
    """Plan a run again with other constraints or costs.

    Compares the result with the published plan: costs, and which stores, categories and SKUs change. Planners'
    overrides apply to both. The published run does not change.
    """
    from flows.preparation import prepare_run
    from tasks.answers.what_if import Factors
    from tasks.answers.what_if import what_if as answer

    given = [f"inventory.{name}={value}" for name, value in values.items() if value is not None]
    published = prepare_run(settings_file, as_of)
    changed = prepare_run(settings_file, as_of, [*overrides, *given])
    with progress() as show:
        factors = Factors(capacity, visit_cost, dc_stock, demand)
        lines = answer(published, changed, factors, show, Path(output) if output else None)
    say(*lines)
