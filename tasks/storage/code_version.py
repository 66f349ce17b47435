"""Which code made a result: the package's version and a checksum of its own source files."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = "restock"
ROOMS = ("schemas", "tasks", "flows")
SUFFIXES = (".py", ".j2")
_DIGITS = 12


@cache
def code_version() -> str:
    """Version of the running code, such as ``0.1.0+3f2a91c07be4``.

    Read once per process: an edit while a run is under way changes nothing in it.

    Returns:
        The package's version, a plus sign and twelve digits of :func:`source_digest`, so that an edited
        checkout differs from a release of the same number.
    """
    try:
        release = version(PACKAGE)
    except PackageNotFoundError:
        release = "0"
    return f"{release}+{source_digest(Path(__file__).parents[2])[:_DIGITS]}"


def source_digest(root: Path) -> str:
    """SHA-256 over the names and bytes of the product's source files.

    Args:
        root: folder that holds the rooms; tests, deployments and compiled files are left out.
    """
    digest = hashlib.sha256()
    for room in ROOMS:
        files = [path for path in (root / room).rglob("*") if path.suffix in SUFFIXES and path.is_file()]
        for path in sorted(files, key=lambda file: file.relative_to(root).as_posix()):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
