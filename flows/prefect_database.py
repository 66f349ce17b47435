"""Create the SQLite database of a Prefect server at once.

Prefect creates a new database by its migrations since the first version, one after the other, which takes six seconds
of processor time. The file ``assets/prefect_database.sql`` has what they result in. It is used if the installed Prefect
knows its revision; later migrations then follow as usual. A test compares the file with a migrated database. To write
it after an update of Prefect: ``python -m flows.prefect_database ~/.prefect/prefect.db``, with a new database.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path

SCHEMA = Path(__file__).parent / "assets" / "prefect_database.sql"
SQLITE = "sqlite+"
_REVISION = re.compile(r"""INSERT INTO "alembic_version" VALUES\('(\w+)'\);""")


def create_database() -> None:
    """Create the database of the server in this process if it is a SQLite file that does not exist."""
    from prefect.settings import get_current_settings
    from sqlalchemy.engine import make_url

    connection = get_current_settings().server.database.connection_url
    address = connection.get_secret_value() if connection else ""
    file = make_url(address).database if address.startswith(SQLITE) else None
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).exists() and _is_known():
        write_database(Path(file))


def write_database(file: Path) -> None:
    """Write an empty database, unless another process does so at the same time; without one, Prefect migrates."""
    written = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError, sqlite3.Error):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(written)) as database:
            database.executescript(SCHEMA.read_text(encoding="utf-8"))
        os.link(written, file)
    written.unlink(missing_ok=True)


def schema_of(file: Path) -> str:
    """Return the tables, indexes and rows of a database as SQL."""
    with closing(sqlite3.connect(file)) as database:
        return "\n".join(database.iterdump()) + "\n"


def _is_known() -> bool:
    """Whether the installed Prefect has the migration of the file's revision."""
    from prefect.server import database

    revision = _REVISION.search(SCHEMA.read_text(encoding="utf-8"))
    migrations = Path(database.__file__).parent / "_migrations" / "versions" / "sqlite"
    return revision is not None and any(migrations.glob(f"*_{revision[1]}_*.py"))


if __name__ == "__main__":
    SCHEMA.write_text(schema_of(Path(sys.argv[1])), encoding="utf-8")
