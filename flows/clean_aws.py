"""Flow: remove the AWS resources of dead runs."""

from __future__ import annotations

from prefect import flow

from flows.parameters import describe_parameters
from flows.preparation import prepare_run
from tasks.stages.aws_holdings import remove_remains


@flow(name="clean_aws", flow_run_name="clean aws · {settings_file}")
@describe_parameters
def clean_aws(
    settings_file: str,
    overrides: list[str] = [],  # noqa: B006
) -> list[str]:
    """Delete endpoints and models and stop transforms of runs that died; every 20 minutes by schedule."""
    return remove_remains(prepare_run(settings_file, overrides=overrides))
