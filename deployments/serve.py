"""``make serve``: run server, worker, deployments, file server and planners' app on this machine until Ctrl-C."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import httpx
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from deployments.company import company_of
from deployments.files import HOST, files_server, serving
from deployments.processes import ROOT, Child, how_it_ended, interrupt_on_signals, start, wait_or_kill
from deployments.server_settings import server_settings
from flows.dead_runs import end_dead_runs
from flows.environment import API, QUIET
from flows.family import end_children_with_this_process
from flows.server import announced
from schemas.errors import PipelineError
from tasks.configuration.settings_file import load_settings
from tasks.publication.addresses import APP_ROOT, APP_URL, FILES_ROOT, FILES_URL
from tasks.storage.lake import S3_SCHEME, open_lake

POOL = "local-process"
DEMO = "demo-company"
MONDAY_AT_FIVE = "0 5 * * 1"
WEEKS_TO_BACKFILL = 4
SECONDS_TO_START = 180
SECONDS_TO_STOP = 20
SECONDS_BETWEEN_CHECKS = 0.5


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    help="Read the settings from FILE.  [default: the demo company's settings]",
)
@click.option(
    "--timezone", default="UTC", show_default=True, help="Set the retailer's time zone, for example America/Santiago."
)
@click.option(
    "--cron", default=MONDAY_AT_FIVE, show_default=True, help="Set when the weekly run starts, as a cron expression."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Set the address that the server listens on.")
@click.option("--port", default=4200, show_default=True, help="Set the port that the server listens on.")
@click.option(
    "--files-port", type=int, help="Set the port of the published files, on 127.0.0.1.  [default: --port plus 1]"
)
@click.option("--app-port", type=int, help="Set the port of the planners' app, on 127.0.0.1.  [default: --port plus 2]")
def serve(
    settings_file: str | None,
    timezone: str,
    cron: str,
    host: str,
    port: int,
    files_port: int | None,
    app_port: int | None,
) -> None:
    """Serve the weekly run on this machine until Ctrl-C: server, worker, schedule, published files and planners' app.

    Prefect stores its database in PREFECT_HOME, or in the database of PREFECT_API_DATABASE_CONNECTION_URL. If
    RESTOCK_WEBHOOK_URL is set, notifications are posted to it. If RESTOCK_FILES_URL is set, artifacts link to it.
    """
    address = f"http://{host}:{port}"
    if _answers(address):
        raise click.ClickException(f"Port already in use: {address}. Stop that process or choose another --port.")
    settings = Path(settings_file).resolve() if settings_file else _demo_settings()
    if not settings.is_file():
        raise click.ClickException(f"Settings file not found: {settings}. Set its path with --settings.")
    _check_schedule(cron, timezone)
    end_children_with_this_process()
    environment = _environment(address, settings, cron, timezone)
    interrupt_on_signals()
    running: list[subprocess.Popen[bytes]] = []
    children: list[Child] = []
    app_port = _app_port(port + 2 if app_port is None else app_port)
    if app_port is not None:
        environment[APP_URL] = os.environ.get(APP_URL, f"http://{HOST}:{app_port}")
    lake = _lake(settings)
    environment[APP_ROOT] = lake
    with _files(lake, port + 1 if files_port is None else files_port) as files:
        environment |= files
        try:
            listen = ["server", "start", "--host", host, "--port", str(port)]
            running.append(start("deployments.prefect_server", listen, environment))
            _wait_for_server(address, running[0])
            _prefect(["work-pool", "create", POOL, "--type", "process", "--overwrite"], environment)
            _prefect(["--no-prompt", "deploy", "--all"], environment)
            _python(["-m", "deployments.automations"], environment)
            name = f"restock-{platform.node()}"
            _end_dead_runs(environment, name)
            children.append(_worker(name, environment))
            if app_port is not None:
                children.append(_app(settings, app_port, environment))
            own = _own_deployments(address, company_of(str(settings)))
            pages = _pages(address, own, prefilled=None if settings_file else _demo_dates())
            paused = not all(schedule["active"] for schedule in own["weekly"]["schedules"])
            for line in _welcome(address, pages, environment, paused):
                click.echo(line)
            known = {name: environment[name] for name in (API, APP_URL, APP_ROOT) if name in environment}
            with announced({**known, **files}):
                _watch(running[0], children)
        except KeyboardInterrupt:
            click.echo("Stopping ...")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C would leave processes running
                signal.signal(number, signal.SIG_IGN)
            _stop([*running, *(child.process for child in children)])


def _environment(address: str, settings: Path, cron: str, timezone: str) -> dict[str, str]:
    """Environment variables of server, worker, runs and app."""
    return {
        **server_settings(),
        **os.environ,
        **QUIET,
        API: f"{address}/api",
        "PREFECT_UI_API_URL": f"{address}/api",
        "RESTOCK_HOME": str(ROOT),
        "RESTOCK_SETTINGS": str(settings),
        "RESTOCK_CRON": cron,
        "RESTOCK_TIMEZONE": timezone,
        "RESTOCK_POOL": POOL,
        "TZ": timezone,  # the terminal shows the times of the runs
    }


def _check_schedule(cron: str, timezone: str) -> None:
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        problems = "; ".join(f"--{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise click.ClickException(f"{problems}. Valid example: --cron '{MONDAY_AT_FIVE}' --timezone UTC.") from None


def _lake(settings: Path) -> str:
    """The absolute path or URI of the lake."""
    try:
        storage = load_settings(settings).storage
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    return storage.rstrip("/") if storage.startswith(S3_SCHEME) else str(Path(storage).expanduser().absolute())


@contextmanager
def _files(lake: str, port: int) -> Iterator[dict[str, str]]:
    """Serve the lake's files while the context is open, unless the lake is in a bucket.

    Yields:
        Environment variables with the address, for runs; empty for a bucket.
    """
    if lake.startswith(S3_SCHEME):
        yield {}
        return
    try:
        server = files_server(Path(lake), port)
    except OSError as error:
        raise click.ClickException(
            f"Port already in use: {HOST}:{port} ({error.strerror}). Choose another port for the published files with "
            "--files-port."
        ) from error
    with serving(server) as address:
        yield {FILES_URL: os.environ.get(FILES_URL, address), FILES_ROOT: lake}


def _welcome(address: str, pages: dict[str, str], environment: dict[str, str], paused: bool) -> list[str]:
    how = "(Run, Custom run, Submit)"
    files = [f"Files:          {environment[FILES_URL]}/"] if FILES_URL in environment else []
    app = environment.get(APP_URL, "not installed; install it with: pip install 'restock[app]'")
    return [
        "",
        f"Prefect UI:     {address}",
        f"Weekly run:     {pages['weekly']} {how}",
        f"Backfill:       {pages['backfill']} {how}",
        f"Planners' app:  {app}",
        *files,
        f"Scheduled:      '{environment['RESTOCK_CRON']}' in {environment['RESTOCK_TIMEZONE']}"
        + (" (PAUSED; resume it on the page of the weekly run)" if paused else ""),
        f"Settings file:  {environment['RESTOCK_SETTINGS']}",
        "Stop with Ctrl-C. Operation and failures: docs/runbook.md",
    ]


def _own_deployments(address: str, company: str) -> dict[str, dict[str, Any]]:
    """Return the deployments of a company, by name without the company."""
    found = httpx.post(f"{address}/api/deployments/filter", json={}).raise_for_status().json()
    # The names alone do not separate the company "shop" from "toy-shop".
    own = [one for one in found if one["work_queue_name"] == company]
    return {one["name"].removesuffix(f"-{company}"): one for one in own}


def _pages(address: str, own: dict[str, dict[str, Any]], prefilled: dict[str, str] | None) -> dict[str, str]:
    """Return the address of every deployment's page, by name of the deployment.

    Args:
        address: Address of the server.
        own: The company's deployments.
        prefilled: Values to show in the forms, by parameter. Deployments without the parameter ignore its value.
    """
    pages = {}
    for name, deployment in own.items():
        known = deployment["parameter_openapi_schema"]["properties"]
        values = {parameter: value for parameter, value in (prefilled or {}).items() if parameter in known}
        if values:
            given = {"parameters": {**deployment["parameters"], **values}}
            httpx.patch(f"{address}/api/deployments/{deployment['id']}", json=given).raise_for_status()
        pages[name] = f"{address}/v2/deployments/deployment/{deployment['id']}"
    return pages


def _demo_dates() -> dict[str, str]:
    """Return dates for the forms of the demo company, whose sales end long before today."""
    from tasks.demo.timeline import AS_OF

    first = AS_OF - timedelta(weeks=WEEKS_TO_BACKFILL - 1)
    return {"as_of": AS_OF.isoformat(), "date_from": first.isoformat(), "date_to": AS_OF.isoformat()}


def _demo_settings() -> Path:
    settings = ROOT / DEMO / "settings.yaml"
    if not settings.is_file():
        from tasks.demo.company import write_demo_company

        click.echo(f"No --settings given: writing the demo company to {DEMO} ...")
        written = write_demo_company(ROOT / DEMO, size="slice").resolve()
        open_lake(_lake(written))  # runs may know, and miss, the lake of a demo company that was deleted
        return written
    return settings


def _prefect(arguments: Sequence[str], environment: dict[str, str]) -> None:
    _python(["-m", "prefect", *arguments], environment)


def _python(arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command and wait for it; its output is shown only if it fails."""
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"`{' '.join(arguments)}` failed:\n{done.stdout}{done.stderr}")


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _wait_for_server(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while not _answers(address):
        if server.poll() is not None:
            raise click.ClickException("The Prefect server stopped during startup. Its message is above.")
        if time.monotonic() > until:
            raise click.ClickException(f"The Prefect server at {address} did not respond within {SECONDS_TO_START} s.")
        time.sleep(SECONDS_BETWEEN_CHECKS)


def _worker(name: str, environment: dict[str, str]) -> Child:
    arguments = ["worker", "start", "--pool", POOL, "--name", name]
    return Child("worker", "prefect", arguments, environment, lambda: _end_dead_runs(environment, name))


def _app(settings: Path, port: int, environment: dict[str, str]) -> Child:
    """The planners' app, on this machine only."""
    return Child("app", "flows", ["app", "--settings", str(settings), "--port", str(port)], environment, lambda: None)


def _app_port(wanted: int) -> int | None:
    """The port of the app; None if its packages are not installed.

    Raises:
        ClickException: the port is in use.
    """
    if find_spec("dash") is None or find_spec("dash_ag_grid") is None:
        return None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise click.ClickException(
                f"Port already in use: {HOST}:{wanted} ({error.strerror}). Choose another port for the planners' app "
                "with --app-port."
            ) from error
    return wanted


def _end_dead_runs(environment: dict[str, str], worker: str) -> None:
    for run in end_dead_runs(environment[API], worker):
        click.echo(f"Marked as crashed, because its process no longer exists: {run}")


def _watch(server: subprocess.Popen[bytes], children: Sequence[Child]) -> None:
    """Look after worker and app until the server stops unexpectedly, then raise."""
    while server.poll() is None:
        for child in children:
            child.look_after()
        time.sleep(SECONDS_BETWEEN_CHECKS)
    raise click.ClickException(f"The Prefect server stopped unexpectedly ({how_it_ended(server.returncode)}).")


def _stop(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Stop the processes, the last one first, so that the worker can still report to the server."""
    for process in reversed(running):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            wait_or_kill(process, SECONDS_TO_STOP)


if __name__ == "__main__":
    serve()
