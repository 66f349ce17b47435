"""Web addresses of files in the lake."""

from __future__ import annotations

import os
from datetime import date
from urllib.parse import quote

from tasks.publication.earlier_runs import PREVIEWS, RUNS
from tasks.publication.versions import VERSIONS

# `make serve` sets both: the base address of its HTTP file server, and the folder or URI that it serves.
FILES_URL = "RESTOCK_FILES_URL"
FILES_ROOT = "RESTOCK_FILES_ROOT"
# Folders of the lake that are served; only runs read the other folders.
SERVED = (RUNS, PREVIEWS, VERSIONS)
# Base address of the planners' app. `make serve` sets it. With a proxy in front of the app, set the proxy's address.
APP_URL = "RESTOCK_APP_URL"
# Path of a run's page in the Prefect UI. Prefect's own links lead to its former user interface, which has other menus
# than the runbook describes.
RUN_PAGE, FORMER_RUN_PAGE = "/v2/runs/flow-run/", "/runs/flow-run/"
# The lake that the app shows: on a server with several companies, the others have no page in it. `make serve` sets it.
APP_ROOT = "RESTOCK_APP_ROOT"

# The company in the names of a run's deployment (deployments/company.py); not set in runs of the command line.
COMPANY_VARIABLE = "RESTOCK_COMPANY"


def app_address(folder: str, as_of: date, preview: bool = False, page: str = "") -> str | None:
    """Return the address of a page of the app for a run; None if no app is known that shows its lake.

    Args:
        folder: folder of the run's files, a path or ``s3://`` URI.
        as_of: run date.
        preview: whether the run is not published.
        page: path of the page; empty = *This week*.
    """
    url, root = (os.environ.get(name, "").rstrip("/") for name in (APP_URL, APP_ROOT))
    if not url or (root and not folder.startswith(f"{root}/")):
        return None
    return f"{url}/{page}?week={as_of}{'-preview' if preview else ''}"


def web_address(path: str) -> str | None:
    """Return the web address of a file or folder of the lake; None if no server provides it.

    Args:
        path: absolute path or ``s3://`` URI in the lake.
    """
    url, root = (os.environ.get(name, "").rstrip("/") for name in (FILES_URL, FILES_ROOT))
    if not url or not root or not path.startswith(f"{root}/"):
        return None
    return f"{url}/{quote(path.removeprefix(f'{root}/'))}"
