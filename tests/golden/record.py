"""Record the golden run again: ``python -m tests.golden.record``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.golden.snapshot import Snapshot, take_snapshots
from tests.golden.stored import CHECKSUMS, FOLDER, Stored, byte_differences, read_stored, write_stored
from tests.golden.weekly_run import publish_golden_run


def main() -> None:
    """Run the golden company's week, print what differs from the stored run and store the new one."""
    with tempfile.TemporaryDirectory() as folder:
        company = Path(folder).resolve() / "company"
        found = take_snapshots(publish_golden_run(company), company)
    if (FOLDER / CHECKSUMS).exists():
        stored = read_stored()
        for name in sorted(stored.files.keys() - found.keys()):
            sys.stdout.write(f"{name} is no longer published\n")
        for snapshot in found.values():
            sys.stdout.write(_change(stored, snapshot))
    write_stored(found)
    sys.stdout.write(f"{len(found)} files recorded. Review them with: git diff {os.path.relpath(FOLDER)}\n")


def _change(stored: Stored, snapshot: Snapshot) -> str:
    """What the new run changes in one file, in lines; empty where nothing changes."""
    if snapshot.name not in stored.files:
        return f"{snapshot.name} is new\n"
    difference = byte_differences(stored.files[snapshot.name], snapshot)
    return f"{difference}\n" if difference else ""


if __name__ == "__main__":
    main()
