"""Settings of the input files: `sources`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.settings.strict import IN_ITS_SECTION, Strict, first_page


class SourceSettings(Strict):
    """The files of one input table and how they are written."""

    path: str = Field(
        description="Path, glob or s3:// URI of .csv, .csv.gz, .xlsx or .parquet files",
        examples=["data/sales_*.csv.gz"],
        json_schema_extra=first_page("path", "Restock reads all files that match"),
    )
    columns: dict[str, str] = Field(
        default={},
        description="Maps Restock column names to the column names of the file",
        examples=[{"store_id": "Shop", "units": "Qty"}],
        json_schema_extra=first_page("mapping", "Columns that are not listed keep their name"),
    )
    delimiter: str | None = Field(
        default=None,
        description="Delimiter of CSV files; absent: detected from the header",
        examples=[";"],
        json_schema_extra=first_page("character", "Set it if the header is read as one column"),
    )
    encoding: str = Field(
        default="utf-8",
        description="Text encoding of CSV files",
        examples=["cp1252"],
        json_schema_extra=first_page("name", "Set it if accented letters look wrong"),
    )
    decimal: Literal[".", ","] = Field(
        default=".",
        description="Decimal mark of numbers in text files",
        examples=[","],
        json_schema_extra=first_page("character", "With `,` the text 1,5 is one and a half"),
    )
    date_format: str | None = Field(
        default=None,
        description="Date format in the notation of strptime; absent: ISO 8601 (2024-12-31)",
        examples=["%d/%m/%Y"],
        json_schema_extra=first_page("format", "Dates in another format are rejected rows"),
    )
    sheet: str | None = Field(
        default=None,
        description="Sheet of an Excel file; absent: the first sheet that has the columns, else the first sheet",
        json_schema_extra=IN_ITS_SECTION,
    )
    header_row: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Row with the column names, counted from 1 as Excel does; absent: the first row with the "
        "required and mapped names",
        examples=[5],
        json_schema_extra=first_page("row", "Rows above it are title rows and are not read"),
    )


class Sources(Strict):
    """The input tables. sales, products and stores are required."""

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
