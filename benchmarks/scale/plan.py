"""Time and memory of the plan of a week by number of stores.

Usage: .venv/bin/python -m benchmarks.scale.plan [--stores 10 50 200] [--categories 150] [--skus 2] [--days 56]
                                                 [--paths 50] [--holding 0.02] [--folder DIR]

For each number of stores, writes the inputs of a plan (forecasts, stock, storage capacities, stock of the distribution
center) to a lake without forecasting, runs the planning stage in a separate process, and prints CPU seconds, wall
seconds, the peak memory of the process, and the cost of the published plan above the lower bound. At the end it prints
how time and memory grow per store. Run it with nothing else running. ``--write --stores 50 --folder DIR`` and then
``--plan --parts --stores 50 --folder DIR`` print the CPU seconds of each part of the stage on one core.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

from benchmarks.scale.plan_company import PlanSize, read_inputs, write_inputs
from benchmarks.scale.plan_parts import measured_parts, table_of
from benchmarks.scale.watch import Measured, watch
from schemas import columns as c
from schemas.settings.slices import PlanSlice
from tasks.inventory.plan_week import plan_week
from tasks.storage.lake import open_lake


def main() -> int:
    """Run the sizes; the exit code is 1 if a plan failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, nargs="+", default=[10, 50, 200])
    for name, kind in (("categories", int), ("skus", int), ("days", int), ("paths", int), ("holding", float)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(PlanSize(1), name))
    parser.add_argument("--folder", type=Path, help="Keep the inputs in this folder.")
    parser.add_argument("--write", action="store_true", help="Write the inputs of one size to --folder only.")
    parser.add_argument("--plan", action="store_true", help="Plan one size in this process; --folder has its inputs.")
    parser.add_argument("--parts", action="store_true", help="With --plan: print the CPU seconds of each part.")
    given = parser.parse_args()
    sizes = [
        PlanSize(stores, given.categories, given.skus, given.days, given.paths, holding=given.holding)
        for stores in given.stores
    ]
    if given.write:
        made = write_inputs(open_lake(str(given.folder / "lake")), sizes[0])
        (given.folder / "inputs.json").write_text(made.model_dump_json(), "utf-8")
        return 0
    if given.plan and given.parts:
        with measured_parts() as clock:
            print(plan_here(sizes[0], given.folder))
        print(table_of(clock, sizes[0].stores))
        return 0
    if given.plan:
        print(plan_here(sizes[0], given.folder))
        return 0
    print("| stores | series | CPU s | wall s | peak MB | plan |\n|---|---|---|---|---|---|")
    found: list[tuple[int, Measured]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            folder = (given.folder or Path(scratch)) / f"{size.stores}-{size.categories}-{size.skus}-{size.days}"
            folder.mkdir(parents=True, exist_ok=True)
            options = ["--stores", str(size.stores), "--folder", str(folder), "--paths", str(size.paths)]
            options += ["--categories", str(size.categories), "--skus", str(size.skus), "--days", str(size.days)]
            command = [sys.executable, "-m", "benchmarks.scale.plan", *options, "--holding", str(size.holding)]
            if not (folder / "inputs.json").exists():
                made = watch([*command, "--write"])
                if made.code:
                    print(made.output)
                    return 1
            used = watch([*command, "--plan"])
            if used.code:
                print(used.output)
                return 1
            found.append((size.stores, used))
            last = used.output.strip().splitlines()[-1]
            print(
                f"| {size.stores:,} | {size.stores * size.categories:,} | {used.cpu:.1f} | {used.wall:.1f} | "
                f"{used.peak / 2**20:,.0f} | {last} |",
                flush=True,
            )
    for (few, one), (many, other) in itertools.pairwise(sorted(found, key=lambda pair: pair[0])):
        print(
            f"{few:,} to {many:,} stores, per store: CPU {(other.cpu - one.cpu) / (many - few):.3f} s, "
            f"memory {(other.peak - one.peak) / (many - few) / 2**20:.2f} MB"
        )
    return 0


def plan_here(size: PlanSize, folder: Path) -> str:
    """Plan in this process; the selected policy, its cost above the lower bound, and how long each policy took."""
    record = plan_week(open_lake(str(folder / "lake")), read_inputs(folder), PlanSlice.of(size.settings))
    costs = {row[c.POLICY]: row for row in record.summary["costs"]}
    best = costs[record.chosen]
    return f"{record.chosen}, total {best[c.TOTAL]:,.0f}, {best[c.GAP]:.1%} above the bound"


if __name__ == "__main__":
    sys.exit(main())
