"""What a run is about when nobody says so."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from flows.preparation import today


def test_a_run_that_goes_on_another_day_is_still_about_the_day_it_began_on() -> None:
    began = FlowRun.model_construct(start_time=datetime(2024, 7, 1, 12, tzinfo=UTC))
    with FlowRunContext.model_construct(flow_run=began):
        assert today() == date(2024, 7, 1)
    with FlowRunContext.model_construct(flow_run=FlowRun.model_construct(start_time=None)):
        assert today() == date.today()
    assert today() == date.today()


def test_prefect_of_a_command_line_run_is_patient_and_quiet_in_any_folder(company: Path, tmp_path: Path) -> None:
    # Prefect reads pyproject.toml where it stands only; a user's shell may stand anywhere.
    told = """
import sys, types
from flows import __main__ as command_line

def flow(**_):
    from prefect.settings import get_current_settings
    server = get_current_settings().server
    print(server.ephemeral.startup_timeout_seconds, server.analytics_enabled)

command_line.importlib = types.SimpleNamespace(import_module=lambda name: types.SimpleNamespace(ingest_sales=flow))
command_line._run_flow("ingest", "ingest_sales", sys.argv[1], ())
"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DO_NOT_TRACK"))}
    elsewhere = {**kept, "PREFECT_HOME": str(tmp_path / "prefect"), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", told, str(company)]
    found = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["300", "False"]
