"""Measure the constants and write the tables of docs/reference/constants.md.

Usage: python -m benchmarks.constants [PATH ...] [--page]

Without a path, the constants that have no stored effect yet are measured: effects.json is written after each, so that a
stopped run can continue. PATH, such as tasks.forecasting.quantiles:RULE.prior_residuals, measures that constant again.
With --page nothing is measured. All constants take about half an hour on one core.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.constants.effects import measure, read_effects
from benchmarks.constants.page import by_sensitivity, without_effect, write_page


def main() -> None:
    """Measure, write the page and print the order of the constants."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.constants", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="Measure these constants again.")
    parser.add_argument("--page", action="store_true", help="Only write the page.")
    given = parser.parse_args()
    if not given.page:
        measure(given.paths, lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush())
    effects = read_effects()
    write_page(effects)
    for path, change in by_sensitivity(effects):
        sys.stdout.write(f"{change:6.2f} %  {path}\n")
    sys.stdout.write(f"without effect: {', '.join(without_effect(effects))}\n")


if __name__ == "__main__":
    main()
