"""Run Prefect's command line with SQLite transactions that wait for each other.

Usage: ``python -m deployments.prefect_server server start ...``. Prefect begins most transactions without a lock and
takes the lock at the first write. If another transaction wrote in the meantime, SQLite refuses the write immediately
("database is locked", in the UI "Unknown error"), whatever the timeout. A transaction that takes the lock when it
begins waits for its turn instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import get_current_settings
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from flows.server_process import look_for_work_less_often

SQLITE = "sqlite+"


class WaitingSqlite(AioSqliteConfiguration):
    """SQLite configuration in which every transaction of the server takes the lock when it begins."""

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction with the lock, even if Prefect does not request it."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def configure() -> None:
    """Use :class:`WaitingSqlite` for a server in this process if its database is SQLite; reduce its work while idle."""
    look_for_work_less_often()
    connection = get_current_settings().server.database.connection_url
    address = connection.get_secret_value() if connection else ""
    if address.startswith(SQLITE):
        set_database_config(WaitingSqlite(connection_url=address))


if __name__ == "__main__":
    configure()
    app()
