"""Our own forecasts and champions on real data at several cutoffs.

Usage: .venv/bin/python -m benchmarks.accuracy DATA [--sets NAME ...] [--back 1 3 6] [--models NAME ...]

DATA holds one folder per set, in contract form with a settings.yaml. Cutoffs lie so many horizons before the
end of the data; what followed is only used for the score. Prints one table per set; --out keeps all rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.accuracy.runs import run_cutoff
from benchmarks.accuracy.sets import HORIZONS_BACK, DataSet

FIGURES = ["wape", "wql", "bias", "coverage", "above", "below", "champion of", "seconds"]


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", help="folder names; all where absent")
    parser.add_argument("--back", nargs="*", type=float, default=list(HORIZONS_BACK), help="horizons before the end")
    parser.add_argument("--models", nargs="*", help="only these of the settings' models")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restock-accuracy")
    parser.add_argument("--out", type=Path, help="CSV of all rows")
    given = parser.parse_args()
    tables = []
    for folder in sorted(path.parent for path in given.data.glob("*/settings.yaml")):
        if given.sets and folder.name not in given.sets:
            continue
        data = DataSet.read(folder)
        for known in data.cutoffs(given.back):
            tables.append(run_cutoff(data, known, given.cache, given.models))
            print(_shown(tables[-1]), "\n", flush=True)
        if given.out:
            pd.concat(tables).to_csv(given.out, index=False)


def _shown(table: pd.DataFrame) -> str:
    figures = table[["set", "cutoff", "model", *FIGURES]].round(3)
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in figures.itertuples(index=False)]
    return "\n".join(["| " + " | ".join(figures.columns) + " |", "|" + "---|" * len(figures.columns), *lines])


if __name__ == "__main__":
    main()
