"""The target figures of the benchmark, and which of them a run reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One plan and its figures.

    Attributes:
        problem: its name; a problem of the benchmark's own ends with "-" and its seed.
        policy: that made the plan.
        total: cost.
        gap: over the bound, a fraction.
        days: store-periods over capacity, mean over the paths.
        missed: store-weeks without a visit.
        seconds: seconds of planning, the bound included where the plan starts from it.
        remark: further words.
    """

    problem: str
    policy: str
    total: float
    gap: float
    days: float
    missed: int
    seconds: float
    remark: str

    def text(self) -> str:
        """The row as printed; the total in millions."""
        return (
            f"{self.problem:22} {self.policy:20} {self.total / 1e6:12.3f} {self.gap:10.3%} {self.days:10.1f} "
            f"{self.missed:7d} {self.seconds:8.2f}  {self.remark[:70]}"
        )


HEAD = (
    f"{'problem':22} {'policy':20} {'total, M':>12} {'gap':>10} {'days over':>10} {'missed':>7} {'seconds':>8}  remark"
)


@dataclass(frozen=True)
class Figure:
    """The target of a policy on a problem, without a missed week; None = no target.

    Attributes:
        problem: its name without a seed.
        policy: its name.
        gap: most over the bound, a fraction.
        total: most cost, in millions.
        days: most store-periods over capacity.
        seconds: most seconds of planning on two cores that do nothing else.
    """

    problem: str
    policy: str
    gap: float | None = None
    total: float | None = None
    days: float | None = None
    seconds: float | None = None

    def against(self, row: Row) -> str:
        """Compare the figures of a row with their targets."""
        pairs = (
            ("gap", row.gap, self.gap, "{:.3%}"),
            ("total, M", row.total / 1e6, self.total, "{:.2f}"),
            ("days over", row.days, self.days, "{:.1f}"),
            ("missed", float(row.missed), 0.0, "{:.0f}"),
            ("seconds", row.seconds, self.seconds, "{:.1f}"),
        )
        asked = [(name, found, most, form) for name, found, most, form in pairs if most is not None]
        shown = ", ".join(f"{name} {form.format(found)} of {form.format(most)}" for name, found, most, form in asked)
        missed = [name for name, found, most, _ in asked if not found <= most]
        return f"{row.problem:22} {row.policy:16} {f'NOT {missed}' if missed else 'reached'}: {shown}"


FIGURES = (
    *(Figure(name, "genetic", gap=0.0005, days=0.0, seconds=2.0) for name in ("M-known", "M-tight-known")),
    *(Figure(name, "genetic", gap=0.0005, days=0.0, seconds=2.0) for name in ("own-M-known", "own-M-tight-known")),
    Figure("own-large-known", "genetic", gap=0.0005, days=0.0, seconds=10.0),
    Figure("M-known", "genetic_static", gap=1e-6, days=0.0, seconds=5.0),
    Figure("M-tight-known", "genetic_static", total=178.0, days=0.0, seconds=60.0),
    *(Figure(name, "genetic", gap=0.10, seconds=120.0) for name in ("M", "own-M")),
    Figure("M-tight", "genetic", total=250.0, days=6.0, seconds=120.0),
    Figure("own-M-tight", "genetic", days=6.0, seconds=120.0),
    Figure("M-known-dock9", "genetic", gap=0.01, days=0.0),
    Figure("M-known-dc80", "genetic", gap=0.045, days=0.0),
    Figure("M-known-dock11-dc80", "genetic", gap=0.055, days=0.0),
)


def reached(rows: Iterable[Row]) -> Iterator[str]:
    """A line for every row that has a target figure."""
    for row in rows:
        own = row.problem.rpartition("-")[0] if row.problem.startswith("own-") else row.problem
        yield from (figure.against(row) for figure in FIGURES if (figure.problem, figure.policy) == (own, row.policy))
