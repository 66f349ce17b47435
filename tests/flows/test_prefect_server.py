"""Prefect's server: its SQLite makes transactions wait; a temporary server that cannot start is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from flows import server
from schemas.errors import PipelineError

if TYPE_CHECKING:
    from prefect.server.database.configurations import AioSqliteConfiguration

WRITERS = 4


async def count_together(configuration: AioSqliteConfiguration) -> int:
    """Let several transactions read a number, all of them before any writes it, and write one more."""
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))

    async def count() -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            read = (await session.execute(text("SELECT n FROM counter"))).scalar_one()
            await asyncio.sleep(0.1)
            await session.execute(text("UPDATE counter SET n = :n"), {"n": read + 1})

    try:
        await asyncio.gather(*(count() for _ in range(WRITERS)))
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT n FROM counter"))).scalar_one())
    finally:
        await engine.dispose()


def test_transactions_wait_for_each_other_where_prefects_own_are_refused(tmp_path: Path) -> None:
    # Importing them takes seconds, which every worker process would spend on the collection.
    from prefect.server.database.configurations import AioSqliteConfiguration

    from deployments.prefect_server import WaitingSqlite

    own, waiting = (f"sqlite+aiosqlite:///{tmp_path / name}" for name in ("own.db", "waiting.db"))
    assert asyncio.run(count_together(WaitingSqlite(connection_url=waiting))) == WRITERS
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(count_together(AioSqliteConfiguration(connection_url=own)))


def end_at_once(port: int) -> None:
    raise SystemExit(port and 1)


def test_temporary_server_that_ends_before_it_is_ready_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "serve", end_at_once)
    with (
        server.temporary_settings(restore_defaults={server.PREFECT_API_URL}),
        server.server_of_this_run() as ready,
        pytest.raises(PipelineError, match="ended with exit code 1 before it was ready"),
    ):
        ready()
