"""Entry point of the command line: ``restock`` or ``python -m flows``."""

from __future__ import annotations

import atexit
import gc
import sys

import click

from flows.cli.group import cli
from schemas.errors import PipelineError


def main() -> None:
    """Run the command line; an expected error ends with its message and exit code (docs/reference/contract.md)."""
    atexit.register(gc.freeze)  # what is frozen is not freed object by object at the end, which takes a second
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
