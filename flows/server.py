"""Which Prefect server a run of the command line uses: that of ``make serve``, where one runs on this machine.

Without it such a run starts a server of its own on the same database, and two servers on one SQLite file lock each
other out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

API = "PREFECT_API_URL"
SECONDS_TO_ANSWER = 2


def _file() -> Path:
    """Beside the database: who shares that, shares the server."""
    return Path(get_current_settings().home) / "restock-served.json"


@contextmanager
def announced(variables: Mapping[str, str]) -> Iterator[None]:
    """Tell runs of the command line, while this is open, where the server and its files are.

    Args:
        variables: ``PREFECT_API_URL`` and what else such a run should find in its environment.
    """
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict(variables)), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def on_the_served_server() -> Iterator[str | None]:
    """Use the announced server while this is open, unless a server is named already; its API's address, or None."""
    variables = _announcement() if get_current_settings().api.url is None else {}
    api = variables.pop(API, None)
    if api is None or not _answers(api):
        yield None
        return
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    with temporary_settings({PREFECT_API_URL: api}):
        yield api


def _announcement() -> dict[str, str]:
    try:
        return dict(json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _answers(api: str) -> bool:
    """A server that was killed has left its announcement behind."""
    try:
        return httpx.get(f"{api}/health", timeout=SECONDS_TO_ANSWER).is_success
    except httpx.HTTPError:
        return False
