"""The lake's published runs and previews over HTTP, to be read only: what artifacts link to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from tasks.publication.addresses import SERVED

# Nobody but this machine may read them: the server has no users.
HOST = "127.0.0.1"
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}


class _Handler(SimpleHTTPRequestHandler):
    """GET and HEAD of what lies in the served folders; everything else is not there."""

    server_version = "restock"
    sys_version = ""
    extensions_map = TYPES | {"": "application/octet-stream"}

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer only for paths that, with links and dots resolved, lie in a served folder."""
        root = Path(self.directory).resolve()
        wanted = Path(self.translate_path(self.path)).resolve()
        if wanted == root or (wanted.parent == root and wanted.name in SERVED and not wanted.exists()):
            return self._start_page(root)
        if not any(wanted.is_relative_to(root / name) for name in SERVED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _start_page(self, root: Path) -> BytesIO:
        """Links to the served folders, also before the first run has made them."""
        lines = [
            f'<li><a href="/{name}/">{name}</a></li>' if (root / name).is_dir() else f"<li>{name}: nothing yet</li>"
            for name in SERVED
        ]
        page = f"<!DOCTYPE html><title>Files</title><h1>Files</h1><ul>{''.join(lines)}</ul>".encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES[".html"])
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        return BytesIO(page)

    def end_headers(self) -> None:
        """A run of the same date replaces its files under the same address."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the operator's terminal is for the server and the worker."""


def files_server(lake: Path, port: int) -> ThreadingHTTPServer:
    """A server of a lake's runs and previews that listens already, and answers once it is :func:`serving`.

    Args:
        lake: the lake's folder; it may not be there yet.
        port: to listen on; 0 = any free one.

    Raises:
        OSError: the port is taken.
    """
    return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(lake)))


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Let a server answer from a thread of this process; its address."""
    thread = threading.Thread(target=server.serve_forever, name="files", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
