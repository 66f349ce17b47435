"""Where a browser finds a file of the lake."""

from __future__ import annotations

import os
from urllib.parse import quote

from tasks.publication.earlier_runs import PREVIEWS, RUNS

# Set by whoever serves the lake's files over HTTP (`make serve`): the address, and the folder or URI behind it.
FILES_URL = "RESTOCK_FILES_URL"
FILES_ROOT = "RESTOCK_FILES_ROOT"
# The lake's folders that are served; the others hold what only runs read.
SERVED = (RUNS, PREVIEWS)


def web_address(path: str) -> str | None:
    """The address of a file or folder of the lake; None where nobody serves it.

    Args:
        path: as the lake names it, an absolute path or an ``s3://`` URI.
    """
    url, root = (os.environ.get(name, "").rstrip("/") for name in (FILES_URL, FILES_ROOT))
    if not url or not root or not path.startswith(f"{root}/"):
        return None
    return f"{url}/{quote(path.removeprefix(f'{root}/'))}"
