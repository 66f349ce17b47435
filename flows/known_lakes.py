"""The folders that runs of this machine have used as their lake.

Where the disk or share of a lake is not mounted, its folder is empty or absent, as for a new company. A run would then
plan without the earlier weeks and write to the wrong disk. A record in Prefect's home distinguishes the two cases.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

FOLDER = "restock-lakes"
LAKE, MOUNT = "lake", "mount"


def remember_lake(root: Path) -> None:
    """Record that a run uses this lake; without a writable home nothing is recorded."""
    file, content = _file(root), json.dumps({LAKE: str(root), MOUNT: str(_mount_of(root))})
    with suppress(OSError):
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")


def is_missed(root: Path, deployed: bool) -> bool:
    """Return whether a folder without a lake is one that has disappeared, not a new one.

    Args:
        root: the folder.
        deployed: whether a deployment starts the run: nobody is there to notice that the lake is new, so that every
            known lake is missed. A run of the command line may begin again after its lake was deleted; it misses a
            lake only if its disk or share seems not to be mounted.
    """
    try:
        known = json.loads(_file(root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if deployed:
        return True
    mount = Path(str(known.get(MOUNT, "/")))
    nearest = next(path for path in (root, *root.parents) if os.path.exists(path))
    try:
        return not os.path.ismount(mount) or not os.listdir(nearest)
    except OSError:
        return True


def _file(root: Path) -> Path:
    from prefect.settings import get_current_settings  # late: other commands answer in seconds, without Prefect

    return Path(get_current_settings().home) / FOLDER / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def _mount_of(root: Path) -> Path:
    """The mount point of the disk or share of a folder."""
    return next(path for path in (root, *root.parents) if os.path.ismount(path))
