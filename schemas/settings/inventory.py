"""Settings of the inventory optimization: `inventory`."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.settings.strict import IN_ITS_SECTION, Strict, first_page


class EoqSettings(Strict):
    """Policies `eoq` and `eoq_published`: economic order quantity with a reorder point."""

    renamed: ClassVar[dict[str, str]] = {"max_cover": "max_coverage"}

    lead_time: int = Field(
        default=3,
        ge=0,
        description="Lead time in periods in the reorder point formula only; it does not delay deliveries",
        json_schema_extra=IN_ITS_SECTION,
    )
    max_coverage: int = Field(default=30, ge=1, description="Longest order cycle that is compared, in periods")


class GeneticSettings(Strict):
    """Policies `genetic` and `genetic_static`: genetic algorithm."""

    population: int = Field(default=100, ge=2, le=100_000, description="Plans per generation")
    generations: int = Field(default=50, ge=0, le=100_000, description="Maximum number of generations")
    mutation: float = Field(default=0.2, ge=0, le=1, description="Fraction of the offspring that mutates")
    elitism: float = Field(
        default=0.1, ge=0, lt=1, description="Fraction of the population that is kept unchanged in the next generation"
    )
    crossover: Literal["halves", "two_point"] = Field(
        default="two_point",
        description="`halves`: offspring take one half of each parent. `two_point`: they swap a range of days",
    )
    repair: bool = Field(
        default=True,
        description="If true, add the missing weekly delivery to an invalid offspring; if false, discard it",
    )
    patience: int = Field(
        default=10, ge=1, description="A store stops after this many generations without an improvement"
    )


class LifecycleSettings(Strict):
    """The stores that get SKUs of a lifecycle state (``products.collection_status``)."""

    clearance: list[str] = Field(
        default=["Liquidación"],
        description="States that are not sent to stores of the types in `clearance_excluded_types`",
        examples=[["Sale"]],
        json_schema_extra=first_page("list of states", "These SKUs get target 0 in stores of type A"),
    )
    outlet_only: list[str] = Field(
        default=["No Colección", "Saldo"],
        description="States that are sent to outlets only",
        examples=[["Old season"]],
        json_schema_extra=first_page("list of states", "These SKUs get target 0 in stores that are not outlets"),
    )
    outlet_types: list[str] = Field(
        default=["D"],
        description="Values of `stores.store_type` that are outlets",
        examples=[["Outlet"]],
        json_schema_extra=first_page(
            "list of store types", "Stores of these types receive the states of `outlet_only`"
        ),
    )
    clearance_excluded_types: list[str] = Field(
        default=["A"], description="Values of `stores.store_type` that receive no `clearance` states"
    )
    type_is_last_word: bool = Field(
        default=True, description="Compare the last word of `stores.store_type` only, so that `TIENDAS A` is type `A`"
    )


class SizeRunSettings(Strict):
    """Complete size runs on display."""

    keep: bool = Field(
        default=True,
        description="Display a style with all of its core sizes, or not at all",
        examples=[False],
        json_schema_extra=first_page("true or false", "With false, single sizes of a style may be sent"),
    )
    core_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The core sizes are the best-selling sizes that together have this fraction of the sales",
    )


class BlackoutSettings(Strict):
    """Days without deliveries, in addition to the days that the calendar marks (column ``frozen``)."""

    dates: list[date] = Field(
        default=[],
        description="Days without any delivery in the whole network",
        examples=[["2024-12-24", "2024-12-31"]],
        json_schema_extra=first_page("list of dates", "Deliveries of these days move to other days"),
    )
    closed_days: bool = Field(
        default=False,
        description="No delivery on days on which the store is closed (calendar.open = 0)",
        examples=[True],
        json_schema_extra=first_page("true or false", "With true, closed stores receive nothing"),
    )


class CalibrationSettings(Strict):
    """Calibration of the overstock cost by replaying past weeks with the actual demand."""

    enabled: bool = Field(
        default=True,
        description="Calibrate if there is a holding cost; otherwise the service level sets the stock",
    )
    runs: int = Field(
        default=52,
        ge=1,
        description="Maximum number of past weekly runs to replay: the latest ones in the second half of the history",
    )


class InventorySettings(Strict):
    """Inventory optimization."""

    renamed: ClassVar[dict[str, str]] = {"frozen": "blackout"}

    policies: list[str] = Field(
        default=["eoq", "newsvendor", "marginal_value", "genetic"],
        min_length=1,
        description="Policies that the cost table compares; the valid plan with the lowest cost is published",
        json_schema_extra=IN_ITS_SECTION,
    )
    lead_time: int = Field(
        default=0,
        ge=0,
        description="Whole periods from order to shelf; 0: an order at the end of a period arrives at the next start",
        examples=[2],
        json_schema_extra=first_page("periods", "A longer lead time raises the targets"),
    )
    review_period: int = Field(
        default=7,
        ge=1,
        description="Periods between two weekly runs",
        examples=[14],
        json_schema_extra=first_page("periods", "A target covers the demand until the delivery after the next run"),
    )
    eoq: EoqSettings = EoqSettings()
    genetic: GeneticSettings = GeneticSettings()
    holding_cost: float = Field(
        default=0.0,
        ge=0,
        description="Cost per unit that is left at the end of a period",
        examples=[0.02],
        json_schema_extra=first_page(
            "currency per unit and period", "A higher cost lowers the targets of slow sellers"
        ),
    )
    holding_cost_per_year: float | None = Field(
        default=None,
        gt=0,
        description="Instead of `holding_cost`: cost of holding a unit for a year, as a share of its price",
        examples=[0.25],
        json_schema_extra=first_page(
            "fraction of the price per year", "A higher share lowers the targets of slow and expensive sellers"
        ),
    )
    shortage_cost: Literal["price"] | float = Field(
        default="price",
        description="Cost of a lost unit: `price` (the unit's price) or a number",
        examples=[5.0],
        json_schema_extra=first_page("currency per unit, or `price`", "A higher cost raises the targets"),
    )
    capacity: Literal["hard", "soft"] = Field(
        default="hard",
        description="`hard`: where demand is known, a plan above a store's capacity is invalid. `soft`: it costs "
        "`over_capacity_penalty`",
        examples=["soft"],
        json_schema_extra=first_page("`hard` or `soft`", "With soft, a plan may exceed a storage capacity at a cost"),
    )
    over_capacity_penalty: float = Field(
        default=1_000_000.0,
        ge=0,
        description="Cost per store and period above the storage capacity",
        json_schema_extra=IN_ITS_SECTION,
    )
    service_level: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="Cycle service level: probability of no stock-out between two deliveries",
        examples=[0.9],
        json_schema_extra=first_page("fraction", "A higher level raises the targets if no holding cost is set"),
    )
    max_visits_per_period: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of deliveries per period in the whole network; absent: no limit",
        examples=[12],
        json_schema_extra=first_page("deliveries per period", "A limit spreads the deliveries over the week"),
    )
    sample_paths: int = Field(
        default=50,
        ge=2,
        le=100_000,
        description="Sample paths of demand to plan with; the same number of other paths evaluates the plan",
    )
    lifecycle: LifecycleSettings = LifecycleSettings()
    size_runs: SizeRunSettings = SizeRunSettings()
    blackout: BlackoutSettings = BlackoutSettings()
    calibration: CalibrationSettings = CalibrationSettings()

    @field_validator("shortage_cost")
    @classmethod
    def _not_negative(cls, value: str | float) -> str | float:
        if isinstance(value, (int, float)) and value < 0:
            raise ValueError("must be at least 0")
        return value

    @model_validator(mode="after")
    def _one_holding_cost(self) -> Self:
        if self.holding_cost > 0 and self.holding_cost_per_year is not None:
            raise ValueError(
                f"holding_cost is {self.holding_cost:g} and holding_cost_per_year is {self.holding_cost_per_year:g}; "
                "set only one of them"
            )
        return self

    @property
    def has_holding_cost(self) -> bool:
        """True if holding a unit costs something."""
        return self.holding_cost > 0 or self.holding_cost_per_year is not None
