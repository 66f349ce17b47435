"""Time and memory of the data path by number of series.

Usage: .venv/bin/python -m benchmarks.scale [--stores 7 60 256] [--days 782] [--lines 0.5] [--layout stores]
                                            [--stages ingest panel features xgboost ...] [--folder DIR]

For each number of stores, generates a company of 118 categories per store (`restock demo-data`), runs each stage in a
separate process, and prints series, rows, CPU seconds, wall seconds and the peak memory of the stage's processes
together. At the end it prints how time and memory grow per tenfold number of series. Run it with nothing else running.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from pathlib import Path

from benchmarks.scale.stage import DATA_PATH, STAGES
from benchmarks.scale.watch import Measured, watch
from tasks.demo.load import LoadSize
from tasks.demo.timeline import AS_OF

CATEGORIES = 118


def main() -> int:
    """Run the sizes; the exit code is 1 if a stage failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, nargs="+", default=[7, 60, 256])
    parser.add_argument("--days", type=int, default=782)
    parser.add_argument("--lines", type=float, default=0.5)
    parser.add_argument("--layout", choices=["stores", "months", "csv"], default="stores")
    parser.add_argument("--stages", choices=STAGES, nargs="+", default=list(DATA_PATH))
    parser.add_argument("--folder", type=Path, help="Keep the companies in this folder.")
    given = parser.parse_args()
    print("| series | stage | rows | CPU s | wall s | peak MB |\n|---|---|---|---|---|---|")
    found: dict[tuple[str, int], Measured] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for stores in given.stores:
            size = LoadSize(stores=stores, categories=CATEGORIES, days=given.days, lines=given.lines)
            folder = (given.folder or Path(scratch)) / f"{size.series}-{given.days}-{given.layout}"
            if not (folder / "data").exists():
                made = watch([sys.executable, "-m", "flows", *_generate(folder, size, given.layout)])
                show(size.series, "generate", made)
            for stage in given.stages:
                settings = ["--settings", str(folder / "settings.yaml"), "--as-of", AS_OF.isoformat()]
                used = watch([sys.executable, "-m", "benchmarks.scale.stage", stage, *settings])
                show(size.series, stage, used)
                if used.code:
                    print(used.output)
                    return 1
                found[stage, size.series] = used
    for stage in given.stages:
        sizes = sorted(series for name, series in found if name == stage)
        for less, more in itertools.pairwise(sizes):
            one, other, tens = found[stage, less], found[stage, more], math.log10(more / less)
            print(
                f"{stage}, {less:,} to {more:,} series, per 10x: CPU x {(other.cpu / one.cpu) ** (1 / tens):.1f}, "
                f"memory x {(other.peak / one.peak) ** (1 / tens):.1f}"
            )
    return 0


def _generate(folder: Path, size: LoadSize, layout: str) -> list[str]:
    options = {"out": folder, "stores": size.stores, "categories": size.categories, "days": size.days}
    options |= {"lines": size.lines, "layout": layout}
    return ["demo-data", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def show(series: int, stage: str, used: Measured) -> None:
    """Print a row of the table."""
    made = used.output.strip().splitlines()[0] if used.output.strip() else ""
    print(
        f"| {series:,} | {stage} | {made} | {used.cpu:.1f} | {used.wall:.1f} | {used.peak / 2**20:,.0f} |", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
