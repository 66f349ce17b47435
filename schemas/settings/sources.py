"""Settings of the input files: `sources`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.settings.strict import Strict


class SourceSettings(Strict):
    """Where one input table lies and how its file is written."""

    path: str = Field(description="Path, glob or s3:// URI of .csv, .csv.gz, .xlsx or .parquet files")
    columns: dict[str, str] = Field(default={}, description="Our column name: the file's name for it")
    delimiter: str | None = Field(default=None, description="CSV delimiter; found from the header when absent")
    encoding: str = Field(default="utf-8", description="CSV encoding")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of numbers written as text")
    date_format: str | None = Field(default=None, description="strptime format of dates; ISO 8601 when absent")
    sheet: str | None = Field(default=None, description="Excel sheet; the first when absent")


class Sources(Strict):
    """The input tables. Sales, products and stores are required."""

    sales: SourceSettings
    products: SourceSettings
    stores: SourceSettings
    stock: SourceSettings | None = None
    dc_stock: SourceSettings | None = None
    calendar: SourceSettings | None = None
    availability: SourceSettings | None = None
    promotions: SourceSettings | None = None
    overrides: SourceSettings | None = None

    def named(self) -> dict[str, SourceSettings]:
        """The tables that are given, by name, in a fixed order."""
        return {name: source for name in type(self).model_fields if (source := getattr(self, name)) is not None}
