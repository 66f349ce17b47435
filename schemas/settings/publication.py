"""Settings of the published file: `publication` and `output`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas import columns as c
from schemas.settings.strict import Strict


class PublicationSettings(Strict):
    """When a new file is held back."""

    max_change: float | None = Field(
        default=None, ge=0, description="Largest share of changed targets against the last file; null only warns"
    )
    approval_timeout_hours: float = Field(
        default=48, gt=0, description="How long a run waits for an approval, in hours; then the last file stands"
    )


class OutputSettings(Strict):
    """How the ERP reads the replenishment file."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    columns: dict[Literal["store_id", "sku", "target_quantity"], str] = Field(
        default={}, description="Our column name: the ERP's"
    )

    @property
    def header(self) -> dict[str, str]:
        """Our column name: the name written, in file order."""
        written: dict[str, str] = {str(name): text for name, text in self.columns.items()}
        return {name: written.get(name, name) for name in (c.STORE_ID, c.SKU, c.TARGET_QUANTITY)}
