"""Web addresses of files in the lake."""

from __future__ import annotations

import os
from urllib.parse import quote

from tasks.publication.earlier_runs import PREVIEWS, RUNS
from tasks.publication.versions import VERSIONS

# `make serve` sets both: the base address of its HTTP file server, and the folder or URI that it serves.
FILES_URL = "RESTOCK_FILES_URL"
FILES_ROOT = "RESTOCK_FILES_ROOT"
# Folders of the lake that are served; only runs read the other folders.
SERVED = (RUNS, PREVIEWS, VERSIONS)


def web_address(path: str) -> str | None:
    """Return the web address of a file or folder of the lake; None if no server provides it.

    Args:
        path: absolute path or ``s3://`` URI in the lake.
    """
    url, root = (os.environ.get(name, "").rstrip("/") for name in (FILES_URL, FILES_ROOT))
    if not url or not root or not path.startswith(f"{root}/"):
        return None
    return f"{url}/{quote(path.removeprefix(f'{root}/'))}"
