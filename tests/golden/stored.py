"""The stored golden run: read, written and compared."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.golden.fingerprint import platform_fingerprint
from tests.golden.snapshot import Snapshot

FOLDER = Path(__file__).parent / "expected"
CHECKSUMS = "checksums.json"
LINES_SHOWN = 40
# On another processor or with other packages: how far a figure may be from the stored one.
RELATIVE_TOLERANCE = 2e-3
ABSOLUTE_TOLERANCE = 2e-3
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_CHECKSUM = re.compile(r"\b[0-9a-f]{64}\b|(?<=\[picture )[0-9a-f]{16}")


@dataclass(frozen=True)
class StoredFile:
    """What is stored of one published file; attributes as of :class:`Snapshot`."""

    name: str
    sha256: str
    text: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Stored:
    """A stored golden run: where it was recorded, and its files by name."""

    platform: Mapping[str, str]
    files: Mapping[str, StoredFile]


def write_stored(snapshots: Mapping[str, Snapshot], folder: Path = FOLDER) -> None:
    """Replace the stored golden run."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for snapshot in snapshots.values():
        (folder / snapshot.stored_as).write_text(snapshot.text, encoding="utf-8", newline="")
    content = {
        "platform": platform_fingerprint(),
        "files": {
            name: {"sha256": one.sha256, "stored_as": one.stored_as, "columns": dict(one.columns)}
            for name, one in sorted(snapshots.items())
        },
    }
    (folder / CHECKSUMS).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_stored(folder: Path = FOLDER) -> Stored:
    """Read the stored golden run."""
    content = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    files = {
        name: StoredFile(name, one["sha256"], (folder / one["stored_as"]).read_bytes().decode("utf-8"), one["columns"])
        for name, one in content["files"].items()
    }
    return Stored(content["platform"], files)


def byte_differences(stored: StoredFile, found: Snapshot) -> str:
    """What differs between the stored file and the one found; empty where every byte is the same."""
    if found.sha256 == stored.sha256:
        return ""
    lines = [f"{stored.name} has changed: SHA-256 {stored.sha256} -> {found.sha256}"]
    lines += _column_differences(stored.columns, found.columns)
    diff = _line_differences(stored.text, found.text)
    lines += diff or ["The readable text is the same: figures differ beyond six digits, or only the file's form does."]
    return "\n".join(lines)


def figure_differences(stored: StoredFile, found: Snapshot) -> str:
    """What differs beyond rounding between the stored text and the one found; empty where nothing does."""
    expected, actual = stored.text.splitlines(), found.text.splitlines()
    if len(expected) == len(actual):
        pairs = list(zip(expected, actual, strict=True))
        actual = [want if _close(want, have) else have for want, have in pairs]
    diff = _line_differences("\n".join(expected), "\n".join(actual))
    return "\n".join([f"{stored.name}: figures have changed by more than rounding", *diff]) if diff else ""


def _column_differences(stored: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    lines = []
    if list(stored) != list(found):
        lines.append(f"columns: {', '.join(stored)} -> {', '.join(found)}")
    changed = [name for name in stored if name in found and stored[name] != found[name]]
    if changed:
        lines.append(f"columns with other values or types: {', '.join(changed)}")
    for name in changed:
        types = [one[name].rsplit(" ", 1)[0] for one in (stored, found)]
        if types[0] != types[1]:
            lines.append(f"type of {name}: {types[0]} -> {types[1]}")
    return lines


def _line_differences(stored: str, found: str) -> list[str]:
    """A unified diff, cut off after some lines; a table's header comes first."""
    before, after = stored.splitlines(), found.splitlines()
    diff = list(difflib.unified_diff(before, after, "stored", "found", lineterm="", n=0))
    if not diff:
        return []
    changed = sum(line.startswith(("+", "-")) for line in diff[2:])
    shown = [f"first line: {before[0]}" if before else "first line: none", *diff[:LINES_SHOWN]]
    if len(diff) > LINES_SHOWN:
        shown.append(f"... {len(diff) - LINES_SHOWN} more lines of the difference")
    return [f"{changed} lines removed or added (stored: {len(before)} lines, found: {len(after)})", *shown]


def _close(stored: str, found: str) -> bool:
    """Whether two lines have the same words and almost the same numbers; checksums do not count.

    >>> _close("001,belt,0.333333", "001,belt,0.333334"), _close("001,belt,1", "001,boot,1")
    (True, False)
    """
    one, other = _CHECKSUM.sub("#", stored), _CHECKSUM.sub("#", found)
    if _NUMBER.sub("0", one) != _NUMBER.sub("0", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(
        math.isclose(float(a), float(b), rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE) for a, b in pairs
    )
