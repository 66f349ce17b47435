"""The settings file as one typed model. Unknown keys are errors."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas import columns as c
from schemas.frequency import END, FREQUENCIES, Frequency
from schemas.settings.aws import AwsSettings
from schemas.settings.backtest import BacktestSettings, ReconciliationSettings, SelectionSettings
from schemas.settings.challenger import ChallengerSettings
from schemas.settings.compute import ComputeSettings
from schemas.settings.inventory import InventorySettings
from schemas.settings.layout import Tree, arrange, lift
from schemas.settings.models import DEFAULT_MODELS, ModelsSettings
from schemas.settings.output import OutputSettings
from schemas.settings.publication import PublicationSettings
from schemas.settings.quality import CleaningSettings, QualitySettings, SpecialPeriod
from schemas.settings.sources import Sources
from schemas.settings.strict import IN_ITS_SECTION, Strict, first_page

# Quantile levels closer to 0 or 1 cannot be estimated from a few years of history.
LOWEST_LEVEL = 0.001
LONGEST_NAME = 255
# Two years of days, five years of weeks, ten years of months.
LONGEST_HORIZON = {"D": 730, "W": 260, "MS": 120}


class Settings(Strict):
    """Everything a run depends on besides its inputs, ``as_of`` and the code."""

    name: str = Field(
        min_length=1,
        description="Name of the forecast; part of the names of runs and artifacts",
        examples=["shoes"],
        json_schema_extra=first_page("text", "A label; it does not change the plan"),
    )
    frequency: str = Field(
        default="D",
        description="Length of a period: `D` (days), `W-MON` to `W-SUN` (weeks, labeled by this weekday) or `MS` "
        "(months, labeled by the first day)",
        examples=["W-MON"],
        json_schema_extra=first_page("D, W-MON … W-SUN or MS", "All other settings count in these periods"),
    )
    aggregate: bool = Field(
        default=False,
        description="Sum daily sales to the periods of `frequency`",
        examples=[True],
        json_schema_extra=first_page(
            "true or false", "With false, a date that does not fit `frequency` is a rejected row"
        ),
    )
    period_label: Literal["start", "end"] | None = Field(
        default=None,
        description="Whether the date of a weekly or monthly sales row is the first (start) or the last day (end) of "
        "its period; absent: the first, unless the data show that it is the last",
        examples=["end"],
        json_schema_extra=IN_ITS_SECTION,
    )
    horizon: int = Field(
        default=28,
        ge=1,
        description="Periods to forecast; at least `inventory.lead_time` + `inventory.review_period`",
        examples=[35],
        json_schema_extra=first_page("periods", "A longer horizon plans further ahead and takes longer to compute"),
    )
    quantiles: list[float] = Field(
        default=[0.1, 0.25, 0.5, 0.75, 0.9],
        description="Quantile levels to forecast, in rising order; must contain 0.5",
        json_schema_extra=IN_ITS_SECTION,
    )
    country: str | None = Field(
        default=None,
        description="ISO 3166 code of the country whose public holidays are features; absent: no public holidays",
        examples=["CL"],
        json_schema_extra=first_page("country code", "Models learn the effect of public holidays"),
    )
    currency: str | None = Field(
        default=None,
        min_length=1,
        max_length=12,
        description="Name of the currency of prices and costs, shown in the report and in the files; absent: no name",
        examples=["CLP"],
        json_schema_extra=first_page("text", "A label; amounts are not converted"),
    )
    language: Literal["en", "es"] = Field(
        default="en",
        description="Language of the report and of the texts for planners; numbers and dates follow it",
        examples=["es"],
        json_schema_extra=first_page("en or es", "Column names and settings stay in English"),
    )
    app_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s<>\"']+$",
        max_length=300,
        description="Address of the planners' app (`restock app`); the report links to it; absent: no link",
        examples=["http://127.0.0.1:4202"],
        json_schema_extra=IN_ITS_SECTION,
    )
    storage: str = Field(
        default="./lake",
        description="Folder or `s3://bucket/prefix` for everything that Restock writes",
        examples=["s3://bucket/restock"],
        json_schema_extra=first_page("path", "A new folder has no earlier runs to compare with or to reuse"),
    )
    seed: int = Field(
        default=7,
        ge=0,
        lt=2**31,
        description="Seed of all random numbers; the same inputs, settings and seed give the same files",
        json_schema_extra=IN_ITS_SECTION,
    )
    sources: Sources
    category: list[str] = Field(
        default=[c.SKU],
        min_length=1,
        description="Product columns that form the forecast category, joined by `_`; `[sku]` forecasts every SKU",
        examples=[["brand", "family"]],
        json_schema_extra=first_page(
            "list of columns", "Fewer columns give larger categories and more stable forecasts"
        ),
    )
    quality: QualitySettings = QualitySettings()
    cleaning: CleaningSettings = CleaningSettings()
    special_periods: dict[str, list[SpecialPeriod]] = Field(
        default={},
        description="Maps a name to date ranges with unusual demand; each name is a known future covariate",
        examples=[{"cyber_monday": [{"date_from": "2024-10-07", "date_to": "2024-10-09"}]}],
        json_schema_extra=first_page("mapping", "Models learn the effect from past ranges and apply it to future ones"),
    )
    models: ModelsSettings = Field(
        default=DEFAULT_MODELS,
        description="Models to fit; a model is fitted if its key is present; baselines are always fitted",
        examples=[{"tsb": {}, "xgboost": {}}],
        json_schema_extra=first_page(
            "mapping of models", "More models may be more accurate and take longer to compute"
        ),
    )
    backtest: BacktestSettings = BacktestSettings()
    selection: SelectionSettings = SelectionSettings()
    reconciliation: ReconciliationSettings = ReconciliationSettings()
    inventory: InventorySettings = InventorySettings()
    publication: PublicationSettings = PublicationSettings()
    output: OutputSettings = OutputSettings()
    challenger: ChallengerSettings = ChallengerSettings()
    compute: ComputeSettings = ComputeSettings()
    aws: AwsSettings = AwsSettings()

    @field_validator("frequency")
    @classmethod
    def _known_frequency(cls, value: str) -> str:
        if value not in FREQUENCIES:
            raise ValueError(f"unknown frequency; expected one of {', '.join(FREQUENCIES)}")
        return value

    @field_validator("quantiles")
    @classmethod
    def _quantiles_in_order(cls, value: list[float]) -> list[float]:
        if not value or any(not 0 < level < 1 for level in value):
            raise ValueError("quantile levels must be above 0 and below 1")
        if sorted(set(value)) != value:
            raise ValueError("quantile levels must be in rising order without repetition")
        if value[0] < LOWEST_LEVEL or value[-1] > 1 - LOWEST_LEVEL:
            raise ValueError(
                f"quantile levels must be between {LOWEST_LEVEL} and {1 - LOWEST_LEVEL}; no history is "
                "long enough for rarer events"
            )
        texts = [c.level_text(level) for level in value]
        unclear = next((text for text in texts if texts.count(text) > 1 or not 0 < float(text) < 1), None)
        if unclear is not None:
            raise ValueError(
                "quantile levels must differ from each other and from 0 and 1 in their first six digits because these "
                f"name the columns; one of them is {unclear}"
            )
        if 0.5 not in value:  # noqa: PLR2004
            raise ValueError("quantile levels must contain 0.5, the median; add it")
        return value

    @field_validator("name")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or len(value) > LONGEST_NAME:
            raise ValueError(f"expected printable text of at most {LONGEST_NAME} characters: names of runs contain it")
        return value

    @field_validator("storage")
    @classmethod
    def _usable_address(cls, value: str) -> str:
        if any(ord(character) < ord(" ") for character in value) or not value.strip():
            raise ValueError("not a folder or s3://bucket/prefix; it is empty or has control characters")
        if any(len(part.encode()) > LONGEST_NAME for part in value.split("/")):
            raise ValueError(f"a folder's name is longer than {LONGEST_NAME} bytes, which file systems do not allow")
        return value

    @field_validator("category")
    @classmethod
    def _distinct_columns(cls, value: list[str]) -> list[str]:
        if any(not name.strip() for name in value) or len(set(value)) < len(value):
            raise ValueError("every product column must have a name and occur once")
        return value

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if value is None:
            return None
        import holidays

        value = value.upper()
        if value not in holidays.list_supported_countries():
            raise ValueError(
                "unknown country code; use an ISO 3166 code supported by the holiday calendar, for example CL, DE or US"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _lift_and_fill(cls, data: Any) -> Any:
        """Lift expert settings; some defaults depend on the frequency."""
        if not isinstance(data, dict):
            return data
        lifted = lift(cls, data)
        if lifted.unknown or lifted.misplaced:
            raise ValueError(f"not expert settings: {', '.join([*lifted.unknown, *lifted.misplaced])}")
        data = lifted.tree
        if data.get("frequency", "D") not in FREQUENCIES:
            return data
        frequency = Frequency(data.get("frequency", "D"))
        filled = {"horizon": frequency.default_horizon, **data}
        for group, key, value in (
            ("inventory", "review_period", frequency.periods_per_week),
            ("backtest", "step", frequency.periods_per_week),
            ("quality", "max_age_days", frequency.default_max_age_days),
        ):
            given = filled.get(group)
            if given is None or isinstance(given, dict):
                filled[group] = {key: value, **(given or {})}
        backtest = data.get("backtest")
        if isinstance(backtest, dict) and backtest.keys() & {"windows", "step"}:
            filled["backtest"].setdefault("extra_folds", 0)
        return filled

    @model_validator(mode="after")
    def _horizon_is_affordable(self) -> Self:
        most = LONGEST_HORIZON[self.period.kind]
        if self.horizon > most:
            raise ValueError(
                f"horizon is {self.horizon:,} periods of frequency {self.frequency}; at most {most:,} are possible. "
                "Every model forecasts every series for the whole horizon, and the plan covers it: time and memory "
                "grow with it. Set a shorter horizon, or a longer period (frequency W-MON or MS with aggregate: true)"
            )
        return self

    @model_validator(mode="after")
    def _horizon_covers_the_order(self) -> Self:
        needed = self.inventory.lead_time + self.inventory.review_period
        if self.horizon < needed:
            raise ValueError(
                f"horizon is {self.horizon}, but inventory.lead_time + inventory.review_period = {needed}. The "
                f"forecast must reach to the next run's delivery; set horizon to at least {needed}"
            )
        return self

    @model_validator(mode="after")
    def _costs_can_rank(self) -> Self:
        if self.selection.loss != c.INVENTORY_COST:
            return self
        yearly = self.inventory.holding_cost_per_year or 0.0
        given = {"holding_cost": self.inventory.holding_cost + yearly, "shortage_cost": self.inventory.shortage_cost}
        for name, effect in (("holding_cost", "unsold units"), ("shortage_cost", "lost units")):
            if given[name] == 0:
                raise ValueError(
                    f"expert.selection.loss is {c.INVENTORY_COST}, but inventory.{name} is 0. If {effect} cost "
                    "nothing, the most biased forecast ranks first. Set "
                    f"inventory.{name} above 0, or expert.selection.loss to wape_wql"
                )
        return self

    @model_validator(mode="after")
    def _sagemaker_has_what_it_needs(self) -> Self:
        deepar = self.models.deepar
        if deepar is None or deepar.backend == "local":
            return self
        if not self.storage.startswith("s3://"):
            raise ValueError(
                f"models.deepar.backend is sagemaker, but storage is '{self.storage}'. SageMaker jobs need a bucket; "
                "set storage to s3://bucket/prefix, or models.deepar.backend to local"
            )
        if not deepar.sagemaker.role:
            raise ValueError(
                "models.deepar.backend is sagemaker, but models.deepar.sagemaker.role is absent; set it to the ARN of "
                "the jobs' execution role, for example arn:aws:iam::123456789012:role/restock-sagemaker"
            )
        return self

    @model_validator(mode="after")
    def _one_aws_account(self) -> Self:
        blocks = {self.aws.credentials_block, self._sagemaker_block} - {None}
        if len(blocks) > 1:
            raise ValueError(
                f"aws.credentials_block is {self.aws.credentials_block}, but models.deepar.sagemaker.credentials_block "
                f"is {self._sagemaker_block}: data and jobs would be in two accounts. Remove the second one"
            )
        return self

    @property
    def _sagemaker_block(self) -> str | None:
        return self.models.deepar.sagemaker.credentials_block if self.models.deepar else None

    @property
    def credentials_block(self) -> str | None:
        """The block with the credentials of all AWS calls; None = the environment's."""
        return self.aws.credentials_block or self._sagemaker_block

    @property
    def period(self) -> Frequency:
        """The frequency as an object."""
        return Frequency(self.frequency, ends=self.period_label == END)

    def file_layout(self) -> Tree:
        """The effective settings as a settings file has them: expert settings below ``expert``, only fitted models."""
        tree = self.model_dump(mode="json")
        tree["models"] = {name: model for name, model in tree["models"].items() if model is not None}
        return arrange(type(self), tree).tree

    def digest(self) -> str:
        """SHA-256 of the effective settings, in a canonical form; without ``compute``, which changes no result."""
        return digest_of(self.model_dump(mode="json", exclude={"compute"}))


def digest_of(value: object) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
