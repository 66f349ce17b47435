from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_twin.containers import Containers
from tests.aws_twin.server import Twin
from tests.forecasting.deepar import quick_container


@pytest.fixture(scope="session")
def running_twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """A twin of AWS whose trainings take no time."""
    containers = Containers((sys.executable, str(Path(quick_container.__file__))))
    twin = Twin(tmp_path_factory.mktemp("twin"), containers, instances=4, stop_grace_seconds=0.2)
    twin.start()
    yield twin
    twin.stop()


@pytest.fixture
def twin(running_twin: Twin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twin]:
    """The twin, empty, as the environment's AWS."""
    access = {
        "AWS_ENDPOINT_URL": running_twin.endpoint,
        "AWS_ACCESS_KEY_ID": "twin",
        "AWS_SECRET_ACCESS_KEY": "twin",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in access.items():
        monkeypatch.setenv(name, value)
    yield running_twin
    running_twin.reset()
