"""``make cluster``: a Dask scheduler and workers as separate processes of this machine, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import click

from deployments.processes import interrupt_on_signals, start, wait_or_kill
from flows.family import end_children_with_this_process
from schemas.settings.compute import DASK

HOST = "127.0.0.1"
SECONDS_TO_START = 120
SECONDS_TO_STOP = 10
SECONDS_BETWEEN_LOOKS = 0.5
ENVIRONMENT = {
    # If a shard ends its worker, the run submits the shard again, and stops after a number of attempts.
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "DASK_LOGGING__DISTRIBUTED": "warning",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Start this many workers.")
@click.option("--port", default=8786, show_default=True, help="Set the port of the scheduler.")
def cluster(workers: int, port: int) -> None:
    """Start a Dask scheduler and workers, one thread each, that only this machine reaches; stop them with Ctrl-C."""
    if _answers(port):
        raise click.ClickException(f"Port already in use: {HOST}:{port}. Stop that process or choose another --port.")
    interrupt_on_signals()
    end_children_with_this_process()
    address = f"tcp://{HOST}:{port}"
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.append(_start("scheduler", "--host", HOST, "--port", str(port)))
        _wait_for_scheduler(running[0], port)
        for number in range(1, workers + 1):
            name = ("--name", f"worker-{number}")
            running.append(_start("worker", address, "--host", HOST, "--nthreads", "1", *name))
        click.echo(
            f"Dask scheduler: {address} ({workers} workers with one thread each)\n"
            f"Use it:         restock weekly --set compute.engine={DASK} --set compute.address={address} ...\n"
            "Stop with Ctrl-C. Operation and failures: docs/cluster.md"
        )
        while running[0].poll() is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise click.ClickException(f"The Dask scheduler stopped unexpectedly (exit code {running[0].returncode}).")
    except KeyboardInterrupt:
        click.echo("Stopping ...")
    finally:
        _stop(running)


def _start(part: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a part of the cluster."""
    # Without an address, the HTTP server of its metrics would listen on all networks, also without a dashboard.
    metrics = ("--no-dashboard", "--dashboard-address", f"{HOST}:0")
    return start("dask", (part, *arguments, *metrics), {**os.environ, **ENVIRONMENT})


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _wait_for_scheduler(scheduler: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while not _answers(port):
        if scheduler.poll() is not None:
            raise click.ClickException("The Dask scheduler stopped during startup. Its message is above.")
        if time.monotonic() > until:
            raise click.ClickException(f"The Dask scheduler did not answer within {SECONDS_TO_START} s.")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _stop(running: list[subprocess.Popen[bytes]]) -> None:
    """Stop workers, then the scheduler."""
    for process in reversed(running):
        process.send_signal(signal.SIGTERM)
    for process in reversed(running):
        wait_or_kill(process, SECONDS_TO_STOP)


if __name__ == "__main__":
    cluster()
