"""`make serve`: everything runs after one command, and nothing is left after Ctrl-C (the end of the fixture)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import yaml
from click.testing import CliRunner
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running

from deployments.ecs.pool import create_pool, job_template
from deployments.serve import serve
from flows.dead_runs import end_dead_runs
from flows.family import FAMILY_VARIABLE
from tests.commands import Start
from tests.flows import mini_company
from tests.ports import HTTP, free_port
from tests.serving import TIMEZONE, Served

pytestmark = [pytest.mark.flow, pytest.mark.system]

ROOT = Path(__file__).parents[2]
DEPLOYED = [
    entry["name"].split("-{{")[0] for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
]
SECONDS_TO_WAIT = 240


def answers(address: str) -> bool:
    try:
        return HTTP.get(address).is_success
    except httpx.HTTPError:
        return False


def test_one_command_serves_deployments_automations_and_the_schedule(
    served: Served, fork: Start, tmp_path: Path
) -> None:
    environment = {**os.environ, "PREFECT_API_URL": served.api}
    with temporary_settings({PREFECT_API_URL: served.api}), get_client(sync_client=True) as client:
        end = served.deployment("")
        found = [one for one in client.read_deployments() if one.name.endswith(end)]
        deployed = {deployment.name.removesuffix(end): deployment for deployment in found}
        assert sorted(deployed) == sorted(DEPLOYED)
        assert [str(schedule.schedule.timezone) for schedule in deployed["weekly"].schedules] == [TIMEZONE]

        code, out, err = fork("deployments.automations", environment=environment).wait()
        assert code == 0, out + err
        automations = [automation.name for automation in client.read_automations()]
        rules = ("approval timed out", "dead run", "killed run", "retrain mini", "run that does not start")
        assert sorted(automations) == [f"restock: {name}" for name in rules]  # there is no webhook

        until = time.monotonic() + SECONDS_TO_WAIT / 4
        while not [run for run in client.read_flow_runs() if run.auto_scheduled]:
            # SQLAlchemy 2.1 keeps Prefect 3.8 from scheduling: pyproject.toml asks for an older one.
            assert time.monotonic() < until, "no weekly run was scheduled"
            time.sleep(0.3)

        # The planners' app answers, and knows this server.
        app = re.search(r"Planners' app: +(http\S+)", served.log)
        assert app is not None
        until = time.monotonic() + SECONDS_TO_WAIT
        while not answers(app[1]):
            assert time.monotonic() < until, served.log
            time.sleep(0.3)

        # A run of the command line uses this server: two servers on one SQLite file lock each other out.
        by_hand = {**os.environ, "PREFECT_HOME": str(served.home)}
        by_hand.pop("PREFECT_API_URL", None)
        ingest = ("flows", "ingest", "--settings", served.settings, "--as-of", "2024-06-10")
        code, out, err = fork(*ingest, environment=by_hand).wait()
        assert code == 0, out + err
        assert f"recorded by the server of `make serve`: {served.address}" in out
        assert [run.name for run in client.read_flow_runs() if "2024-06-10" in run.name]

        # The worker is started again when it is killed; server and UI stay up.
        worker = worker_of(served.process.pid)
        assert worker is not None
        mark = f"{FAMILY_VARIABLE}=".encode()
        assert mark in Path(f"/proc/{worker}/environ").read_bytes(), "it would outlive a killed `make serve`"
        os.kill(worker, signal.SIGKILL)
        until = time.monotonic() + SECONDS_TO_WAIT
        while worker_of(served.process.pid) in (None, worker):
            assert time.monotonic() < until, served.log
            assert served.process.poll() is None, served.log
            time.sleep(0.1)
        assert "The worker stopped unexpectedly (killed by signal 9, SIGKILL" in served.log
        assert client.read_deployments()

        pause_and_share(client, served, fork, {**environment, "RESTOCK_POOL": "local-process"}, tmp_path)


def worker_of(serve: int) -> int | None:
    """The process of the worker that `make serve` started."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text().strip()
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == serve and name == "prefect worker":
            return int(process.name)
    return None


def pause_and_share(
    client: SyncPrefectClient, served: Served, fork: Start, environment: dict[str, str], tmp_path: Path
) -> None:
    """A paused schedule stays paused when the company is deployed again, and another company replaces nothing."""
    weekly = client.read_deployment_by_name(f"weekly_replenishment/{served.deployment('weekly')}")
    (schedule,) = weekly.schedules
    client.update_deployment_schedule(weekly.id, schedule.id, active=False)
    other = mini_company.write(tmp_path / "other")
    content = yaml.safe_load(other.read_text("utf-8"))
    other.write_text(yaml.safe_dump({**content, "name": "other company"}))
    twin = mini_company.write(tmp_path / "twin")

    def deploy(settings: Path) -> tuple[int, str, str]:
        given = {"RESTOCK_HOME": str(ROOT), "RESTOCK_CRON": "0 5 * * 1", "RESTOCK_TIMEZONE": "Europe/Madrid"}
        variables = {**environment, **given, "RESTOCK_SETTINGS": str(settings)}
        return fork("prefect", "--no-prompt", "deploy", "--all", environment=variables).wait()

    for settings in (other, served.settings):
        code, out, err = deploy(settings)
        assert code == 0, out + err
    _, out, err = deploy(twin)
    assert "another settings file" in out + err
    found = {one.name: one for one in client.read_deployments() if one.name.startswith("weekly-")}
    assert {one.parameters["settings_file"] for one in found.values()} == {str(served.settings), str(other)}
    own, foreign = found[served.deployment("weekly")], found["weekly-other-company"]
    assert [one.active for one in own.schedules] == [False], "the pause was forgotten"
    assert [one.active for one in foreign.schedules] == [True]


