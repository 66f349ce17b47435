from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws_twin.client import TwinClient


@pytest.fixture
def twin(aws_twin: TwinClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwinClient]:
    """An empty twin of AWS, whose container learns nothing, as this process's AWS."""
    for name, value in aws_twin.environment.items():
        monkeypatch.setenv(name, value)
    aws_twin.reset()  # the tests of the twin itself share it
    yield aws_twin
    aws_twin.reset()
