"""Serve publications, their versions and previews of the lake over HTTP, read-only. Artifacts link to them."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from tasks.publication.listing import IN_FORCE, publication_rows, readable
from tasks.storage.lake import open_existing_lake

# Only this machine may read the files, because the server has no authentication.
HOST = "127.0.0.1"
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


# Half-open connections do not pile up: seconds after which an unfinished request is closed, and how many may wait.
SECONDS_TO_ASK = 10
MOST_CONNECTIONS = 64
SECONDS_BETWEEN_LOOKS = 0.05  # whether to stop
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
_STYLE += "td:nth-child(-n+6){white-space:nowrap}td:last-child{min-width:200px}.now{font-weight:600}"
# Date, version and state; then the links to the files, which a narrow window must not hide.
SHOWN_FIRST = 3


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for files in the served folders, and 404 for everything else."""

    timeout = SECONDS_TO_ASK
    server_version = "restock"
    sys_version = ""
    extensions_map = TYPES | {"": "application/octet-stream"}

    def parse_request(self) -> bool:
        """Read the headers; a request whose headers are read is no longer one that may be closed."""
        complete = super().parse_request()
        if isinstance(self.server, _Server):
            self.server.asking.pop(self.connection, None)
        return complete

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer only for paths that are in a served folder after links and dots are resolved."""
        if not self._asked_for_this_server():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        root = Path(self.directory).resolve()
        try:
            wanted = Path(self.translate_path(self.path)).resolve(strict=False)
            other = wanted.exists() and not (wanted.is_file() or wanted.is_dir())
        except (ValueError, OSError, RuntimeError):  # null bytes, names that are too long, link loops
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        if wanted == root or (wanted.parent == root and wanted.name in SERVED and not wanted.exists()):
            return self._start_page(root)
        # Opening a pipe would wait for a writer.
        if other or not any(wanted.is_relative_to(root / name) for name in SERVED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _asked_for_this_server(self) -> bool:
        """Whether the request names this server: a web page of another name could otherwise read the files."""
        hosts = {HOST, "localhost", urlsplit(os.environ.get(FILES_URL, "")).hostname} - {None}
        try:
            return all(urlsplit(f"//{named}").hostname in hosts for named in self.headers.get_all("Host", []))
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


class _Server(ThreadingHTTPServer):
    """Closes requests that are not complete in time, and those beyond the limit."""

    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.asking: dict[Any, float] = {}
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, unless too many are unfinished."""
        now = time.monotonic()
        for waiting, since in list(self.asking.items()):
            if now - since > SECONDS_TO_ASK:
                self.asking.pop(waiting, None)
                with suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)
        if len(self.asking) >= MOST_CONNECTIONS:
            self.shutdown_request(request)
            return
        self.asking[request] = now
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.asking.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Report an exception of a request, unless the reader closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.failed(error)

    def failed(self, error: BaseException | None) -> None:
        """Name an exception on the terminal."""
        sys.stderr.write(f"The server of the published files failed at a request: {error!r}\n")


def _publications(root: Path) -> str:
    """The list of publications as an HTML table, the latest first."""
    try:
        rows = publication_rows(open_existing_lake(str(root)))
    except (PipelineError, ValueError, KeyError, OSError) as error:
        return f"<p>The list of publications cannot be read: {escape(str(error))}</p>"
    if not rows:
        return "<p>Nothing was published yet.</p>"
    names = list(rows[0])
    heads = "".join(f"<th>{escape(name)}</th>" for name in (*names[:SHOWN_FIRST], "files", *names[SHOWN_FIRST:]))
    body = "".join(_line(row) for row in rows[:SHOWN])
    rest = f"<p>{len(rows) - SHOWN} older versions: restock publications</p>" if len(rows) > SHOWN else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _line(row: dict[str, Any]) -> str:
    cells = [f"<td>{_text(value)}</td>" for value in readable(row).values()]
    folder = f"runs/{row['date']}" if row["state"] == IN_FORCE else f"versions/{row['date']}/{row['version']:04d}"
    links = "".join(
        f'<a href="/{quote(folder)}/{end}">{text}</a> ' for end, text in (("report.html", "report"), ("", "all"))
    )
    cells.insert(SHOWN_FIRST, f"<td>{links}</td>")
    return f"<tr{' class=now' if row['state'] == IN_FORCE else ''}>{''.join(cells)}</tr>"


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str("" if value is None else value))


def files_server(lake: Path, port: int) -> ThreadingHTTPServer:
    """Create a server of a lake's runs and previews. It listens immediately and answers within :func:`serving`.

    Args:
        lake: Folder of the lake; it need not exist yet.
        port: Port to listen on; 0 means any free port.

    Raises:
        OSError: The port is already in use.
    """
    return _Server((HOST, port), partial(_Handler, directory=str(lake)))


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Run a server in a thread of this process while the context is open; yields its address."""
    thread = threading.Thread(target=server.serve_forever, args=(SECONDS_BETWEEN_LOOKS,), name="files", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
