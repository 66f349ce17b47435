"""systemd units and the compose file: valid, and they start what exists; the audit of the lock file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prefect.settings import PREFECT_HOME, Settings, temporary_settings

from deployments.requirements import wanted
from deployments.serve import serve
from deployments.server_settings import place_of_ui_files
from flows.cli.group import cli
from tests.audit import judged

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deployments/systemd").iterdir())
COMPOSE = ROOT / "deployments/compose.yaml"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        pytest.skip("systemd-analyze is not installed: the units in deployments/systemd are not verified")
    for unit in UNITS:
        text = re.sub(r"/srv/restock/\.venv/bin/\w+", sys.executable, unit.read_text("utf-8"))
        (tmp_path / unit.name).write_text(text.replace("/srv/restock", str(ROOT)), encoding="utf-8")
    done = subprocess.run(
        [verifier, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "restock" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_docker_accepts_the_compose_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    found = None if docker is None else subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    if docker is None or found is None or found.returncode:
        pytest.skip("docker compose is not installed: deployments/compose.yaml is not verified by it")
    done = subprocess.run(
        [docker, "compose", "--file", str(COMPOSE), "config", "--quiet"],
        env={"PATH": str(Path(docker).parent), "RESTOCK_COMPANY_FOLDER": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_ui_has_its_files_where_the_packages_are_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the unit (`ProtectSystem=strict`) and in the image, whose packages belong to root."""
    package = tmp_path / "package"
    package.mkdir()
    with temporary_settings({PREFECT_HOME: tmp_path / "home"}):
        assert place_of_ui_files(package) == {}
        monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (package, os.W_OK))
        found = place_of_ui_files(package)
    assert Settings(**{}).server.ui.static_directory is None
    with monkeypatch.context() as environment:
        environment.setenv(*next(iter(found.items())))
        assert Settings(**{}).server.ui.static_directory == str(tmp_path / "home/ui")
    assert (tmp_path / "home/ui").is_dir()


def commands() -> list[str]:
    """Every command line of the units and of the compose file."""
    found = [line for unit in UNITS for line in re.findall(r"^ExecStart=(.*)$", unit.read_text("utf-8"), re.MULTILINE)]
    return [*found, yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["restock"]["command"]]


@pytest.mark.parametrize("line", commands())
def test_commands_have_options_that_exist(line: str) -> None:
    words = line.split()
    options = set(re.findall(r"(--[a-z-]+)", line))
    command = serve if "deployments.serve" in words else cli.get_command(None, words[1])  # type: ignore[arg-type]
    assert command is not None
    assert options <= {name for parameter in command.params for name in parameter.opts}
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0


def test_the_compose_file_uses_the_image_of_the_dockerfile_and_opens_nothing_to_the_network() -> None:
    service = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["restock"]
    extras = service["build"]["args"]["EXTRAS"].removeprefix("${RESTOCK_EXTRAS:-").removesuffix("}")
    assert any(one.startswith("dash>") for one in wanted(extras.split())), "without it the planners have no app"
    assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()
    assert service["network_mode"] == "host"
    assert "ports" not in service
    assert "--host" not in service["command"]


def test_an_audit_that_could_not_look_packages_up_is_no_success() -> None:
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    assert judged([good])[0] == 0
    code, lines = judged([good, bad])
    assert (code, lines[0]) == (1, "b 2: CVE-1, fixed in 3")
    code, lines = judged([good, bad, {"name": "c", "skip_reason": "not found"}])
    assert (code, lines[-1][:36]) == (2, "NOT AUDITED: 1 packages could not be")
    assert judged([])[0] == 2