def test_a_port_of_the_files_that_is_taken_is_told_before_a_server_starts(company: Path, fork: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = ["--port", free_port(), "--app-port", free_port(), "--files-port", taken.getsockname()[1]]
        code, _, err = fork("deployments.serve", "--settings", company, *ports, environment=dict(os.environ)).wait()
    assert code == 1
    assert "Port already in use" in err
    assert "--files-port" in err


def test_a_missing_settings_file_is_told_before_a_server_starts(tmp_path: Path, fork: Start) -> None:
    given = ("deployments.serve", "--settings", tmp_path / "no.yaml", "--port", 1)
    code, _, err = fork(*given, environment=dict(os.environ)).wait()
    assert code == 1
    assert "Settings file not found" in err


@pytest.mark.parametrize(("option", "value"), [("--timezone", "Chile/Nowhere"), ("--cron", "every monday")])
def test_a_schedule_that_is_none_is_told_before_a_server_starts(company: Path, option: str, value: str) -> None:
    done = CliRunner().invoke(serve, ["--settings", str(company), "--port", str(free_port()), option, value])
    assert done.exit_code == 1
    assert f"Error: {option}: " in done.output
    assert value in done.output


def test_the_ecs_pool_can_be_registered_again_with_other_values(prefect_server: dict[str, str]) -> None:
    given = ["--image", "r/restock:1", "--cluster", "shop", "--vpc-id", "vpc-1"]
    roles = ["--execution-role-arn", "execution", "--task-role-arn", "task"]
    for memory in ("16384", "30720"):
        done = CliRunner().invoke(create_pool, [*given, *roles, "--memory", memory])
        assert done.exit_code == 0, done.output
        with get_client(sync_client=True) as client:
            pool = client.read_work_pool("ecs")
        assert pool.type == "ecs"
        assert pool.base_job_template["variables"]["properties"]["memory"]["default"] == int(memory)


def test_a_run_on_ecs_is_a_fargate_task_of_our_image(prefect_server: dict[str, str]) -> None:
    from prefect_aws.workers.ecs_worker import ECSJobConfiguration

    roles = {name: f"arn:aws:iam::123456789012:role/{name}" for name in ("execution", "task")}
    given = ("registry/restock:1", "shop", "vpc-1", roles["execution"], roles["task"], 4096, 16384)
    template = job_template(*given, ["subnet-1"], ["sg-1"], auth_secret_arn="arn:secret")
    variables = {"env": {"TZ": "America/Santiago"}, "memory": 30720}
    job = asyncio.run(ECSJobConfiguration.from_template_and_values(template, variables))
    assert job.task_definition["containerDefinitions"] == [{"image": "registry/restock:1", "name": "restock"}]
    assert job.task_definition["executionRoleArn"] == roles["execution"]
    network = {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}
    assert job.network_configuration == network
    assert job.cloudwatch_logs_options["awslogs-create-group"] == "false"
    assert job.prefect_api_auth_string_secret_arn == "arn:secret"
    request = job.task_run_request
    assert (request["launchType"], request["cluster"]) == ("FARGATE", "shop")
    assert request["overrides"]["taskRoleArn"] == roles["task"]
    assert (request["overrides"]["cpu"], request["overrides"]["memory"]) == (4096, 30720)


def test_a_run_whose_process_is_gone_is_ended_and_no_other(prefect_server: dict[str, str], tmp_path: Path) -> None:
    @flow
    def work() -> None:
        """Nothing: its runs are only registered."""

    def run_of(worker: str, process: int) -> UUID:
        run = client.create_flow_run(work, state=Running()).id
        client.update_flow_run_labels(run, {"prefect.worker.name": worker})
        client.update_flow_run(run, infrastructure_pid=str(process))
        return run

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(SECONDS_TO_WAIT)
    with get_client(sync_client=True) as client:
        gone, elsewhere = run_of("ours", ended.pid), run_of("theirs", ended.pid)
        reused = run_of("ours", os.getpid())  # alive, but no process of that run
        alive = run_of("ours", ended.pid)
        environment = {**os.environ, "PREFECT__FLOW_RUN_ID": str(alive)}
        with subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE) as process:
            client.update_flow_run(alive, infrastructure_pid=str(process.pid))
            assert len(end_dead_runs(prefect_server["PREFECT_API_URL"], "ours")) == 2
            process.communicate(b"\n", timeout=SECONDS_TO_WAIT)
        states = {run: client.read_flow_run(run).state for run in (gone, reused, elsewhere, alive)}
    assert [state.type.name for state in states.values() if state] == ["CRASHED", "CRASHED", "RUNNING", "RUNNING"]
    state = states[gone]
    assert state is not None
    assert "Start the weekly run" in str(state.message)
