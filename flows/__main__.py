"""The command line (contract, section 1): ``restock`` or ``python -m flows``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import click

from schemas.errors import PipelineError

SETTINGS_OF_A_COMMAND_LINE_RUN = {
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "DO_NOT_TRACK": "1",
}
DEMO_AS_OF = date(2025, 2, 21)

Command = Callable[..., Any]


def _as_date(_context: click.Context, _parameter: click.Parameter, value: datetime | None) -> date | None:
    return value.date() if value else None


def common_options(command: Command) -> Command:
    """The options of every command but ``demo`` and ``plan``."""
    for option in reversed(
        (
            click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings file (YAML)."),
            click.option(
                "--as-of",
                type=click.DateTime(["%Y-%m-%d"]),
                callback=_as_date,
                metavar="DATE",
                help="First day that is not known, YYYY-MM-DD.  [default: today]",
            ),
            click.option("--force", is_flag=True, help="Compute again what the lake already holds."),
            set_option,
        )
    ):
        command = option(command)
    return command


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Change a setting for this run; the value is read as YAML. Repeatable.",
)


_FACTOR = click.FloatRange(min=0, min_open=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="restock", prog_name="restock")
def cli() -> None:
    """Restock: what every store should hold next week.

    Forecasts and replenishment in one run. Exit codes: 0 done, 2 bad settings or bad input,
    3 a publication was held back, 1 anything else.
    """


def _run_flow(module: str, name: str, settings_file: str, overrides: tuple[str, ...], **parameters: Any) -> Any:
    """Check the settings, then run a flow in this process; paths in overrides are the caller's."""
    from flows.preparation import prepare_run

    # Before anything imports Prefect: it reads its settings once.
    for variable, value in SETTINGS_OF_A_COMMAND_LINE_RUN.items():
        os.environ.setdefault(variable, value)
    prepare_run(settings_file, overrides=overrides)  # a typo is told before a server starts
    flow = getattr(importlib.import_module(f"flows.{module}"), name)
    from flows.server import on_the_served_server

    with on_the_served_server() as api:
        if api is not None:
            _say(f"The run is recorded by the server of `make serve`: {api.removesuffix('/api')}")
        return flow(settings_file=str(Path(settings_file).resolve()), overrides=list(overrides), **parameters)


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line)


@contextmanager
def _progress() -> Iterator[Callable[[str], None] | None]:
    """Shows the last word of a search in one line of a terminal, gone in the end; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    clear = "\r\x1b[K"
    try:
        yield lambda text: click.echo(clear + text[: get_terminal_size().columns - 1], nl=False, err=True)
    finally:
        click.echo(clear, nl=False, err=True)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows of figures as aligned lines, the first column left."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(text[at]) for text in texts) for at in range(len(columns))]
    return ["  " + "  ".join(text[at].ljust(widths[at]) for at in range(len(columns))).rstrip() for text in texts]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _say_published(record: Any) -> None:
    if record.dry_run:
        _say("", f"Dry run: nothing was published. Preview: {record.folder}")
        return
    _say(
        "",
        f"Replenishment file: {record.folder}/replenishment.csv",
        f"Report:             {record.folder}/report.html",
    )


@cli.command()
@common_options
@click.option("--dry-run", is_flag=True, help="Do everything but the publication.")
@click.option("--stores", multiple=True, metavar="STORE", help="Only this store. Repeatable.")
@click.option("--categories", multiple=True, metavar="CATEGORY", help="Only this category. Repeatable.")
def weekly(stores: tuple[str, ...], categories: tuple[str, ...], **parameters: Any) -> None:
    """Run the whole chain and publish the replenishment file."""
    _say_published(
        _run_flow("weekly", "weekly_replenishment", stores=list(stores), categories=list(categories), **parameters)
    )


@cli.command()
@common_options
def ingest(**parameters: Any) -> None:
    """Read and validate the source tables."""
    record = _run_flow("ingest", "ingest_sales", **parameters)
    read, quarantined = record.rows()
    _say("", f"Rows read: {read:,}, accepted: {read - quarantined:,}, quarantined: {quarantined:,}")


@cli.command()
@common_options
def features(**parameters: Any) -> None:
    """Build the demand panel and its features."""
    record = _run_flow("features", "build_features", **parameters)
    _say("", f"Panel: {record.series:,} series, {record.periods:,} periods of history, horizon {record.horizon}")


@cli.command("train-deepar")
@common_options
def train_deepar(**parameters: Any) -> None:
    """Train DeepAR's configurations in parallel, compare them and train the best on everything known."""
    record = _run_flow("train_deepar", "train_deepar", **parameters)
    _say("", "Configurations, best first:", *_table(record.choice.summary.get("configurations", [])))
    _say(f"Best: {record.choice.configuration.label} ({record.choice.why})", f"Model: {record.model.archive.key}")


