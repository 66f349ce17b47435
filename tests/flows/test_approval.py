"""The pause before a publication: approved, rejected, not answered; over a restart of the worker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from pydantic import ValidationError

from flows.approval import ApprovalForm
from flows.run_board import RunBoard
from flows.weekly import weekly_replenishment
from schemas.errors import PipelineError
from tests.commands import Process, Start
from tests.flows import forks, mini_company

pytestmark = pytest.mark.flow

ROOT = Path(__file__).parents[2]
SECONDS_TO_WAIT = 420
PAUSED = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))


@pytest.fixture
def client(prefect_server: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as connected:
        yield connected


def call(start: Start, settings: Path, *overrides: str) -> Process:
    return start("tests.flows.approved_run", settings, mini_company.AS_OF, *overrides)


def waiting_run(client: SyncPrefectClient, settings: Path) -> FlowRun:
    """The run on these settings, once it waits."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while time.monotonic() < until:
        for run in client.read_flow_runs(flow_run_filter=PAUSED):
            if run.parameters.get("settings_file") == str(settings):
                return run
        time.sleep(0.3)
    pytest.fail("the run did not ask for approval")


def answer(client: SyncPrefectClient, run_id: UUID, **given: Any) -> None:
    """Fill in the form of a waiting run, as the UI does; right after the pause it may not be there yet."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while client.resume_flow_run(run_id, run_input=given).status.value != "ACCEPT":
        assert time.monotonic() < until, "the answer was not taken"
        time.sleep(0.3)


def answer_in_the_app(board: RunBoard, run: str) -> None:
    """Approve in the app; right after the pause the form may not be there yet."""
    until = time.monotonic() + SECONDS_TO_WAIT
    while True:
        try:
            return board.answer(run, "approve", "Ana", "after the fair")
        except PipelineError:
            assert time.monotonic() < until, "the answer was not taken"
            time.sleep(0.3)


def words(client: SyncPrefectClient, run: FlowRun) -> str:
    """What the form of a waiting run says above its fields."""
    assert run.state is not None
    keys = run.state.state_details.run_input_keyset
    assert keys is not None
    return str(client.read_flow_run_input(run.id, keys["description"]))


def published(settings: Path) -> dict[str, Any]:
    return json.loads((settings.parent / "lake/runs" / mini_company.AS_OF / "manifest.json").read_text())


def test_a_file_approved_in_the_app_is_published_and_replaced_only_by_another_one(
    start: Start,
    client: SyncPrefectClient,
    planned_company: Path,
    prefect_server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server["PREFECT_API_URL"])
    company = planned_company
    board = RunBoard(str(company))
    assert board.waiting() == []
    process = call(start, company)
    run = waiting_run(client, company)
    assert not (company.parent / "lake/runs").exists()
    assert (company.parent / "lake/previews" / mini_company.AS_OF / "report.html").exists()
    (waiting,) = board.waiting()
    assert (waiting.id, waiting.as_of) == (str(run.id), mini_company.AS_OF)
    assert waiting.name == f"{mini_company.AS_OF} · preview to approve · mini"
    assert waiting.question == json.loads(words(client, run))
    assert RunBoard("/another/settings.yaml").waiting() == []
    assert board.progress(waiting.id).endswith("shards finished")
    answer_in_the_app(board, waiting.id)
    code, out, err = process.wait()
    assert code == 0, out + err
    first = published(company)
    assert (first["approval"]["by"], first["approval"]["note"]) == ("Ana", "after the fair")
    for text in ("No file is published yet for this run date", "Sum of targets: **"):
        assert text in words(client, run)
    with pytest.raises(PipelineError, match="is no longer waiting for an approval"):
        board.answer(waiting.id, "approve", "Ana", "")
    last = board.recent()[0]
    assert last["state"] == "Completed"
    assert last["address"].endswith(f"/v2/runs/flow-run/{waiting.id}"), "the runbook describes these pages"
    assert int(last["reused"]) > 0

    def approve(*overrides: str) -> str:
        """Approve a run on these settings; what its form said."""
        process = call(start, company, *overrides)
        run = waiting_run(client, company)
        answer(client, run.id, decision="approve", name="Ana")
        process.wait()
        return words(client, run)

    assert "approving changes nothing" in approve()
    assert published(company) == first, "the same files were written again"

    overrides = company.parent / "overrides.csv"
    overrides.write_text(
        "store_id,sku,date_from,date_to,action,value,reason,author\n"
        "001,0013,2024-07-01,2024-07-07,set,33,opening display,ana\n"
    )
    assert "approving replaces it, rejecting keeps it" in approve(f"sources.overrides.path={overrides}")
    replaced = published(company)["replaces"]
    assert replaced["replenishment_sha256"] == first["outputs"]["replenishment.csv"]
    assert replaced["approval"]["by"] == "Ana"


def test_an_answer_has_a_name_also_where_the_server_checks_it() -> None:
    pattern = ApprovalForm.model_json_schema()["properties"]["name"]["pattern"]  # the server checks the schema
    assert not re.search(pattern, " \n")
    assert re.search(pattern, "Ana María")
    with pytest.raises(ValidationError):
        ApprovalForm(decision="approve", name=" ")


def test_a_rejection_or_silence_leaves_the_last_file_and_says_what_to_do(
    start: Start, client: SyncPrefectClient, planned_company: Path
) -> None:
    company = planned_company
    process = call(start, company)
    run = waiting_run(client, company)
    answer(client, run.id, decision="reject", name="Tom", note="stock is wrong")
    code, out, err = process.wait()
    assert code == 3, out + err
    state = client.read_flow_run(run.id).state
    assert state is not None
    assert state.type == StateType.FAILED
    for words in (out, state.message):
        assert "Tom rejected it: stock is wrong" in words
        assert f"start the weekly run for {mini_company.AS_OF} again" in words
    assert state.message.startswith("Publication held back: "), "the reason alone, without the words of Prefect"

    code, out, err = call(start, company, "publication.approval_timeout_hours=0.0005").wait()
    assert code == 3, out + err
    assert "nobody approved it within 0.0005 hours" in out
    assert not (company.parent / "lake/runs").exists()


def test_the_run_of_a_deployment_outlives_its_worker(
    start: Start, client: SyncPrefectClient, planned_company: Path, prefect_server: dict[str, str]
) -> None:
    company = planned_company

    def execute(run_id: UUID) -> str:
        environment = {**prefect_server, forks.VARIABLE: "1"}
        _, out, err = start("prefect", "flow-run", "execute", run_id, environment=environment).wait()
        return out + err

    deployment = client.create_deployment(
        client.create_flow(weekly_replenishment),
        name="approval",
        # As prefect.yaml has it. Given a path instead, Prefect copies the whole folder for every run.
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
        entrypoint="flows/weekly.py:weekly_replenishment",
    )
    given = {"settings_file": str(company), "as_of": mini_company.AS_OF, "approve_before_publishing": True}
    run = client.create_flow_run_from_deployment(deployment, parameters=given)
    execute(run.id)
    assert waiting_run(client, company).id == run.id
    assert not (company.parent / "lake/runs").exists()

    answer(client, run.id, decision="approve", name="Ana")
    log = execute(run.id)
    state = client.read_flow_run(run.id).state
    assert state is not None
    assert state.is_completed(), log
    assert "optimize: reused from the lake" in log
    assert published(company)["approval"]["by"] == "Ana"
