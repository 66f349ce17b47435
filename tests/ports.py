"""Addresses on this machine."""

from __future__ import annotations

import socket

import httpx

SECONDS_TO_ANSWER = 240
# One for all: ``httpx.get`` reads all certificates every time, which takes 28 milliseconds of processor time.
HTTP = httpx.Client(
    verify=False, trust_env=False, timeout=SECONDS_TO_ANSWER, limits=httpx.Limits(max_keepalive_connections=0)
)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something on this machine accepts connections to a port."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def healthy(api: str) -> bool:
    """Whether a Prefect server answers at the address of its API."""
    try:
        return HTTP.get(f"{api}/health", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
