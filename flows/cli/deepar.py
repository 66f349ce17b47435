"""Commands of DeepAR: training, tuning, endpoints, questions to them, and what exists in AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from flows.cli.options import flow_options, set_option, settings_option
from flows.cli.run_flow import run_flow
from flows.cli.terminal import say, table


@click.command("train-deepar")
@flow_options
def train_deepar(**parameters: Any) -> None:
    """Train and compare DeepAR configurations.

    The best one is then trained on all known data.
    """
    record = run_flow("train_deepar", "train_deepar", **parameters)
    say("", "Configurations, best first:", *table(record.choice.summary.get("configurations", [])))
    say(f"Best: {record.choice.configuration.label} ({record.choice.why})", f"Model: {record.model.archive.key}")


@click.command("tune-deepar")
@flow_options
def tune_deepar(**parameters: Any) -> None:
    """Tune the hyperparameters of the best DeepAR configuration."""
    record = run_flow("tune_deepar", "tune_deepar", **parameters)
    finished = sum(trial.state == "finished" for trial in record.result.trials)
    say("", f"{len(record.result.trials)} training jobs, {finished} completed. Best settings:", record.settings)
    say("To use them, add these lines to the settings file.")


@click.command("deploy-deepar")
@flow_options
@click.option("--delete", is_flag=True, help="Delete the endpoint instead of deploying it.")
@click.option("--endpoint", metavar="NAME", help="With --delete: delete the endpoint NAME of any installation.")
@click.option("--adopt", is_flag=True, help="Take over an endpoint that this installation has not created.")
def deploy_deepar(**parameters: Any) -> None:
    """Serve DeepAR models on a SageMaker endpoint.

    The endpoint serves the best configuration and its challengers.
    """
    record = run_flow("deploy_deepar", "deploy_deepar", **parameters)
    if not record.variants:
        deleted = ", ".join(record.deleted)
        say("", f"Deleted: {deleted}." if deleted else f"No endpoint was deleted: {record.name} does not exist.")
        if record.left:
            say("These endpoints remain (delete them with --delete --endpoint NAME --adopt):", *table(record.left))
        return
    rows = [{"variant": name, "weight": record.weights[name], "job": job} for name, job in record.variants.items()]
    say("", f"Endpoint {record.name}:", *table(rows), f"Request format: {record.encoding}")


@click.command("aws-status")
@settings_option
@set_option
def aws_status(settings_file: str, overrides: tuple[str, ...]) -> None:
    """List jobs in progress, endpoints and models in AWS, with age and class of their hourly price."""
    from tasks.configuration.settings_file import load_settings
    from tasks.stages.aws_holdings import holding_rows

    rows = holding_rows(load_settings(Path(settings_file), overrides))
    if not rows:
        say("Nothing of Restock exists in this account and region.")
        return
    say(*table(rows))


@click.command("aws-clean")
@settings_option
@set_option
def aws_clean(settings_file: str, overrides: tuple[str, ...]) -> None:
    """Remove endpoints, transforms and models of dead runs from AWS."""
    removed = run_flow("clean_aws", "clean_aws", settings_file, overrides)
    say("", f"Removed: {', '.join(removed) or 'nothing'}.")


@click.command()
@settings_option
@set_option
@click.option("--store", "stores", multiple=True, metavar="STORE", help="Ask for the series of STORE. Repeatable.")
@click.option("--category", "categories", multiple=True, metavar="CATEGORY", help="Ask for CATEGORY. Repeatable.")
@click.option("--sku", "skus", multiple=True, metavar="SKU", help="Ask for SKU, if `category` is [sku]. Repeatable.")
@click.option("--endpoint", metavar="NAME", help="Ask the endpoint NAME.  [default: the endpoint of the settings]")
@click.option("--variant", metavar="NAME", help="Ask one variant of the endpoint.")
@click.option("--local", is_flag=True, help="Serve the last trained model on this machine and ask it.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
@click.option("--keep", is_flag=True, help="Keep the answers of all variants, to compare them with later sales.")
@click.option("--repeat", type=click.IntRange(min=1), metavar="N", help="Measure response times of N requests each.")
@click.option("--record", metavar="FILE", help="With --repeat: write the response times to FILE, as CSV.")
def ask(**options: Any) -> None:
    """Ask a DeepAR endpoint, or the same model on this machine, for quantiles of series."""
    from flows.asking import Selection, answers, keep_variant_answers, measured

    if options["skus"] and options["categories"]:
        raise click.UsageError("--sku and --category exclude each other.")
    if options["record"] and not options["repeat"]:
        raise click.UsageError("--record needs --repeat.")
    selection = Selection(*(options.pop(name) for name in Selection._fields))
    as_json, repeat, record = options.pop("as_json"), options.pop("repeat"), options.pop("record")
    if options.pop("keep"):
        local, variant = options.pop("local"), options.pop("variant")
        if local or variant or repeat:
            raise click.UsageError("--keep asks all variants of an endpoint. It excludes --local, --variant, --repeat.")
        rows = keep_variant_answers(selection, **options)
    else:
        rows = measured(repeat, record, selection, **options) if repeat else answers(selection, **options)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        say(*table(rows))


@click.command("serve-deepar")
@settings_option
@set_option
@click.option("--port", default=8080, show_default=True, help="Serve on this port of this machine.")
def serve_deepar(settings_file: str, overrides: tuple[str, ...], port: int) -> None:
    """Serve the last trained DeepAR model on this machine, as SageMaker's containers do.

    GET /ping answers 200; POST /invocations takes the request of a SageMaker endpoint. Stop with Ctrl-C.
    """
    from flows.asking import serve_until_stopped

    serve_until_stopped(settings_file, overrides, port, say)


@click.command("export-deepar")
@settings_option
@set_option
@click.option("--out", default="deepar-edge", show_default=True, metavar="DIR", help="Write the model to DIR.")
def export_deepar(settings_file: str, overrides: tuple[str, ...], out: str) -> None:
    """Export the last DeepAR model that was trained on this machine.

    DIR then contains the network (TorchScript), its description and the encoding of requests, and reader.py, which
    answers requests and needs only torch and numpy.
    """
    from flows.asking import export_model

    job = export_model(settings_file, overrides, out)
    say(f"{job} was exported to {out}. To ask it: python {out}/reader.py < request.json")
