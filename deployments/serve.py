"""Server, worker, deployments, automations and the lake's files on this machine, until Ctrl-C: ``make serve``."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType

import click
import httpx
from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from deployments.dead_runs import end_dead_runs
from deployments.files import HOST, files_server, serving
from flows.server import announced
from schemas.errors import PipelineError
from tasks.configuration.settings_file import load_settings
from tasks.publication.addresses import FILES_ROOT, FILES_URL
from tasks.storage.lake import S3_SCHEME

ROOT = Path(__file__).parents[1]
POOL = "local-process"
DEMO = "demo-company"
MONDAY_AT_FIVE = "0 5 * * 1"
WEEKS_TO_BACKFILL = 4
SECONDS_TO_START = 180
SECONDS_TO_STOP = 20
SECONDS_BETWEEN_LOOKS = 0.5
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--settings", "settings_file", metavar="FILE", help="Settings file.  [default: the demo company's]")
@click.option(
    "--timezone", default="UTC", show_default=True, help="The retailer's time zone, such as America/Santiago."
)
@click.option("--cron", default=MONDAY_AT_FIVE, show_default=True, help="When the weekly run starts.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that the server listens on.")
@click.option("--port", default=4200, show_default=True, help="Port that the server listens on.")
@click.option("--files-port", type=int, help="Port of the published files, on 127.0.0.1.  [default: the next port]")
def serve(settings_file: str | None, timezone: str, cron: str, host: str, port: int, files_port: int | None) -> None:
    """Run everything that weekly runs need on this machine; stop it with Ctrl-C.

    Prefect keeps its database where PREFECT_HOME says, or in PREFECT_API_DATABASE_CONNECTION_URL. Notifications
    go to RESTOCK_WEBHOOK_URL where it is set. Artifacts link to the files at RESTOCK_FILES_URL where it is set.
    """
    address = f"http://{host}:{port}"
    if _answers(address):
        raise click.ClickException(f"Something answers at {address} already. Stop it, or take another --port.")
    settings = Path(settings_file).resolve() if settings_file else _demo_settings()
    if not settings.is_file():
        raise click.ClickException(f"There is no settings file {settings}. Give its path with --settings.")
    _check_schedule(cron, timezone)
    environment = {
        **os.environ,
        **QUIET,
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_UI_API_URL": f"{address}/api",
        "RESTOCK_HOME": str(ROOT),
        "RESTOCK_SETTINGS": str(settings),
        "RESTOCK_CRON": cron,
        "RESTOCK_TIMEZONE": timezone,
        "RESTOCK_POOL": POOL,
        "TZ": timezone,  # the terminal tells one time: that of the runs
    }
    # Also where whoever started this process lets it ignore Ctrl-C, as shells do in the background: server and worker
    # would inherit that, and runs under way would outlive them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_interrupt)
    running: list[subprocess.Popen[bytes]] = []
    with _files(settings, port + 1 if files_port is None else files_port) as files:
        environment |= files
        try:
            listen = ["server", "start", "--host", host, "--port", str(port)]
            running.append(_start("deployments.prefect_server", listen, environment))
            _wait_for_server(address, running[0])
            _prefect(["work-pool", "create", POOL, "--type", "process", "--overwrite"], environment)
            _prefect(["--no-prompt", "deploy", "--all"], environment)
            _python(["-m", "deployments.automations"], environment)
            worker = f"restock-{platform.node()}"
            for run in end_dead_runs(environment["PREFECT_API_URL"], worker):
                click.echo(f"Crashed, its process was gone: {run}")
            running.append(_start("prefect", ["worker", "start", "--pool", POOL, "--name", worker], environment))
            pages = _pages(address, prefilled=None if settings_file else _demo_dates())
            for line in _welcome(address, pages, environment):
                click.echo(line)
            with announced({"PREFECT_API_URL": environment["PREFECT_API_URL"], **files}):
                _watch(running)
        except KeyboardInterrupt:
            click.echo("Stopping ...")
        finally:
            _stop(running)


def _check_schedule(cron: str, timezone: str) -> None:
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        problems = "; ".join(f"--{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise click.ClickException(f"{problems}. Expected such as --cron '{MONDAY_AT_FIVE}' --timezone UTC.") from None


@contextmanager
def _files(settings: Path, port: int) -> Iterator[dict[str, str]]:
    """Serve the lake's files while this is open; the variables by which runs know where. None for a bucket."""
    try:
        storage = load_settings(settings).storage
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    if storage.startswith(S3_SCHEME):
        yield {}
        return
    lake = Path(storage).expanduser().absolute()
    try:
        server = files_server(lake, port)
    except OSError as error:
        raise click.ClickException(
            f"Port {port} of {HOST} is not free for the published files ({error.strerror}). Name one: --files-port."
        ) from error
    with serving(server) as address:
        yield {FILES_URL: os.environ.get(FILES_URL, address), FILES_ROOT: str(lake)}


