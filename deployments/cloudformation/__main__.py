"""Write the CloudFormation template: ``python -m deployments.cloudformation > restock.json``."""

from __future__ import annotations

import json

import click

from deployments.cloudformation.template import build


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def write_template() -> None:
    """Write the CloudFormation template of Restock's infrastructure to standard output."""
    click.echo(json.dumps(build(), indent=2))


if __name__ == "__main__":
    write_template()
