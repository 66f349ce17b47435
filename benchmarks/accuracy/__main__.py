"""Restock's forecasts and champions on real data at several cutoffs, compared with other libraries.

Usage: .venv/bin/python -m benchmarks.accuracy DATA [--sets NAME ...] [--back 1 3 6] [--models NAME ...]
           [--peers NAME ... | --no-peers]

DATA holds one folder per set, in contract form with a settings.yaml. Each cutoff is a number of horizons before
the end of the data. Data after it are used only for the score. Prints one table per set, and at the end the champions
against the best peer; --out keeps all rows. --models without a name runs the peers alone. The peers' packages come
with the extra "bench" (make bench-accuracy DATA=... installs it and runs all but AutoGluon, whose environment is made
by make bench-autogluon DATA=...).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from benchmarks.accuracy.peers import AUTOGLUON, DEFAULT_PEERS, PEER_NAMES, missing_packages
from benchmarks.accuracy.runs import run_cutoff
from benchmarks.accuracy.sets import HORIZONS_BACK, DataSet
from benchmarks.accuracy.summary import summary

FIGURES = [
    *("wape", "rmsse", "wql", "bias", "coverage", "inside", "nominal", "above", "below", "champion of"),
    *("seconds", "memory"),
]


def main() -> None:
    """Run the comparison, print its tables, and keep the rows."""
    given = _given()
    against = [] if given.no_peers else given.peers
    if missing := missing_packages(against):
        target = "bench-autogluon" if AUTOGLUON in missing else "bench-accuracy"
        sys.exit(
            f"Not installed: {', '.join(missing)}. Install with: make {target} DATA={given.data}, or "
            f"choose other peers with --peers, or leave them out with --no-peers."
        )
    there = sorted(path.parent.name for path in given.data.glob("*/settings.yaml"))
    chosen = given.sets or there
    if unknown := [name for name in chosen if name not in there] or (["any set"] if not there else []):
        sys.exit(
            f"No {', '.join(unknown)} in {given.data}. There: {', '.join(there) or 'no folder with a settings.yaml'}."
        )
    tables: list[pd.DataFrame] = []
    for name in chosen:
        data = DataSet.read(given.data / name)
        for known in data.cutoffs(given.back):
            tables.append(run_cutoff(data, known, given.cache, given.models, against))
            if len(tables[-1]):
                print(_shown(tables[-1][["set", "cutoff", "model", *FIGURES]]), "\n", flush=True)
        if given.out:
            pd.concat(tables).to_csv(given.out, index=False)
    rows = pd.concat(tables)
    if len(rows):
        print(_shown(summary(rows)))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", help="folder names, in this order; all where absent")
    parser.add_argument("--back", nargs="*", type=float, default=list(HORIZONS_BACK), help="horizons before the end")
    parser.add_argument("--models", nargs="*", help="only these of the settings' models; without a name none")
    parser.add_argument("--peers", nargs="*", choices=PEER_NAMES, default=list(DEFAULT_PEERS), help="only these peers")
    parser.add_argument("--no-peers", action="store_true", help="own models alone")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restock-accuracy")
    parser.add_argument("--out", type=Path, help="CSV of all rows")
    return parser.parse_args()


def _shown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in table.round(3).itertuples(index=False)]
    return "\n".join(["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns), *lines])


if __name__ == "__main__":
    main()
