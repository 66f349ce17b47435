"""One Prefect server for all flow tests, started on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows import mini_company


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A local server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture()
def company(tmp_path: Path) -> Path:
    """Settings file of a fresh mini company."""
    return mini_company.write(tmp_path / "company")


Restock = Callable[..., tuple[int, str, str]]


@pytest.fixture()
def restock(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Restock:
    """Run a command line in this process: exit code, standard output, standard error."""
    import flows.__main__ as command_line

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["restock", *map(str, arguments)])
        capfd.readouterr()
        try:
            command_line.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return code, out, err

    return run