@cli.command("deploy-deepar")
@common_options
@click.option("--delete", is_flag=True, help="Take the endpoint down instead.")
def deploy_deepar(**parameters: Any) -> None:
    """Bring the best DeepAR model and its challengers into service on one SageMaker endpoint."""
    record = _run_flow("deploy_deepar", "deploy_deepar", **parameters)
    if not record.variants:
        _say("", f"Endpoint {record.name} is deleted.")
        return
    rows = [{"variant": name, "weight": record.weights[name], "job": job} for name, job in record.variants.items()]
    _say("", f"Endpoint {record.name}:", *_table(rows), f"How to code a request: {record.encoding}")


@cli.command("tune-deepar")
@common_options
def tune_deepar(**parameters: Any) -> None:
    """Search DeepAR's hyperparameters for the best configuration."""
    record = _run_flow("tune_deepar", "tune_deepar", **parameters)
    finished = sum(trial.state == "finished" for trial in record.result.trials)
    _say("", f"{len(record.result.trials)} trainings, {finished} of them to the end; the best:", record.settings)
    _say("Put these lines into the settings file to use them.")


@cli.command()
@common_options
def baselines(**parameters: Any) -> None:
    """Fit Prophet, ARIMA, XGBoost (what the settings name) and the floors."""
    records = _run_flow("baselines", "fit_baselines", **parameters)
    fitted = ", ".join(dict.fromkeys(record.model for record in records))
    _say("", f"Models: {fitted}; series that fell back: {sum(len(record.failures) for record in records):,}")


@cli.command()
@common_options
def compare(**parameters: Any) -> None:
    """Compare the models on rolling-origin folds and name a champion per series."""
    record = _run_flow("compare", "compare_models", **parameters)
    _say("", "Champions:", *(f"  {row['model']}: {row['series']:,} series" for row in record.summary["champions"]))


@cli.command()
@common_options
def optimize(**parameters: Any) -> None:
    """Plan visits and levels and publish the replenishment file."""
    _say_published(_run_flow("optimize", "optimize_inventory", **parameters))


def _day_option(name: str, parameter: str, text: str) -> Callable[[Command], Command]:
    return click.option(
        name,
        parameter,
        required=True,
        type=click.DateTime(["%Y-%m-%d"]),
        callback=_as_date,
        metavar="DATE",
        help=text,
    )


@cli.command()
@common_options
@_day_option("--from", "date_from", "The first week, YYYY-MM-DD.")
@_day_option("--to", "date_to", "The last week is this day or the last one before it, YYYY-MM-DD.")
@click.option(
    "--parallel",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Weeks to prepare side by side.",
)
def backfill(**parameters: Any) -> None:
    """Run `weekly` for one week after the other, from the first to the last.

    Weeks that stand already are left as they are. --as-of bounds the sales that the weeks are judged by.
    """
    record = _run_flow("backfill", "backfill", **parameters)
    from tasks.stages.backfill import weeks_as_text

    _say("", *weeks_as_text(record.weeks))


@cli.command()
@click.option("--out", default="demo-company", show_default=True, metavar="DIR", help="Folder for data and lake.")
@set_option
def demo(out: str, overrides: tuple[str, ...]) -> None:
    """Write a demo company's data and settings, then run `weekly` on it."""
    from tasks.demo.company import write_demo_company

    _say(f"Writing the demo company to {out} ...")
    settings_file = str(write_demo_company(Path(out), size="slice"))
    record = _run_flow("weekly", "weekly_replenishment", settings_file, overrides, as_of=DEMO_AS_OF)
    _say_published(record)
    prefect = Path(sys.executable).with_name("prefect")
    _say(
        "",
        "See the run in the Prefect UI:",
        f"  {prefect} server start   (not where `make serve` runs)",
        f"  then open http://127.0.0.1:4200/runs/flow-run/{record.flow_run_id}",
    )


