"""A shared server on PostgreSQL: Debian's own, started for the test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import LIGHT, Start, start_server
from tests.flows import mini_company
from tests.ports import HTTP, free_port

pytestmark = [pytest.mark.flow, pytest.mark.system]

SECONDS_TO_WAIT = 240


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, where Debian puts them or on the path."""
    found = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else installed[-1].parent if installed else None


def as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: then it runs as the user that Debian made for it."""
    if os.geteuid():
        return []
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["runuser", "-u", "postgres", "--"]


@pytest.fixture
def database() -> Iterator[str]:
    """Connection URL of an empty database."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # Not below pytest's own folder, which no other user may enter.
    place = Path(tempfile.mkdtemp(prefix="restock-postgresql-"))
    user, port, data = as_postgres(place), free_port(), str(place / "data")

    def run(*command: str, check: bool = True) -> None:
        subprocess.run([*user, *command], check=check, capture_output=True, timeout=SECONDS_TO_WAIT, cwd=place)

    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {place}"
    try:
        run(str(folder / "initdb"), "-D", data, "-A", "trust", "-U", "restock")
        run(str(folder / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", str(place / "log"), "start")
        yield f"postgresql+asyncpg://restock@127.0.0.1:{port}/postgres"
    finally:
        run(str(folder / "pg_ctl"), "-D", data, "-m", "immediate", "stop", check=False)
        shutil.rmtree(place, ignore_errors=True)


def test_a_weekly_run_is_recorded_in_postgresql(
    database: str, planned_company: Path, tmp_path: Path, fork: Start
) -> None:
    environment = {
        **os.environ,
        **LIGHT,
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "DO_NOT_TRACK": "1",
    }
    api, server = start_server(fork, environment)
    try:
        weekly = ("flows", "weekly", "--settings", planned_company, "--as-of", mini_company.AS_OF)
        code, _, err = fork(*weekly, environment={**environment, "PREFECT_API_URL": api}).wait()
        assert code == 0, err
        runs = HTTP.post(f"{api}/flow_runs/filter", json={}).json()
        assert [run["state_type"] for run in runs] == ["COMPLETED"]
        assert not (tmp_path / "home" / "prefect.db").exists(), "SQLite was used"
    finally:
        server.kill_all()
