"""``python -m tests.crash``: both sweeps, and their tables in docs/reliability.md.

``--part K/N --results FOLDER`` tries one part of the points, and the tables join the parts found in the folder.
``--every N`` tries every N-th point only. The tables say how many of all points were tried, and name the version.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tasks.storage.code_version import code_version
from tests.crash.bucket import BucketFault, BucketServer
from tests.crash.bucket_sweep import BucketSweep
from tests.crash.disk import Fault
from tests.crash.scenarios import SCENARIOS
from tests.crash.sweep import Sweep

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
MARKS = {
    "disk": ("<!-- crash table: python -m tests.crash -->", "<!-- end of the crash table -->"),
    "bucket": ("<!-- bucket table: python -m tests.crash -->", "<!-- end of the bucket table -->"),
}
FAULTS: dict[str, type[StrEnum]] = {"disk": Fault, "bucket": BucketFault}
MOST_FILES = {"disk": 6, "bucket": 1}
MEMORY = "/dev/shm"
SHOWN = 100


@dataclass
class Found:
    """What a part of a sweep found; it is stored as JSON.

    Attributes:
        points: number of points by scenario and fault, joined by a line break.
        calls: calls or requests of the undisturbed runs, by scenario and name.
        failures: one line per point that did not hold.
        seconds: running time.
        versions: versions of the code that was tried.
        planned: number of points of the whole sweep.
    """

    points: dict[str, int] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    versions: list[str] = field(default_factory=list)
    planned: int = 0


@contextmanager
def sweep_of(kind: str) -> Iterator[Any]:
    """A sweep of a folder or of a bucket."""
    if kind == "disk":
        # What a disk forgets is simulated, so the sweep need not wait for a real one.
        with tempfile.TemporaryDirectory(prefix="crash-", dir=MEMORY if os.path.isdir(MEMORY) else None) as name:
            yield Sweep(Path(name))
        return
    server = BucketServer()
    try:
        with server.in_use():
            yield BucketSweep(server)
    finally:
        server.close()


def try_points(kind: str, part: int, of: int, every: int) -> Found:
    """Try one part of every ``every``-th point of a sweep."""
    started = time.monotonic()
    with sweep_of(kind) as sweep:
        planned = list(sweep.points(MOST_FILES[kind]))
        points = planned[::every][part - 1 :: of]
        for number, point in enumerate(points, start=1):
            sweep.try_point(point)
            if number % SHOWN == 0 or number == len(points):
                print(f"{kind}: {number:,} of {len(points):,} points, {len(sweep.result.failures)} failed", flush=True)  # noqa: T201
        counts = {f"{scenario}\n{fault}": count for (scenario, fault), count in sweep.result.points.items()}
        calls = {name: dict(found) for name, found in sweep.result.calls.items()}
        seconds = time.monotonic() - started
        return Found(counts, calls, sweep.result.failures, seconds, [code_version()], len(planned))


def joined(parts: Iterable[Found]) -> Found:
    """Add up the parts of a sweep."""
    points: Counter[str] = Counter()
    whole = Found()
    for part in parts:
        points.update(part.points)
        versions = sorted({*whole.versions, *part.versions})
        failures, seconds = [*whole.failures, *part.failures], whole.seconds + part.seconds
        whole = Found(dict(points), part.calls, failures, seconds, versions, part.planned)
    return whole


def table(kind: str, found: Found) -> str:
    """The table of a sweep as Markdown."""
    faults = FAULTS[kind]
    heads = ["operation", "calls" if kind == "disk" else "requests", *map(str, faults), "failed"]
    rows = [heads, ["---"] * len(heads)]
    for scenario in SCENARIOS:
        counts = [found.points.get(f"{scenario.name}\n{fault}", 0) for fault in faults]
        failed = sum(line.startswith(f"{scenario.name},") for line in found.failures)
        calls = ", ".join(f"{count:,} {name}" for name, count in sorted(found.calls[scenario.name].items()))
        rows.append([scenario.name, calls, *(f"{count:,}" for count in counts), str(failed)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    total = sum(found.points.values())
    which = f"{total:,} points" if total == found.planned else f"{total:,} of {found.planned:,} points"
    minutes, versions = f"{found.seconds / 60:.0f} minutes", ", ".join(found.versions)
    return "\n".join([*lines, "", f"{which}, {len(found.failures)} failed, {minutes}, version {versions}."])


def write(kind: str, text: str) -> None:
    """Replace the table between its marks in docs/reliability.md."""
    begin, end = MARKS[kind]
    head, rest = PAGE.read_text(encoding="utf-8").split(begin)
    PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> int:
    """Sweep, print and write the tables; exit code 1 if a point failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--only", choices=list(MARKS), help="one sweep; default: both")
    parser.add_argument("--part", default="1/1", help="try part K of N of the points")
    parser.add_argument("--results", type=Path, help="folder of the results of all parts")
    parser.add_argument("--every", type=int, default=1, help="try every N-th point only")
    chosen = parser.parse_args()
    part, of = (int(number) for number in chosen.part.split("/"))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="results-") as name:
        folder = chosen.results or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for kind in [chosen.only] if chosen.only else list(MARKS):
            found = try_points(kind, part, of, chosen.every)
            (folder / f"{kind}-{part}-of-{of}.json").write_text(json.dumps(vars(found)), encoding="utf-8")
            files = sorted(folder.glob(f"{kind}-*-of-{of}.json"))
            whole = joined(Found(**json.loads(file.read_text(encoding="utf-8"))) for file in files)
            print("\n".join([*found.failures[:50], table(kind, whole)]))  # noqa: T201
            write(kind, table(kind, whole))
            failed += len(whole.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
