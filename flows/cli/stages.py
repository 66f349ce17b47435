"""Commands that run the chain up to one stage: ingest, features, baselines, compare, optimize."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.options import flow_options
from flows.cli.run_flow import run_flow, say_published
from flows.cli.terminal import say


class _NamesModels(click.Command):
    """A command whose help ends with the names of the models that the settings may contain."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        from schemas.settings import ModelsSettings

        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"Keys of `models` in the settings: {', '.join(ModelsSettings.model_fields)}.")


@click.command()
@flow_options
def ingest(**parameters: Any) -> None:
    """Read and validate the input tables."""
    record = run_flow("ingest", "ingest_sales", **parameters)
    read, quarantined = record.rows()
    ignored = record.rows_ignored()
    accepted = read - quarantined - ignored
    say("", f"Rows read: {read:,}, accepted: {accepted:,}, quarantined: {quarantined:,}, ignored: {ignored:,}")
    if record.quarantine_csv:
        say("Rejected rows:", *(f"  {line}" for line in record.rejected[:5]), f"  All of them: {record.quarantine_csv}")


@click.command()
@flow_options
def features(**parameters: Any) -> None:
    """Build the demand panel and its features."""
    record = run_flow("features", "build_features", **parameters)
    say("", f"Panel: {record.series:,} series, {record.periods:,} periods of history, horizon {record.horizon}")


@click.command(cls=_NamesModels)
@flow_options
def baselines(**parameters: Any) -> None:
    """Fit the models named in the settings, and the baselines."""
    records = run_flow("baselines", "fit_baselines", **parameters)
    fitted = ", ".join(dict.fromkeys(record.model for record in records))
    say("", f"Models: {fitted}; series with a fallback: {sum(len(record.failures) for record in records):,}")


@click.command()
@flow_options
def compare(**parameters: Any) -> None:
    """Backtest the models and select a champion per series."""
    record = run_flow("compare", "compare_models", **parameters)
    say("", "Champions:", *(f"  {row['model']}: {row['series']:,} series" for row in record.summary["champions"]))


@click.command()
@flow_options
def optimize(**parameters: Any) -> None:
    """Plan deliveries and order-up-to levels, and publish."""
    say_published(run_flow("optimize", "optimize_inventory", **parameters))
