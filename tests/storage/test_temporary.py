"""Temporary folders of killed processes are removed by the next run; those of others stay."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import pytest

from flows.preparation import prepare_run
from tasks.publication.versions import roll_back
from tasks.storage.local import LocalLake
from tasks.storage.temporary import named, remove_leftovers
from tests.crash.scenarios import AS_OF, publish
from tests.flows import mini_company


def test_only_folders_of_dead_processes_of_this_machine_are_removed(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    dead = tmp_path / f"restock-version-{platform.node()}-{child}-x"
    others = [
        f"restock-version-{platform.node()}-{os.getpid()}-x",
        f"restock-version-another.machine-{child}-x",
        *("restock-2025", f"restock-{child}", "kept"),
    ]
    for name in (dead.name, *others):
        (tmp_path / name / "inner").mkdir(parents=True)
    assert remove_leftovers(tmp_path) == [dead]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_the_next_run_removes_what_a_killed_rollback_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    root = tmp_path / "lake"
    for version in (1, 2):
        publish(root, version, 1)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(LocalLake, "promote", lambda *_: os._exit(9))
        roll_back(LocalLake(root), AS_OF, 1, "Ana")
    os.waitpid(child, 0)
    left = [path for path in temporary.iterdir() if path.name.startswith("restock-version-")]
    assert len(left) == 1
    prepare_run(str(mini_company.write(tmp_path / "company")))
    assert not left[0].exists()
    assert named("version").startswith("restock-version-")
