"""Other settings, or another version of the code, in shadow next to the current ones: `challenger`."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from schemas.settings.strict import IN_ITS_SECTION, Strict

# Sections that a challenger may change: those of the models. Its forecasts must be compared on the same demand.
CHANGEABLE = ("models", "backtest", "selection", "reconciliation", "expert")


class ChallengerSettings(Strict):
    """Other settings that forecast every week. Their forecasts are only compared with the published ones."""

    name: str = Field(
        default="challenger",
        min_length=1,
        max_length=60,
        description="Name of the challenger; another name starts a new comparison",
        examples=["deeper trees"],
        json_schema_extra=IN_ITS_SECTION,
    )
    settings: dict[str, Any] = Field(
        default={},
        description="Settings that differ from this file, in its layout; `null` removes a model; empty: no challenger. "
        f"Sections: {', '.join(CHANGEABLE)}",
        examples=[{"models": {"theta": {}}}],
        json_schema_extra=IN_ITS_SECTION,
    )
    lake: str | None = Field(
        default=None,
        description="Instead of settings: the storage of another installation of Restock that runs on the same data, "
        "for example another version of its code. Its forecasts of a run date, published or previewed, are the "
        "challenger's",
        examples=["../restock-next/lake"],
        json_schema_extra=IN_ITS_SECTION,
    )
    error_rate: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        description="Probability of a wrong decision, in either direction, also if the comparison is read every week",
        json_schema_extra=IN_ITS_SECTION,
    )
    weeks: int = Field(
        default=8,
        ge=2,
        description="Fewest weeks before a decision",
        json_schema_extra=IN_ITS_SECTION,
    )

    @field_validator("settings")
    @classmethod
    def _changeable(cls, value: dict[str, Any]) -> dict[str, Any]:
        other = sorted(set(value) - set(CHANGEABLE))
        if other:
            raise ValueError(
                f"a challenger cannot change {', '.join(other)}; it can change {', '.join(CHANGEABLE)}. Everything "
                "else must be equal, so that the forecasts can be compared"
            )
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.settings and self.lake is not None:
            raise ValueError("a challenger has other settings or another lake, not both. Remove settings or lake")
        return self

    def changes(self) -> list[str]:
        """The settings as ``key.path=value`` texts, the form of ``--set``."""
        return change_texts(self.settings)


def change_texts(tree: dict[str, Any], path: str = "") -> list[str]:
    """Write a tree of settings as ``key.path=value`` texts with values in JSON.

    >>> change_texts({"models": {"arima": None, "xgboost": {"max_depth": 6}, "theta": {}}})
    ['models.arima=null', 'models.xgboost.max_depth=6', 'models.theta={}']
    """
    texts: list[str] = []
    for key, value in tree.items():
        place = f"{path}.{key}" if path else str(key)
        texts += change_texts(value, place) if isinstance(value, dict) and value else [f"{place}={json.dumps(value)}"]
    return texts
