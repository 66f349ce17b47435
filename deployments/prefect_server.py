"""Prefect's own command line, for a server whose SQLite transactions wait for each other.

``python -m deployments.prefect_server server start ...``. Prefect begins most transactions without a lock and takes it
at the first write; where another one wrote in between, SQLite refuses at once ("database is locked", in the UI
"Unknown error"), however long it may wait. A transaction that takes the lock when it begins waits for its turn instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import get_current_settings
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

SQLITE = "sqlite+"


class WaitingSqlite(AioSqliteConfiguration):
    """SQLite in which every transaction of the server holds the lock from its beginning."""

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG002
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction for writing, whether or not Prefect asks for the lock."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def configure() -> None:
    """Let a server of this process use :class:`WaitingSqlite`, unless it uses another database."""
    connection = get_current_settings().server.database.connection_url
    address = connection.get_secret_value() if connection else ""
    if address.startswith(SQLITE):
        set_database_config(WaitingSqlite(connection_url=address))


if __name__ == "__main__":
    configure()
    app()
