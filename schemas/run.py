"""The parameters of one run: its settings, its date and its scope."""

from __future__ import annotations

from datetime import date
from typing import Self

from pydantic import model_validator

from schemas.records import Record
from schemas.settings import Settings

# Forecasting shards that run in parallel; each gets an equal part of the cores.
SHARDS_AT_ONCE = 2


class RunContext(Record):
    """The parameters of a run, resolved and checked.

    Attributes:
        settings: effective settings, paths absolute.
        as_of: run date: data before it are used.
        force: compute every stage again, even if the lake has its result.
        dry_run: do everything but the publication; always true for a run with a scope.
        stores: only these stores; empty = all.
        categories: only these categories; empty = all.
        promotion: the promoted challenger whose settings are in effect; empty = none.
    """

    settings: Settings
    as_of: date
    force: bool = False
    dry_run: bool = False
    stores: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    promotion: str = ""

    @model_validator(mode="after")
    def _scope_in_order(self) -> Self:
        """The order in which a scope is written changes nothing."""
        for name in ("stores", "categories"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        return self

    @model_validator(mode="after")
    def _scope_is_a_preview(self) -> Self:
        """A part of the network never replaces the network's file, because a missing pair means target 0 to the ERP."""
        if self.scoped:
            object.__setattr__(self, "dry_run", True)
        return self

    @property
    def scoped(self) -> bool:
        """Whether the run covers a part of the network only."""
        return bool(self.stores or self.categories)


class ShardSpec(Record):
    """A part of the forecasting work: one model on some series over one or more cutoffs.

    Attributes:
        model: name in the settings, or a baseline.
        series: indices into the panel's series; None = all of them.
        folds: indices of the folds to forecast, in ascending order of their cutoffs.
        live: whether to forecast the run's own horizon as well.
        number: position among the model's shards, from 1.
        of: number of the model's shards.
    """

    model: str
    series: tuple[int, ...] | None = None
    folds: tuple[int, ...] = ()
    live: bool = True
    number: int = 1
    of: int = 1

    @property
    def title(self) -> str:
        """Name of the shard's task."""
        return f"forecast {self.model} {self.number} of {self.of}"

    def unnumbered(self) -> ShardSpec:
        """The shard without its number and count, which are only for its name and not part of the cache key."""
        return self.model_copy(update={"number": 1, "of": 1})
