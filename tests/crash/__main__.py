"""``python -m tests.crash``: the whole sweep, and its table in docs/reliability.md."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.crash.disk import Fault
from tests.crash.scenarios import SCENARIOS
from tests.crash.sweep import Result, Sweep

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- crash table: python -m tests.crash -->", "<!-- end of the crash table -->"
MOST_FILES = 6


def table(result: Result, minutes: float) -> str:
    """The table of the sweep as Markdown."""
    heads = ["operation", "calls", *map(str, Fault), "failed"]
    rows = [heads, ["---"] * len(heads)]
    for scenario in SCENARIOS:
        counts = [result.points[(scenario.name, fault)] for fault in Fault]
        failed = sum(line.startswith(f"{scenario.name},") for line in result.failures)
        calls = ", ".join(f"{count:,} {name}" for name, count in sorted(result.calls[scenario.name].items()))
        rows.append([scenario.name, calls, *(f"{count:,}" for count in counts), str(failed)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    total = sum(result.points.values())
    return "\n".join([*lines, "", f"{total:,} points, {len(result.failures)} failed, {minutes:.0f} minutes."])


def main() -> int:
    """Sweep, print and write the table; exit code 1 if a point failed."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as name:
        sweep = Sweep(Path(name))
        for number, point in enumerate(sweep.points(MOST_FILES), start=1):
            sweep.try_point(point)
            if number % 500 == 0:
                print(f"{number:,} points, {len(sweep.result.failures)} failed", flush=True)  # noqa: T201
    text = table(sweep.result, (time.monotonic() - started) / 60)
    print("\n".join([*sweep.result.failures[:50], text]))  # noqa: T201
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 1 if sweep.result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
