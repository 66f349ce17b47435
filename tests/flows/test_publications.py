"""The commands about what was published; they start no Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flows.cli.group import cli
from schemas import columns as c
from schemas.errors import ConfigError, PublicationError
from tasks.publication.transaction import publish_run
from tasks.storage.lake import open_lake
from tests.publication import fake_run


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a company with two versions of one publication."""
    fake_run.draw_no_page(monkeypatch)
    sources = {}
    for name in ("sales", "products", "stores"):
        (tmp_path / f"{name}.csv").write_text("x\n")
        sources[name] = {"path": f"{name}.csv"}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"name": "shoes", "sources": sources}))
    lake = open_lake(str(tmp_path / "lake"))
    made = replace(fake_run.outputs(), history=None, stock_by_day=None)
    for units in (0, 5):
        targets = made.replenishment.copy()
        targets.loc[0, c.TARGET_QUANTITY] += units
        publish_run(lake, fake_run.context(), replace(made, replenishment=targets), fake_run.facts(), "schedule")
    return file


def call(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_list_roll_back_verify_and_prune(settings: Path) -> None:
    listed = call("publications", "--settings", settings)
    lines = listed.splitlines()
    assert [line.split()[:4] for line in lines[1:3]] == [
        ["2025-01-02", "2", "in", "force"],
        ["2025-01-02", "1", "replaced", lines[2].split()[3]],
    ]
    assert " UTC  schedule" in lines[1]
    assert "1 older versions: --last 2 shows them" in call("publications", "--settings", settings, "--last", "1")
    said = call("rollback", "2025-01-02", "--settings", settings, "--note", "wrong stock")
    assert "Version 1 of 2025-01-02 is in force.\nGive this file to the ERP again: " in said
    assert "put back in force by" in call("publications", "--settings", settings)
    assert "No problems in 3 folders" in call("verify", "--settings", settings)
    assert "Nothing is old enough" in call("prune", "--settings", settings, "--keep", "30d", "--dry-run")
    for file in (settings.parent / "lake/versions").rglob("*.*"):
        os.utime(file, (0, 0))
    said = call("prune", "--settings", settings, "--keep", "30d", "--dry-run")
    assert "\n  versions/2025-01-02/0002\nNothing was removed (dry run)." in said
    assert "is withdrawn" in call("rollback", "2025-01-02", "--withdraw", "--settings", settings)
    assert "withdrawn" in call("publications", "--settings", settings)


def test_problems_end_with_a_message_and_the_exit_code(settings: Path) -> None:
    (settings.parent / "lake/runs/2025-01-02/costs.csv").write_text("?")
    runner = CliRunner()
    found = runner.invoke(cli, ["verify", "2025-01-02", "--settings", str(settings)])
    assert isinstance(found.exception, PublicationError)
    assert "costs.csv differs from its checksum" in found.output
    unknown = runner.invoke(cli, ["rollback", "2024-01-01", "--settings", str(settings)])
    assert isinstance(unknown.exception, ConfigError)
    assert "Known run dates: 2025-01-02" in str(unknown.exception)
    gone = runner.invoke(cli, ["verify", "--settings", str(settings), "--set", f"storage={settings.parent}/share"])
    assert f"{settings.parent}/share is not a lake: no run has written to it, or its disk" in str(gone.exception)
    assert not (settings.parent / "share").exists()
    wrong = runner.invoke(cli, ["prune", "--settings", str(settings), "--keep", "two weeks"])
    assert wrong.exit_code == 2
    assert "such as 30d or 8w" in wrong.output


def test_the_commands_do_not_import_prefect(settings: Path) -> None:
    program = (
        "import sys\nfrom flows.cli.group import cli\n"
        f"cli.main(['publications', '--settings', {str(settings)!r}], standalone_mode=False)\n"
        "assert 'prefect' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
