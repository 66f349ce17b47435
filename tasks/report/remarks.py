"""Warnings and remarks in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alarms import Severity, at_least
from schemas.outputs import RunFacts
from schemas.run import RunContext

SHOWN = 20
WARNINGS = "Warnings"


@dataclass(frozen=True)
class Remarks:
    """Remarks of one type.

    Attributes:
        kind: heading of the type.
        count: number of distinct remarks.
        texts: the first :data:`SHOWN` remarks, and a line with the number of the others.
    """

    kind: str
    count: int
    texts: Sequence[str]


def headlines(run: RunContext, facts: RunFacts) -> list[str]:
    """Return the remarks that concern the whole page."""
    found = []
    if run.scoped:
        scope = [*(f"store {store}" for store in run.stores), *run.categories]
        found.append(f"This run covers only a part of the network: {', '.join(scope)}.")
    if not facts.stock_given:
        found.append("There is no stock table; the opening stock of every store is taken as 0.")
    return [*found, *(f"{alarm.name}: {alarm.message}" for alarm in at_least(facts.alarms, Severity.WARNING))]


def remarks(facts: RunFacts) -> list[Remarks]:
    """Return warnings and the stages' remarks without duplicates; empty types are left out."""
    kinds = {WARNINGS: facts.warnings, **facts.notes}
    distinct = {kind: list(dict.fromkeys(texts)) for kind, texts in kinds.items()}
    return [Remarks(kind, len(texts), _first(texts)) for kind, texts in distinct.items() if texts]


def _first(texts: Sequence[str]) -> list[str]:
    rest = len(texts) - SHOWN
    return [*texts[:SHOWN], *([f"{rest} more in the run's log."] if rest > 0 else [])]