def _welcome(address: str, pages: dict[str, str], environment: dict[str, str]) -> list[str]:
    how = "(Run, Custom run, Submit)"
    files = [f"Files:          {environment[FILES_URL]}/runs/"] if FILES_URL in environment else []
    return [
        "",
        f"Prefect UI:     {address}",
        f"Weekly run:     {pages['weekly']} {how}",
        f"Backfill:       {pages['backfill']} {how}",
        *files,
        f"Scheduled:      '{environment['RESTOCK_CRON']}' in {environment['RESTOCK_TIMEZONE']}",
        f"Settings file:  {environment['RESTOCK_SETTINGS']}",
        "Stop with Ctrl-C. What to do when: docs/runbook.md",
    ]


def _pages(address: str, prefilled: dict[str, str] | None) -> dict[str, str]:
    """Address of every deployment's page, by name.

    Args:
        address: of the server.
        prefilled: values that the forms are to show, by parameter; each goes to the deployments that know it.
    """
    pages = {}
    for deployment in httpx.post(f"{address}/api/deployments/filter", json={}).raise_for_status().json():
        known = deployment["parameter_openapi_schema"]["properties"]
        values = {name: value for name, value in (prefilled or {}).items() if name in known}
        if values:
            given = {"parameters": {**deployment["parameters"], **values}}
            httpx.patch(f"{address}/api/deployments/{deployment['id']}", json=given).raise_for_status()
        pages[deployment["name"]] = f"{address}/v2/deployments/deployment/{deployment['id']}"
    return pages


def _demo_dates() -> dict[str, str]:
    """The demo company's sales end long before today: its forms show its last week, and the last four to backfill."""
    from tasks.demo.timeline import AS_OF

    first = AS_OF - timedelta(weeks=WEEKS_TO_BACKFILL - 1)
    return {"as_of": AS_OF.isoformat(), "date_from": first.isoformat(), "date_to": AS_OF.isoformat()}


def _demo_settings() -> Path:
    settings = ROOT / DEMO / "settings.yaml"
    if not settings.is_file():
        from tasks.demo.company import write_demo_company

        click.echo(f"No --settings given: writing the demo company to {DEMO} ...")
        return write_demo_company(ROOT / DEMO, size="slice").resolve()
    return settings


def _start(module: str, arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A Prefect process of its own session: Ctrl-C reaches it through :func:`_stop` alone, in order."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)  # noqa: S603


def _prefect(arguments: Sequence[str], environment: dict[str, str]) -> None:
    _python(["-m", "prefect", *arguments], environment)


def _python(arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command to its end; its output is shown only where it fails."""
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
            raise click.ClickException("The Prefect server ended at once; its message stands above.")
        if time.monotonic() > until:
            raise click.ClickException(f"The Prefect server did not answer within {SECONDS_TO_START} s at {address}.")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _watch(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Return never, unless a process ends by itself."""
    while all(process.poll() is None for process in running):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise click.ClickException("The server or the worker ended by itself; its message stands above.")


def _stop(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes, the last one first, so that the worker can still tell the server."""
    for process in reversed(running):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    serve()
