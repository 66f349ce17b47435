"""Run Prefect's command line with SQLite transactions that wait for each other.

Usage: ``python -m deployments.prefect_server server start ...``. Prefect begins most transactions without a lock and
takes the lock at the first write. If another transaction wrote in the meantime, SQLite refuses the write immediately
("database is locked", in the UI "Unknown error"), whatever the timeout. A transaction that takes the lock when it
begins waits for its turn instead. The server's background worker looks for work once per second instead of four times:
this is a large part of what an idle server uses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from prefect.cli import app
from prefect.server.api import background_workers
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import get_current_settings
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

SQLITE = "sqlite+"
BETWEEN_LOOKS = timedelta(seconds=1)


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
    names = vars(background_workers)
    names["Worker"] = partial(
        names["Worker"], minimum_check_interval=BETWEEN_LOOKS, scheduling_resolution=BETWEEN_LOOKS
    )
    connection = get_current_settings().server.database.connection_url
    address = connection.get_secret_value() if connection else ""
    if address.startswith(SQLITE):
        set_database_config(WaitingSqlite(connection_url=address))


if __name__ == "__main__":
    configure()
    app()
