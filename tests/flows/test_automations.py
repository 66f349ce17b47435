"""Automations on a separate server: what happens to a run is reported with what to do."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Pending, Running, Scheduled

from deployments.janitor import EVERY_20_MINUTES, schedule_janitors
from schemas import columns as c
from tests.commands import PrefectHome, Start, start_server
from tests.flows import forks, mini_company

pytestmark = [pytest.mark.flow, pytest.mark.system]

ROOT = Path(__file__).parents[2]
SECONDS_TO_WAIT = 240
SECONDS_UNTIL_LATE = 4
COMPANY = "mini"
PLANTED = "planted-secret"


class Server(NamedTuple):
    """A server with deployments and automations, but without a worker.

    Attributes:
        client: of its API.
        environment: that leads to it.
        fork: starts a process.
        posted: every notification that reached the webhook.
    """

    client: SyncPrefectClient
    environment: dict[str, str]
    fork: Start
    posted: list[dict[str, str]]

    def begin(self, settings: Path, **given: object) -> UUID:
        """A run of the weekly deployment, due at once."""
        deployment = self.client.read_deployment_by_name(f"weekly_replenishment/weekly-{COMPANY}").id
        parameters = {"settings_file": str(settings), "as_of": mini_company.AS_OF, **given}
        return self.client.create_flow_run_from_deployment(
            deployment, parameters=parameters, state=Scheduled(scheduled_time=datetime.now(UTC))
        ).id

    def execute(self, run: UUID) -> None:
        """Compute a run as a worker would."""
        self.fork("prefect", "flow-run", "execute", run, environment=self.environment).wait()

    def told(self, subject: str, words: str) -> str:
        """The message of a notification, once the webhook has it; it names company and run, and starts no run."""
        until = time.monotonic() + SECONDS_TO_WAIT
        while time.monotonic() < until:
            found = [one for one in self.posted if one["subject"] == subject and words in one["message"]]
            messages = [one["message"] for one in found]
            if found:
                assert found[0]["company"] == COMPANY
                # This server does not know its own address; `make serve` sets it.
                assert "/v2/runs/flow-run/" in (found[0]["link"] or "") or subject not in ("data quality", "published")
                assert found[0]["severity"] in ("info", "warning", "error")
                assert {run.name for run in self.client.read_flow_runs() if "notify" in run.name} == set()
                assert len(messages) == 1, "notified more than once"
                return messages[0]
            time.sleep(0.5)
        pytest.fail(f"{subject} with {words!r} was not notified: {self.posted}")

    def message(self, run: UUID, words: str) -> str:
        """The message of a run's state, once it holds some words."""
        until = time.monotonic() + SECONDS_TO_WAIT
        while words not in (text := state_message(self.client.read_flow_run(run))):
            assert time.monotonic() < until, text
            time.sleep(0.5)
        return text


