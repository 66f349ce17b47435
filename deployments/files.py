"""Serve the published runs and previews of the lake over HTTP, read-only. Artifacts link to them."""

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

# Only this machine may read the files, because the server has no authentication.
HOST = "127.0.0.1"
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
}


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD for files in the served folders, and 404 for everything else."""

    server_version = "restock"
    sys_version = ""
    extensions_map = TYPES | {"": "application/octet-stream"}

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer only for paths that are in a served folder after links and dots are resolved."""
        root = Path(self.directory).resolve()
        wanted = Path(self.translate_path(self.path)).resolve()
        if wanted == root or (wanted.parent == root and wanted.name in SERVED and not wanted.exists()):
            return self._start_page(root)
        if not any(wanted.is_relative_to(root / name) for name in SERVED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _start_page(self, root: Path) -> BytesIO:
        """Send a page with links to the served folders; before the first run it says that they are empty."""
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
        """Disable caching, because a run of the same date replaces its files under the same address."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, to keep the terminal free for the server and the worker."""


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
