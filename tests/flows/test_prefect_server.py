"""Prefect's server: transactions wait; a temporary one that cannot start is reported; runs need none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from deployments.prefect_server import WaitingSqlite
from flows import server
from flows.own_api import Answers
from schemas.errors import PipelineError

WRITERS = 4


async def count_together(configuration: AioSqliteConfiguration) -> int:
    """Let several transactions read a number, all of them before any writes it, and write one more."""
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))

    async def count() -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            read = (await session.execute(text("SELECT n FROM counter"))).scalar_one()
            await asyncio.sleep(0.1)
            await session.execute(text("UPDATE counter SET n = :n"), {"n": read + 1})

    try:
        await asyncio.gather(*(count() for _ in range(WRITERS)))
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT n FROM counter"))).scalar_one())
    finally:
        await engine.dispose()


def test_transactions_wait_for_each_other_where_prefects_own_are_refused(tmp_path: Path) -> None:
    own, waiting = (f"sqlite+aiosqlite:///{tmp_path / name}" for name in ("own.db", "waiting.db"))
    assert asyncio.run(count_together(WaitingSqlite(connection_url=waiting))) == WRITERS
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(count_together(AioSqliteConfiguration(connection_url=own)))


def test_temporary_server_that_ends_before_it_is_ready_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.sys, "executable", "false")
    with (
        server.temporary_settings(restore_defaults={server.PREFECT_API_URL}),
        server.server_of_this_run(recorded=True) as ready,
        pytest.raises(PipelineError, match="ended with exit code 1 before it was ready"),
    ):
        ready()


def test_a_run_without_a_server_has_states_artifacts_and_retries_and_leaves_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    tries: list[int] = []

    @task(retries=1, retry_delay_seconds=0)
    def unsure() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("once")
        create_markdown_artifact("text", key="text")
        update_progress_artifact(create_progress_artifact(0.0, key="progress"), 100.0)
        emit_event("restock.test", resource={"prefect.resource.id": "restock.test"})
        return len(tries)

    @flow(flow_run_name="2024-07-01", on_failure=[lambda flow, flow_run, state: tries.append(0)])
    def weekly(fails: bool) -> tuple[int, str, str]:
        with get_client(sync_client=True) as client:
            own = client.read_flow_run(flow_run.get_id())
        assert own.start_time is not None
        if fails:
            raise PipelineError("no sales")
        return unsure.submit().result(), own.name, own.state_name

    with server.temporary_settings(restore_defaults={server.PREFECT_API_URL}):
        with server.server_of_this_run(recorded=False) as ready:
            assert ready() is None
            assert weekly(fails=False) == (2, "2024-07-01", "Running")
            assert weekly(fails=True, return_state=True).is_failed()
            assert tries == [1, 1, 0]
            asked = httpx.post(f"{server.get_current_settings().api.url}/flow_runs/filter", json={})
        assert asked.status_code == httpx.codes.NOT_FOUND
        assert "POST /flow_runs/filter needs a Prefect server" in asked.json()["detail"]
        assert server.get_current_settings().api.url is None
    assert "View at" not in caplog.text
    assert not list(tmp_path.iterdir())


def test_the_answers_about_a_run_are_those_of_a_server() -> None:
    api = Answers()
    _, run = api.to("POST /flow_runs/", {"name": None, "state": {"type": "PENDING", "name": "Pending"}})
    code, answer = api.to(f"POST /flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING", "name": "Running"}})
    assert (code, answer["status"], answer["details"]) == (201, "ACCEPT", {"type": "accept_details"})
    api.to(f"PATCH /flow_runs/{run['id']}", {"name": "2024-07-01"})
    _, run = api.to(f"GET /flow_runs/{run['id']}", {})
    assert (run["name"], run["state"]["name"]) == ("2024-07-01", "Running")
    assert run["start_time"] == run["state"]["timestamp"] >= run["expected_start_time"]
    assert api.to("GET /flow_runs/00000000-0000-0000-0000-000000000000", {})[0] == httpx.codes.NOT_FOUND
