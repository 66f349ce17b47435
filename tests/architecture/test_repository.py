"""The checkout itself: which files exist, what is pinned, and that the README says how to start."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "tasks", "flows", "deployments")
FOLDERS = {*PACKAGES, "tests", "benchmarks", "docs", ".ci"}
LONGEST_MODULE = 400
PINNED = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+( ; [^/@]+)?")
# Absolute paths of one machine, and addresses of package hosts, which a checkout must not depend on.
FOREIGN = re.compile(
    r"(?<![\w.}])/(?:work|opt|root|home)/\w|--(?:extra-)?index-url\s+\S|://[\w.]*(?:pypi|nexus|artifactory)"
)


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_lock_pins_versions_and_names_no_host() -> None:
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert len(lines) > 100
    assert not [line for line in lines if not PINNED.fullmatch(line)]


def test_the_lock_holds_every_package_that_the_project_names() -> None:
    project = _project()
    named = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    plain = {re.split(r"[\[<>=!~ ;]", name)[0].lower().replace("_", "-") for name in named}
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()}
    assert plain <= locked


def test_no_further_folder_stands_at_the_top() -> None:
    assert {name.split("/")[0] for name in _tracked() if "/" in name} <= FOLDERS


def test_nothing_depends_on_one_machine() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    found = {}
    for name in _tracked():
        text = (ROOT / name).read_bytes().decode("utf-8", errors="ignore")
        if name != here and (hit := FOREIGN.search(text)):
            found[name] = hit.group()
    assert not found


def test_no_file_is_named_like_a_library_that_it_imports() -> None:
    clashes = []
    for path in _modules(*PACKAGES, "tests", "benchmarks"):
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text("utf-8"), re.MULTILINE))
        if path.stem in imported - set(PACKAGES):
            clashes.append(str(path.relative_to(ROOT)))
    assert not clashes


def test_modules_stay_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in _modules(*PACKAGES)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_test_folders_but_the_twin_are_no_packages_and_their_files_have_names_of_their_own() -> None:
    paths = list(_modules("tests"))
    packages = {path.parent.relative_to(ROOT).as_posix() for path in paths if path.name == "__init__.py"}
    assert packages == {"tests", "tests/aws_twin"}
    names = [path.name for path in paths]
    tests = [name for name in names if name.startswith("test_")]
    assert len(set(tests)) == len(tests)


def test_the_readme_names_the_commands_and_every_target_that_it_names_exists() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", readme, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_readme_names_files_that_exist() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    linked = re.findall(r"\]\(([^)#:]+)\)", readme)
    in_table = re.findall(r"`((?:schemas|tasks|flows|tests|docs|deployments|benchmarks)/[\w./-]+)`", readme)
    assert linked
    assert not [name for name in (*linked, *in_table) if not (ROOT / name).exists()]


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^make test$", script.read_text("utf-8"), re.MULTILINE)


def test_the_changelog_keeps_a_place_for_what_is_not_released() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest, *released = re.findall(r"^## \[(.+)\]", changelog, re.MULTILINE)
    assert newest == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in released)
    assert not released or released[0] == _project()["version"]