def state_message(run: FlowRun) -> str:
    return (run.state.message if run.state else None) or ""


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An address that takes notifications, and what it has taken."""
    posted: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}/hooks/{PLANTED}", posted
        receiver.shutdown()


@pytest.fixture(scope="module")
def server(
    webhook: tuple[str, list[dict[str, str]]],
    tmp_path_factory: pytest.TempPathFactory,
    prefect_home: PrefectHome,
    fork: Start,
) -> Iterator[Server]:
    """A server on which a run is late after seconds."""
    environment = {
        **os.environ,
        "PREFECT_HOME": str(prefect_home(tmp_path_factory.mktemp("automations"))),
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": str(SECONDS_UNTIL_LATE),
        "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
        "DO_NOT_TRACK": "1",
        "RESTOCK_WEBHOOK_URL": webhook[0],
        "AWS_SECRET_ACCESS_KEY": PLANTED,
        "RESTOCK_HOME": str(ROOT),
        "RESTOCK_SETTINGS": "settings.yaml",
        "RESTOCK_COMPANY": COMPANY,
        "RESTOCK_CRON": "0 5 * * 1",
        "RESTOCK_TIMEZONE": "UTC",
        "RESTOCK_POOL": "local-process",
        forks.VARIABLE: "1",
        forks.WITH_ARRAYS: "1",
        forks.WITHOUT_FIGURES: "1",
    }

    def run(*arguments: str) -> None:
        code, out, err = fork(*arguments, environment=environment).wait()
        assert code == 0, out + err

    api, process = start_server(fork, environment, "deployments.prefect_server")
    environment["PREFECT_API_URL"] = api
    try:
        run("prefect", "work-pool", "create", "local-process", "--type", "process")
        run("prefect", "--no-prompt", "deploy", "--all")
        run("deployments.automations")
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            yield Server(client, environment, fork, webhook[1])
    finally:
        process.kill_all()


def test_a_run_that_no_worker_takes_is_told(server: Server, company: Path) -> None:
    run = server.begin(company)
    assert f"weekly-{COMPANY}, due " in server.told("late run", "has not started. Is a worker running?")
    server.client.delete_flow_run(run)


def test_bad_rows_sales_that_end_early_and_a_publication_are_told(server: Server, company: Path) -> None:
    as_of = "2024-07-03"
    good = mini_company.sales()
    bad = good.head(len(good) // 130).assign(**{c.STORE_ID: "nobody knows it"})
    mini_company.write(company.parent, sales=good._append(bad, ignore_index=True))
    server.execute(server.begin(company, as_of=as_of))
    assert "sales: " in server.told("data quality", "more than expert.quality.alarm_share (0.50%)")
    assert "2 periods" in server.told("data quality", "sales end at 2024-06-30")
    assert str(company.parent / "lake/runs" / as_of) in server.told("published", as_of)


def test_a_run_that_fails_is_told_with_what_to_do(server: Server, company: Path) -> None:
    (company.parent / "stores.csv").write_text("store\n1\n")
    run = server.begin(company)
    server.execute(run)
    assert "stores.csv" in server.told("failed run", "store_id")
    assert server.client.read_flow_run(run).name in server.posted[-1]["message"]


def test_a_killed_run_says_what_to_do_and_is_told_once(server: Server, company: Path) -> None:
    run = server.begin(company, overrides=["expert.inventory.genetic.generations=1000000"])
    for state in (Pending(), Running()):
        server.client.set_flow_run_state(run, state, force=True)
    raw = "Process exited with status code: -9. It was killed."
    server.client.set_flow_run_state(run, Crashed(message=raw))
    assert "Start the weekly run" in server.message(run, "Finished stages are reused")
    assert "the same date" in server.told("crashed run", "Finished stages are reused")
    assert not [one for one in server.posted if raw in one["message"]]


def test_no_secret_is_stored_or_shown(server: Server, company: Path) -> None:
    """After the runs above: nothing in database, logs, artifacts and lake has the webhook's address or a credential."""
    folders = [Path(server.environment["PREFECT_HOME"]), company.parent]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert any(file.name == "prefect.db" for file in files)
    assert [str(file) for file in files if PLANTED.encode() in file.read_bytes()] == []
    assert not [one for one in server.posted if PLANTED in json.dumps(one)]


def test_a_company_with_sagemaker_has_a_scheduled_janitor(server: Server, tmp_path: Path) -> None:
    client, name = server.client, f"clean-aws-{COMPANY}"
    file = tmp_path / "settings.yaml"

    def schedules(backend: str | None) -> list[tuple[str, bool]]:
        sagemaker = {"role": "arn:aws:iam::123456789012:role/restock", "region": "eu-west-1"}
        models = {"deepar": {"backend": backend, "sagemaker": sagemaker}} if backend else {}
        sources = {table: {"path": f"{table}.csv"} for table in ("sales", "products", "stores")}
        content = {"name": COMPANY, "storage": "s3://bucket/lake", "sources": sources, "models": models}
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        deployment = client.read_deployment_by_name(f"clean_aws/{name}")
        client.update_deployment(deployment.id, DeploymentUpdate(parameters={"settings_file": str(file)}))
        assert schedule_janitors(client) == ([name] if backend == "sagemaker" else [])
        found = client.read_deployment(deployment.id).schedules
        return [(one.schedule.cron, one.active) for one in found if isinstance(one.schedule, CronSchedule)]

    assert schedules("local") == []
    assert schedules("sagemaker") == [(EVERY_20_MINUTES, True)]
    deployment = client.read_deployment_by_name(f"clean_aws/{name}")
    client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    assert schedules("sagemaker") == [(EVERY_20_MINUTES, False)], "a pause was forgotten"
    assert schedules(None) == []
