"""Let a run from the command line use the Prefect server of ``make serve`` if one is running on this machine.

Otherwise such a run starts a second server on the same database, and two servers on one SQLite file block each other.
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
    """Return the path of the announcement, next to the database: users of one database share the server."""
    return Path(get_current_settings().home) / "restock-served.json"


@contextmanager
def announced(variables: Mapping[str, str]) -> Iterator[None]:
    """Announce a server to runs from the command line while the context is open.

    Args:
        variables: ``PREFECT_API_URL``, and other environment variables for such a run.
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
    """Use the announced server while the context is open, unless PREFECT_API_URL is set.

    Yields:
        The address of the server's API; None if no announced server is used.
    """
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
    """Return whether a server responds: after a crash the announcement of a stopped server remains."""
    try:
        return httpx.get(f"{api}/health", timeout=SECONDS_TO_ANSWER).is_success
    except httpx.HTTPError:
        return False