@cli.command()
@click.option("--problem", required=True, metavar="DIR", help="Folder with the files of contract section 5.")
@click.option("--out", required=True, metavar="DIR", help="Folder for the plan.")
@set_option
def plan(problem: str, out: str, overrides: tuple[str, ...]) -> None:
    """Inventory optimisation alone: no forecasts, no Prefect server."""
    from tasks.inventory.plan_command import plan_problem

    with _progress() as tell:
        lines = plan_problem(Path(problem), Path(out), overrides, tell)
    _say(*lines)


@cli.command()
@click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings file (YAML).")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), callback=_as_date, required=True, metavar="DATE")
@click.option("--store", required=True, metavar="STORE", help="Store, as in the replenishment file.")
@click.option("--sku", required=True, metavar="SKU", help="SKU, as in the replenishment file.")
@set_option
def why(settings_file: str, as_of: date, store: str, sku: str, overrides: tuple[str, ...]) -> None:
    """Say how the target of one store and SKU came about."""
    from flows.preparation import prepare_run
    from tasks.answers.why import why as answer

    _say(*answer(prepare_run(settings_file, as_of, overrides), store, sku))


@cli.command()
@click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings file (YAML).")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), callback=_as_date, required=True, metavar="DATE")
@click.option("--store", required=True, metavar="STORE", help="Store of the forecast.")
@click.option("--category", required=True, metavar="CATEGORY", help="Category of the forecast, as in forecast.parquet.")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_as_date,
    required=True,
    metavar="DATE",
    help="A period of the horizon.",
)
@set_option
def explain(settings_file: str, as_of: date, store: str, category: str, day: date, overrides: tuple[str, ...]) -> None:
    """Say what pushed the forecast of a store, category and date up or down."""
    from flows.preparation import prepare_run
    from tasks.answers.explain import explain_forecast

    _say(*explain_forecast(prepare_run(settings_file, as_of, overrides), store, category, day))


@cli.command("what-if")
@click.option("--settings", "settings_file", required=True, metavar="FILE", help="Settings file (YAML).")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), callback=_as_date, required=True, metavar="DATE")
@click.option("--capacity", type=_FACTOR, default=1.0, metavar="FACTOR", help="Times every storage capacity.")
@click.option("--visit-cost", type=_FACTOR, default=1.0, metavar="FACTOR", help="Times every cost of a visit.")
@click.option("--dc-stock", type=_FACTOR, default=1.0, metavar="FACTOR", help="Times what the DC has.")
@click.option("--demand", type=_FACTOR, default=1.0, metavar="FACTOR", help="Times every forecast.")
@click.option("--service-level", type=float, metavar="VALUE", help="Instead of the settings' one.")
@click.option("--holding-cost", type=float, metavar="VALUE", help="Instead of the settings' one.")
@click.option("--shortage-cost", metavar="VALUE", help="Instead of the settings' one; a number or price.")
@click.option("--lead-time", type=int, metavar="VALUE", help="Instead of the settings' one.")
@click.option("--max-visits-per-period", type=int, metavar="VALUE", help="Instead of the settings' one.")
@set_option
def what_if(
    settings_file: str,
    as_of: date,
    capacity: float,
    visit_cost: float,
    dc_stock: float,
    demand: float,
    overrides: tuple[str, ...],
    **values: float | str | None,
) -> None:
    """Plan a published run again with other limits or costs; writes nothing."""
    from flows.preparation import prepare_run
    from tasks.answers.what_if import Factors
    from tasks.answers.what_if import what_if as answer

    given = [f"inventory.{name}={value}" for name, value in values.items() if value is not None]
    published = prepare_run(settings_file, as_of)
    changed = prepare_run(settings_file, as_of, [*overrides, *given])
    with _progress() as tell:
        lines = answer(published, changed, Factors(capacity, visit_cost, dc_stock, demand), tell)
    _say(*lines)


def main() -> None:
    """Run the command line; an expected error ends as its message and exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except PipelineError as error:
        click.echo(f"\nError: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
