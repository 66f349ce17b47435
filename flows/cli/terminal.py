"""Text on the terminal: lines, tables and the progress of a search."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import Any

import click


def say(*lines: str) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)


@contextmanager
def progress() -> Iterator[Callable[[str], None] | None]:
    """Yield a function that shows a text in one line of the terminal; None if standard error is not a terminal.

    Each text replaces the one before. The line is removed at the end.
    """
    if not sys.stderr.isatty():
        yield None
        return
    clear = "\r\x1b[K"
    try:
        yield lambda text: click.echo(clear + text[: get_terminal_size().columns - 1], nl=False, err=True)
    finally:
        click.echo(clear, nl=False, err=True)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return rows as aligned lines with a header.

    >>> table([{"model": "theta", "wape": 0.25}, {"model": "ets"}])
    ['  model  wape', '  theta  0.25', '  ets']
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(text[at]) for text in texts) for at in range(len(columns))]
    return ["  " + "  ".join(text[at].ljust(widths[at]) for at in range(len(columns))).rstrip() for text in texts]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
