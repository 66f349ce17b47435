"""Settings of the inventory optimization: `inventory`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, field_validator

from schemas.settings.strict import Strict

PolicyName = Literal[
    "eoq",
    "eoq_published",
    "periodic_review",
    "s_S",
    "newsvendor",
    "marginal_value",
    "genetic",
    "genetic_static",
]


class EoqSettings(Strict):
    """EOQ / reorder point (domain, section 4.2)."""

    lead_time: int = Field(default=3, ge=0, description="Source B's LD in periods: a reorder parameter, not a delay")
    max_cover: int = Field(default=30, ge=1, description="Longest order horizon h that is searched, in periods")


class GeneticSettings(Strict):
    """Genetic algorithm (domain, section 4.3)."""

    population: int = Field(default=100, ge=2)
    generations: int = Field(default=50, ge=0)
    mutation: float = Field(default=0.2, ge=0, le=1, description="Share of children that mutate, as a fraction")
    elitism: float = Field(default=0.1, ge=0, lt=1, description="Share of the population kept unchanged")
    crossover: Literal["halves", "two_point"] = Field(
        default="two_point", description="Children swap the halves of their parents (source B) or a span of days"
    )
    repair: bool = Field(default=True, description="Give a child that misses a week a visit in it; else it is dropped")
    patience: int = Field(default=10, ge=1, description="Generations without a better plan after which a store stops")


class LifecycleSettings(Strict):
    """Which lifecycle states (``products.collection_status``) may go where."""

    clearance: list[str] = Field(default=["Liquidación"], description="Not sent to stores of type A")
    outlet_only: list[str] = Field(default=["No Colección", "Saldo"], description="Sent to outlets only")
    outlet_types: list[str] = Field(default=["D"], description="Values of stores.store_type that are outlets")


class SizeRunSettings(Strict):
    """No broken size runs where an article is on show."""

    keep: bool = Field(default=True, description="Show an article with all its core sizes, or leave it out")
    core_share: float = Field(
        default=0.5, gt=0, le=1, description="Core sizes are the best ones that make up this share of a size curve"
    )


class FrozenSettings(Strict):
    """Days on which no visit may arrive, beside those that the calendar's column ``frozen`` marks."""

    dates: list[date] = Field(default=[], description="Days (period labels) without any visit in the whole network")
    closed_days: bool = Field(default=False, description="No visit on days with calendar.open = 0 either")


class CalibrationSettings(Strict):
    """Policy parameters chosen by replaying past weeks with the real demand and the costs of this block."""

    enabled: bool = Field(
        default=True, description="Calibrate wherever holding_cost is above 0; without it the service level holds"
    )
    runs: int = Field(
        default=52, ge=1, description="Past weekly runs that are replayed at most, the latest ones of half the history"
    )


class InventorySettings(Strict):
    """Inventory optimisation (contract, sections 2 and 5)."""

    policies: list[PolicyName] = Field(default=["eoq", "genetic"], min_length=1)
    lead_time: int = Field(default=0, ge=0, description="Whole periods from order to shelf")
    review_period: int = Field(default=7, ge=1, description="Periods between weekly runs")
    eoq: EoqSettings = EoqSettings()
    genetic: GeneticSettings = GeneticSettings()
    holding_cost: float = Field(default=0.0, ge=0, description="Per unit left at the end of a period")
    shortage_cost: Literal["price"] | float = Field(default="price", description='"price" or a number per lost unit')
    capacity: Literal["hard", "soft"] = "hard"
    over_capacity_penalty: float = Field(default=1_000_000.0, ge=0, description="Per store and period over capacity")
    service_level: float = Field(default=0.95, gt=0, lt=1)
    max_visits_per_period: int | None = Field(default=None, ge=1, description="Over the whole network")
    sample_paths: int = Field(default=50, ge=2, description="Demand paths a plan is made from, and as many to judge it")
    lifecycle: LifecycleSettings = LifecycleSettings()
    size_runs: SizeRunSettings = SizeRunSettings()
    frozen: FrozenSettings = FrozenSettings()
    calibration: CalibrationSettings = CalibrationSettings()

    @field_validator("shortage_cost")
    @classmethod
    def _not_negative(cls, value: str | float) -> str | float:
        if isinstance(value, (int, float)) and value < 0:
            raise ValueError("must be at least 0")
        return value
