"""Commands of DeepAR: train-deepar, tune-deepar, deploy-deepar."""

from __future__ import annotations

from typing import Any

import click

from flows.cli.options import flow_options
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
def deploy_deepar(**parameters: Any) -> None:
    """Serve DeepAR models on a SageMaker endpoint.

    The endpoint serves the best configuration and its challengers.
    """
    record = run_flow("deploy_deepar", "deploy_deepar", **parameters)
    if not record.variants:
        say("", f"Endpoint {record.name} was deleted.")
        return
    rows = [{"variant": name, "weight": record.weights[name], "job": job} for name, job in record.variants.items()]
    say("", f"Endpoint {record.name}:", *table(rows), f"Request format: {record.encoding}")
