"""Settings of a run: warnings about old spellings are logged once per process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from flows import preparation
from tests.flows import mini_company


def test_an_old_spelling_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    logger = logging.Logger("recording")
    logger.addFilter(lambda record: logged.append(f"{record.levelname} {record.getMessage()}") is not None)
    monkeypatch.setattr(preparation, "get_logger", lambda _: logger)
    preparation._warn_once.cache_clear()
    file = mini_company.write(tmp_path)
    for _ in range(2):
        run = preparation.prepare_run(str(file), overrides=["compute.workers=3"])
        assert run.settings.compute.workers == 3
    assert logged == [
        "WARNING --set compute.workers=3: compute is now expert.compute. The old spelling is accepted until the next "
        "release; replace it."
    ]
