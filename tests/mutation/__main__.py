"""Mutation testing: ``python -m tests.mutation``.

Draws mutants of a package, runs the package's tests against each, without those that start a run, and prints the score:
the share of the mutants that a test noticed. A mutant that survives is a line that no such test checks, or a change
that makes no difference. See docs/testing.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass

from tests.mutation.mutants import sample
from tests.mutation.trial import Outcome, prepare, trial
from tests.shared import ROOT


@dataclass(frozen=True)
class Package:
    """A package to test.

    Attributes:
        folder: its modules.
        tests: the tests that should notice a mutant.
        interpreted: whether numba's kernels run as Python, because compiled ones come from a cache on disk.
    """

    folder: str
    tests: tuple[str, ...]
    interpreted: bool = False


PACKAGES = {
    "evaluation": Package("tasks/evaluation", ("tests/evaluation",)),
    "inventory": Package(
        "tasks/inventory/model",
        ("tests/inventory/model", "tests/inventory/test_weekly_plan.py", "tests/inventory/test_plan_inputs.py"),
        interpreted=True,
    ),
    "publication": Package("tasks/publication", ("tests/publication",)),
}


def main() -> int:
    """Test the packages one after the other; exit code 1 if a score is below ``--at-least``."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", default=list(PACKAGES), help=f"any of {', '.join(PACKAGES)}")
    parser.add_argument("--mutants", type=int, default=60, help="number of mutants per package")
    parser.add_argument("--seed", type=int, default=1, help="another seed draws other mutants")
    parser.add_argument("--at-least", type=float, default=0.0, metavar="SHARE", help="lowest score, for example 0.85")
    asked = parser.parse_args()
    unknown = sorted(set(asked.packages) - set(PACKAGES))
    if unknown:
        parser.error(f"unknown package {', '.join(unknown)}; choose from {', '.join(PACKAGES)}")
    if len(asked.packages) > 1:
        # One process per package: numba reads its settings when it is imported.
        options = ["--mutants", str(asked.mutants), "--seed", str(asked.seed), "--at-least", str(asked.at_least)]
        alone = [[sys.executable, "-m", "tests.mutation", name, *options] for name in asked.packages]
        return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in alone)
    return _test(asked.packages[0], asked.mutants, asked.seed, asked.at_least)


def _test(name: str, size: int, seed: int, least: float) -> int:
    package = PACKAGES[name]
    os.chdir(ROOT)
    os.environ["NUMBA_DISABLE_JIT"] = str(int(package.interpreted))
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        outcome, seconds = trial(package.tests)
        if outcome is not Outcome.SURVIVED:
            sys.stdout.write(f"{name}: the tests fail without a mutant. Run: pytest {' '.join(package.tests)}\n")
            return 2
        counts: Counter[Outcome] = Counter()
        mutants = sample(package.folder, size, seed)
        for number, mutant in enumerate(mutants, start=1):
            outcome, took = trial(package.tests, mutant, seconds)
            counts[outcome] += 1
            sys.stdout.write(f"{number}/{len(mutants)} {outcome.value} in {took:.0f} s: {mutant.file}:{mutant.line}\n")
            if outcome is Outcome.SURVIVED:
                sys.stdout.write(f"{mutant.operator}\n{mutant.diff}\n")
            sys.stdout.flush()
    score = 1 - counts[Outcome.SURVIVED] / len(mutants)
    sys.stdout.write(f"{name}: score {score:.0%}, {counts[Outcome.SURVIVED]} of {len(mutants)} mutants survived\n")
    return int(score < least)


if __name__ == "__main__":
    sys.exit(main())
