"""Companies for the tests of flows: fresh ones, and copies of one that ran its week once for all workers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.commands import Restock
from tests.flows import mini_company
from tests.shared import once


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Settings file of a fresh mini company."""
    return mini_company.write(tmp_path / "company")


@pytest.fixture(scope="session")
def published(restock: Restock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings file of a mini company after its weekly run; to be read, not changed."""

    def make(folder: Path) -> str:
        settings = mini_company.write(folder / "company")
        code, out, err = restock("weekly", "--settings", settings, "--as-of", mini_company.AS_OF)
        assert code == 0, out + err
        return str(settings)

    return Path(once(tmp_path_factory, "published", make))


@pytest.fixture
def published_company(published: Path, tmp_path: Path) -> Path:
    """Settings file of a copy of the company after its weekly run."""
    return shutil.copytree(published.parent, tmp_path / "company") / published.name


@pytest.fixture
def planned_company(published_company: Path) -> Path:
    """Settings file of a copy of the company whose week is planned, and not published."""
    shutil.rmtree(published_company.parent / "lake" / "runs")
    return published_company
