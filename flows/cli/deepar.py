"""Commands of DeepAR: train-deepar, tune-deepar, deploy-deepar, aws-status, aws-clean."""

from __future__ import annotations

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
    """Remove endpoints, transforms and models in AWS that dead runs have left."""
    removed = run_flow("clean_aws", "clean_aws", settings_file, overrides)
    say("", f"Removed: {', '.join(removed) or 'nothing'}.")
