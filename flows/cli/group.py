"""The command ``restock``: its commands by section, imported when they are used."""

from __future__ import annotations

import importlib

import click

# Module of the commands in flows.cli, by section of the help page. A command's function has its name with underscores.
SECTIONS = {
    "First steps": {"init": "setup", "check": "setup", "demo-data": "setup"},
    "Weekly run": {"demo": "runs", "weekly": "runs", "backfill": "runs"},
    "Single stages": dict.fromkeys(("ingest", "features", "baselines", "compare", "optimize"), "stages"),
    "DeepAR": dict.fromkeys(
        (
            *("train-deepar", "tune-deepar", "deploy-deepar", "ask", "serve-deepar", "export-deepar"),
            *("aws-status", "aws-clean"),
        ),
        "deepar",
    ),
    "Publications": dict.fromkeys(("publications", "rollback", "verify", "prune"), "publications"),
    "Performance": dict.fromkeys(("evaluate-week", "compare-variants", "promote"), "performance"),
    "Questions about a finished run": dict.fromkeys(("why", "explain", "what-if"), "questions"),
    "Planner's app": {"app": "app"},
    "Inventory planning without forecasts": {"plan": "plan"},
}
MODULES = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


class LazyGroup(click.Group):
    """A group that imports the module of a command when the command is used or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; None if there is no command of this name."""
        if cmd_name not in MODULES:
            return None
        module = importlib.import_module(f"flows.cli.{MODULES[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, one section per group."""
        width = max(map(len, MODULES))
        limit = formatter.width - 6 - width
        for title, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), command.get_short_help_str(limit)) for name, command in commands if command]
                )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="restock", prog_name="restock")
def cli() -> None:
    """Forecast demand and compute the target stock of every store and SKU.

    Exit codes: 0 done; 2 invalid settings or invalid input; 3 a publication was held back; 1 any other error.
    Use `restock COMMAND --help` for the options of a command.
    """
