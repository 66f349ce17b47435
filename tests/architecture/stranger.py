"""A copy of the repository to which a test adds code, as a stranger to the project would."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.flows import mini_company

ROOT = Path(__file__).parents[2]
COPIED = ("schemas", "tasks", "flows", "deployments", "tests", "pyproject.toml", "prefect.yaml")
# Lines that a new file may have at most.
LARGEST = 60


def copy_repository(folder: Path) -> None:
    """Copy the packages, their tests and their settings.

    Compiled kernels are copied too: they are looked up by the time at which a source file was changed.
    """
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)


def changed_files(copy: Path) -> tuple[set[str], set[str]]:
    """Names of the files that the copy has in addition, and of those that differ from the repository's."""
    before, after = _checksums(ROOT), _checksums(copy)
    return after.keys() - before.keys(), {name for name in before.keys() & after.keys() if before[name] != after[name]}


def run_python(copy: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, with the copy's packages."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def weekly_run(copy: Path, folder: Path, environment: Mapping[str, str], *overrides: str) -> Path:
    """Run a week of the mini company with the copy's code; the folder that it published."""
    settings = mini_company.write(folder / "company")
    given = [part for override in overrides for part in ("--set", override)]
    arguments = ("-m", "flows", "weekly", "--settings", str(settings), "--as-of", mini_company.AS_OF, *given)
    done = run_python(copy, environment, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return settings.parent / "lake" / "runs" / mini_company.AS_OF


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in COPIED
        for path in [folder / name, *(folder / name).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    }
