"""What a run is about, with which settings, and what Prefect's settings are in a run of the command line."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import prefect.logging
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_HOME, temporary_settings

from flows import preparation
from flows.preparation import today
from schemas.errors import StorageError
from tasks.storage.lake import open_lake
from tasks.storage.local import LocalLake, is_local_lake
from tests.commands import PrefectHome
from tests.flows import mini_company


def test_an_old_spelling_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    logger = logging.Logger("recording")
    logger.addFilter(lambda record: logged.append(f"{record.levelname} {record.getMessage()}") is not None)
    monkeypatch.setattr(prefect.logging, "get_logger", lambda _: logger)
    preparation._warn_once.cache_clear()
    file = mini_company.write(tmp_path)
    for _ in range(2):
        run = preparation.prepare_run(str(file), overrides=["compute.workers=3"])
        assert run.settings.compute.workers == 3
    assert logged == [
        "WARNING --set compute.workers=3: compute.workers is now expert.compute.workers. The old spelling is accepted "
        "until the next release; replace it."
    ]


def test_a_run_that_goes_on_another_day_is_still_about_the_day_it_began_on() -> None:
    began = FlowRun.model_construct(start_time=datetime(2024, 7, 1, 12, tzinfo=UTC))
    with FlowRunContext.model_construct(flow_run=began):
        assert today() == date(2024, 7, 1)
    with FlowRunContext.model_construct(flow_run=FlowRun.model_construct(start_time=None)):
        assert today() == date.today()
    assert today() == date.today()


def test_a_run_resumes_only_with_its_lake(tmp_path: Path) -> None:
    """After an approval: an empty lake would give other files than those that were approved."""
    file = str(mini_company.write(tmp_path))
    worked = FlowRun.model_construct(start_time=None, total_run_time=timedelta(seconds=20))
    with FlowRunContext.model_construct(flow_run=worked):
        with pytest.raises(StorageError, match=f"storage: {tmp_path}/lake is no longer there"):
            preparation.prepare_run(file)
        open_lake(str(tmp_path / "lake"))
        preparation.prepare_run(file)


def test_a_known_lake_that_is_missing_before_a_run_is_not_taken_for_a_new_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, lake = str(mini_company.write(tmp_path / "share" / "company")), tmp_path / "share" / "company" / "lake"
    scheduled = FlowRunContext.model_construct(
        flow_run=FlowRun.model_construct(start_time=None, total_run_time=timedelta(0), deployment_id=uuid4())
    )
    by_hand = FlowRunContext.model_construct(
        flow_run=FlowRun.model_construct(start_time=None, total_run_time=timedelta(0), deployment_id=None)
    )

    def delete() -> None:
        shutil.rmtree(lake)
        LocalLake._used.discard(str(lake))  # as in a new process

    gone = f"storage: {lake} is no longer there: .* begin a new lake without the earlier weeks: mkdir -p '{lake}/.tmp'"
    with temporary_settings({PREFECT_HOME: tmp_path / "home"}):
        with scheduled:
            preparation.prepare_run(file)  # the first run
            assert is_local_lake(lake)
            delete()
            with pytest.raises(StorageError, match=gone):
                preparation.prepare_run(file)
        with by_hand:
            preparation.prepare_run(file)  # somebody deleted the lake to begin again
            delete()
            lake.mkdir()  # an empty folder may be the mount point of a share
            with pytest.raises(StorageError, match=gone):
                preparation.prepare_run(file)
            (lake / ".tmp").mkdir()
            preparation.prepare_run(file)
            delete()
            monkeypatch.setattr(os.path, "ismount", lambda _: False)
            with pytest.raises(StorageError, match=gone):
                preparation.prepare_run(file)
    with temporary_settings({PREFECT_HOME: tmp_path / "file"}), scheduled:
        monkeypatch.undo()
        (tmp_path / "file").write_text("")  # nothing can be recorded
        preparation.prepare_run(file)


@pytest.mark.flow
def test_prefect_of_a_command_line_run_is_patient_and_quiet_in_any_folder(
    company: Path, tmp_path: Path, prefect_home: PrefectHome
) -> None:
    # Prefect reads pyproject.toml only in the working directory, which may be any folder.
    told = """
import sys, types
from flows.cli import run_flow as command_line

def flow(**_):
    from prefect.settings import get_current_settings
    server = get_current_settings().server
    print(server.ephemeral.startup_timeout_seconds, server.analytics_enabled)

command_line.importlib = types.SimpleNamespace(import_module=lambda name: types.SimpleNamespace(ingest_sales=flow))
command_line.run_flow("ingest", "ingest_sales", sys.argv[1], ())
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DO_NOT_TRACK"))}
    home = prefect_home(tmp_path / "prefect")
    elsewhere = {**kept, "PREFECT_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", told, str(company)]
    found = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["300", "False"]
