"""A run of a worker that is cancelled or killed: its name and its log say whether its file is in force."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelling, Crashed, Running

from flows import interrupted
from flows.backfill import backfill
from flows.interrupted import show_what_is_in_force
from flows.optimize import optimize_inventory
from flows.preparation import WEEK
from flows.weekly import weekly_replenishment
from tasks.publication import versions
from tests.flows.stopped_publication import AS_OF, publish

pytestmark = pytest.mark.flow

Ended = Callable[..., FlowRun]
NOW = datetime.now(UTC)
BEGAN = NOW - timedelta(minutes=1)


@pytest.fixture
def client(prefect_server: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as connected:
        yield connected


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of a company with a publication of five minutes ago."""
    for name in ("sales", "products", "stores"):
        (tmp_path / f"{name}.csv").write_text("x\n")
    file = tmp_path / "settings.yaml"
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    file.write_text(yaml.safe_dump({"name": "shoes", "sources": sources}))
    publish(tmp_path / "lake", 0)
    (event,) = tmp_path.glob(f"lake/versions/{AS_OF}/events/*.json")
    earlier = versions.Event.model_validate_json(event.read_text()).model_copy(
        update={"at": (NOW - timedelta(minutes=5)).isoformat(timespec="seconds")}
    )
    event.write_text(earlier.model_dump_json())
    return file


@pytest.fixture
def ended(client: SyncPrefectClient, settings: Path, monkeypatch: pytest.MonkeyPatch) -> Ended:
    """Call the hook for a run that began a minute ago; return the run afterwards."""
    found = interrupted._began
    monkeypatch.setattr(interrupted, "_began", lambda run: min(found(run), BEGAN))

    def end(flow: Flow[..., Any], state: State[Any], **given: Any) -> FlowRun:
        run = client.create_flow_run(flow, parameters={"settings_file": str(settings), **given}, state=Running())
        show_what_is_in_force(flow, client.read_flow_run(run.id), state)
        return client.read_flow_run(run.id)

    return end


@pytest.mark.parametrize("flow", [weekly_replenishment, optimize_inventory, backfill])
def test_the_flows_that_publish_have_the_hook(flow: Flow[..., Any]) -> None:
    assert show_what_is_in_force in flow.on_cancellation_hooks
    assert show_what_is_in_force in flow.on_crashed_hooks


@pytest.mark.parametrize(
    ("publishes", "given", "state", "name", "line"),
    [
        (False, {}, Cancelling(), "cancelled, not published", "Nothing was published. The earlier file of"),
        (True, {}, Cancelling(), "published, then cancelled", f"The file of {AS_OF} is in force. It was published"),
        (True, {}, Crashed(), "published, then crashed", f"The file of {AS_OF} is in force. It was published"),
        # Another run published in the meantime: this one was a preview.
        (True, {"dry_run": True}, Crashed(), "crashed, not published", "Nothing was published. The earlier file of"),
    ],
)
def test_a_weekly_run(
    ended: Ended,
    settings: Path,
    caplog: pytest.LogCaptureFixture,
    publishes: bool,
    given: dict[str, Any],
    state: State[Any],
    name: str,
    line: str,
) -> None:
    if publishes:
        publish(settings.parent / "lake", 5)
    run = ended(weekly_replenishment, state, as_of=str(AS_OF), **given)
    assert run.name == f"{AS_OF} · {name} · shoes"
    assert line in caplog.text


def test_a_run_that_was_killed_before_the_event_was_recorded(
    ended: Ended, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(versions, "_record_published", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(settings.parent / "lake", 5)
    run = ended(weekly_replenishment, Crashed(), as_of=str(AS_OF))
    assert run.name == f"{AS_OF} · published, then crashed · shoes"


def test_the_first_run_that_was_stopped_before_it_stored_anything(
    ended: Ended, settings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(settings.parent / "lake")
    assert (
        ended(weekly_replenishment, Cancelling(), as_of=str(AS_OF)).name
        == f"{AS_OF} · cancelled, not published · shoes"
    )
    assert "Nothing was published. Start" in caplog.text
    weeks = {"date_from": str(AS_OF), "date_to": str(AS_OF)}
    assert " · cancelled, 0 of 1 weeks published · " in ended(backfill, Cancelling(), **weeks).name
    assert not (settings.parent / "lake").exists()


def test_a_backfill(ended: Ended, settings: Path, caplog: pytest.LogCaptureFixture) -> None:
    weeks = {"date_from": str(AS_OF - WEEK), "date_to": str(AS_OF + WEEK)}
    run = ended(backfill, Cancelling(), **weeks)
    assert run.name == f"backfill · {AS_OF - WEEK} to {AS_OF + WEEK} · cancelled, 0 of 3 weeks published · shoes"
    publish(settings.parent / "lake", 5)
    run = ended(backfill, Cancelling(), **weeks)
    assert " · cancelled, 1 of 3 weeks published · " in run.name
    assert f"The backfill published 1 of 3 weeks before it was stopped: {AS_OF}. " in caplog.text
    many = [AS_OF + number * WEEK for number in range(6)]
    assert f"published 6 of 9 weeks before it was stopped: {many[0]} to {many[-1]}." in interrupted._published_weeks(
        many, 9
    )
