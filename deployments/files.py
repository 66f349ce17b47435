"""Serve publications, their versions and previews of the lake over HTTP, read-only. Artifacts link to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from schemas.errors import PipelineError
from tasks.publication.addresses import FILES_URL, SERVED
from tasks.publication.listing import publication_rows
from tasks.storage.lake import open_lake

# Only this machine may read the files, because the server has no authentication.
HOST = "127.0.0.1"
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


# Seconds after which an unfinished request is closed, so that half-open connections do not pile up.
SECONDS_TO_ASK = 10
SHOWN = 100
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # Pages are self-contained: nothing is loaded from elsewhere.
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_STYLE = "body{font:15px/1.5 system-ui,sans-serif;margin:24px}td,th{padding:4px 14px 4px 0;text-align:left}"


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for files in the served folders, and 404 for everything else."""

    timeout = SECONDS_TO_ASK
    server_version = "restock"
    sys_version = ""
    extensions_map = TYPES | {"": "application/octet-stream"}

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer only for paths that are in a served folder after links and dots are resolved."""
        if not self._asked_for_this_server():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        root = Path(self.directory).resolve()
        try:
            wanted = Path(self.translate_path(self.path)).resolve(strict=False)
            wanted.exists()
        except (ValueError, OSError, RuntimeError):  # null bytes, names that are too long, link loops
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        if wanted == root or (wanted.parent == root and wanted.name in SERVED and not wanted.exists()):
            return self._start_page(root)
        if not any(wanted.is_relative_to(root / name) for name in SERVED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _asked_for_this_server(self) -> bool:
        """Whether the request names this server: a web page of another name could otherwise read the files."""
        hosts = {HOST, "localhost", urlsplit(os.environ.get(FILES_URL, "")).hostname} - {None}
        named = self.headers.get("Host")
        try:
            return named is None or urlsplit(f"//{named}").hostname in hosts
        except ValueError:
            return False

    def _start_page(self, root: Path) -> BytesIO:
        """Send a page with the list of publications and links to the served folders."""
        lines = [
            f'<li><a href="/{name}/">{name}</a></li>' if (root / name).is_dir() else f"<li>{name}: nothing yet</li>"
            for name in SERVED
        ]
        page = (
            f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Publications</title><style>{_STYLE}</style>'
            f"<h1>Publications</h1>{_publications(root)}<h2>Files</h2><ul>{''.join(lines)}</ul>"
        ).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[".html"])
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return BytesIO(page)

    def end_headers(self) -> None:
        """Disable caching, because a run of the same date replaces its files under the same address."""
        self.send_header("Cache-Control", "no-cache")
        for name, value in _SAFE.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, to keep the terminal free for the server and the worker."""


def _publications(root: Path) -> str:
    """The list of publications as an HTML table, the latest first."""
    try:
        rows = publication_rows(open_lake(str(root))) if (root / SERVED[0]).is_dir() else []
    except (PipelineError, ValueError, KeyError, OSError) as error:
        return f"<p>The list of publications cannot be read: {escape(str(error))}</p>"
    if not rows:
        return "<p>Nothing was published yet.</p>"
    heads = "".join(f"<th>{escape(name)}</th>" for name in (*rows[0], "files"))
    body = "".join(_line(row) for row in rows[:SHOWN])
    rest = f"<p>{len(rows) - SHOWN} older versions: restock publications</p>" if len(rows) > SHOWN else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _line(row: dict[str, Any]) -> str:
    cells = "".join(
        f"<td>{f'{value:,}' if isinstance(value, int) else escape(str('' if value is None else value))}</td>"
        for value in row.values()
    )
    folder = f"runs/{row['date']}" if row["state"] == "in force" else f"versions/{row['date']}/{row['version']:04d}"
    links = "".join(
        f'<a href="/{quote(folder)}/{end}">{text}</a> ' for end, text in (("report.html", "report"), ("", "all"))
    )
    return f"<tr>{cells}<td>{links}</td></tr>"


def files_server(lake: Path, port: int) -> ThreadingHTTPServer:
    """Create a server of a lake's runs and previews. It listens immediately and answers within :func:`serving`.

    Args:
        lake: Folder of the lake; it need not exist yet.
        port: Port to listen on; 0 means any free port.

    Raises:
        OSError: The port is already in use.
    """
    return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(lake)))


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Run a server in a thread of this process while the context is open; yields its address."""
    thread = threading.Thread(target=server.serve_forever, name="files", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
