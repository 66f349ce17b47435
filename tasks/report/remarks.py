"""What the reader of the report should know besides its figures: what bears on all of them, then the rest by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.outputs import RunFacts
from schemas.run import RunContext

SHOWN = 20
WARNINGS = "Warnings"


@dataclass(frozen=True)
class Remarks:
    """Remarks of one kind.

    Attributes:
        kind: what they are about.
        count: how many distinct ones there are.
        texts: the first :data:`SHOWN` of them, and a line that tells of the rest.
    """

    kind: str
    count: int
    texts: Sequence[str]


def headlines(run: RunContext, facts: RunFacts) -> list[str]:
    """What every figure of the page depends on."""
    found = []
    if run.scoped:
        scope = [*(f"store {store}" for store in run.stores), *run.categories]
        found.append(f"This run covers a part of the network only: {', '.join(scope)}.")
    if not facts.stock_given:
        found.append("No stock table was given: the opening stock of every store is taken as 0.")
    return found


def remarks(facts: RunFacts) -> list[Remarks]:
    """Warnings, then the stages' remarks, each once; kinds without any are left out."""
    kinds = {WARNINGS: facts.warnings, **facts.notes}
    distinct = {kind: list(dict.fromkeys(texts)) for kind, texts in kinds.items()}
    return [Remarks(kind, len(texts), _first(texts)) for kind, texts in distinct.items() if texts]


def _first(texts: Sequence[str]) -> list[str]:
    rest = len(texts) - SHOWN
    return [*texts[:SHOWN], *([f"{rest} more in the log of the run."] if rest > 0 else [])]
