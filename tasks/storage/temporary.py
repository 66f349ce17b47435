"""Temporary folders that name their process, so that a later run removes those of a killed one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from pathlib import Path


def named(purpose: str) -> str:
    """Return the beginning of the name of a temporary folder of this process.

    Args:
        purpose: lowercase letters.
    """
    return f"restock-{purpose}-{platform.node()}-{os.getpid()}-"


def remove_leftovers(place: Path | None = None) -> list[Path]:
    """Remove temporary folders of processes of this machine that have ended.

    Args:
        place: where they are; None = the system's folder for temporary files.

    Returns:
        The removed folders.
    """
    place = Path(tempfile.gettempdir()) if place is None else place
    pattern = re.compile(rf"restock-[a-z]+-{re.escape(platform.node())}-(\d+)-.*")
    removed = []
    for folder in sorted(place.glob("restock-*")):
        process = pattern.fullmatch(folder.name)
        if process is not None and not folder.is_symlink() and not is_alive(int(process[1])):
            shutil.rmtree(folder, ignore_errors=True)  # it may belong to another user
            removed.append(folder)
    return removed


def is_alive(process: int) -> bool:
    """Return True if a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
