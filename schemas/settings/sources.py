"""Settings of the input files: `sources`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveFloat, field_validator, model_validator

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
    thousands: Literal[".", ",", " ", "'", "none"] | None = Field(
        default=None,
        description="Thousands mark of numbers in text files; absent: `.` if `decimal` is `,`, and Restock stops if "
        "a point or comma may be either; none: no mark",
        examples=[","],
        json_schema_extra=IN_ITS_SECTION,
    )
    date_format: str | None = Field(
        default=None,
        description="Date format in the notation of strptime; absent: ISO 8601 (2024-12-31)",
        examples=["%d/%m/%Y"],
        json_schema_extra=first_page("format", "Dates in another format are rejected rows"),
    )
    timezone: str | None = Field(
        default=None,
        description="Time zone of the stores; time stamps with another offset become days of this zone; absent: the "
        "date as written",
        examples=["America/Santiago"],
        json_schema_extra=IN_ITS_SECTION,
    )
    timestamp_zone: str | None = Field(
        default=None,
        description="Time zone in which time stamps without an offset are written; absent: `timezone`",
        examples=["UTC"],
        json_schema_extra=IN_ITS_SECTION,
    )
    ignore: dict[str, list[str]] = Field(
        default={},
        description="Maps a column (of Restock or of the file) to values; rows with one of them are left out. `*` "
        "matches any text",
        examples=[{"store_id": ["CD01"], "doc_type": ["NC", "ANU"]}],
        json_schema_extra=first_page("mapping", "Ignored rows are counted separately from rejected rows"),
    )
    only: dict[str, list[str]] = Field(
        default={},
        description="Maps a column (of Restock or of the file) to values; rows without one of them are left out. `*` "
        "matches any text",
        examples=[{"warehouse": ["CD01"]}],
        json_schema_extra=IN_ITS_SECTION,
    )
    conversion: dict[str, PositiveFloat] = Field(
        default={},
        description="Maps a value of the column `unit` to the number of pieces that it contains; quantities are "
        "multiplied by it",
        examples=[{"PR": 1, "BX12": 12}],
        json_schema_extra=IN_ITS_SECTION,
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
        json_schema_extra=IN_ITS_SECTION,
    )

    @field_validator("timezone", "timestamp_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                "unknown time zone; use a name of the IANA time zone database, for example America/Santiago or UTC"
            ) from None
        return value

    @field_validator("date_format")
    @classmethod
    def _gives_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            _check_date_format(value)
        return value

    @field_validator("ignore", "only", mode="before")
    @classmethod
    def _values_as_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            column: [_as_text(item) for item in (items if isinstance(items, list) else [items])]
            for column, items in value.items()
        }

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both '{self.decimal}'; they must differ")
        return self


def _as_text(item: Any) -> Any:
    """Return an integer of the settings file as text; other values stay for the type check."""
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else item


def _check_date_format(form: str) -> None:
    example = datetime(2003, 11, 25)
    unsupported = [directive for directive in ("%z", "%Z", "%s", "%+", "%c", "%x", "%X") if directive in form]
    if unsupported:
        raise ValueError(
            f"{unsupported[0]} is not supported in a date format. ISO time stamps with an offset need no date_format; "
            "see `timezone`"
        )
    # A month (%Y%m) is dated by its first day, an ISO week (%G%V) by its Monday.
    week = "%V" in form and "%u" not in form
    expected = {example.date(), example.date().replace(day=1)}
    try:
        found = datetime.strptime(example.strftime(form) + (" 1" if week else ""), form + (" %u" if week else ""))
    except (ValueError, UnicodeError):
        found = None
    if week:
        expected = {date.fromisocalendar(2003, 48, 1)}
    elif "%d" in form or "%j" in form:
        expected = {example.date()}
    if found is None or found.date() not in expected or "%" not in form:
        raise ValueError(
            "not a date format; expected year, month and day (or year and month, or %G%V for ISO weeks) in the "
            "notation of strptime, for example %d/%m/%Y for 31/12/2024"
        )


class Sources(Strict):
    """The input tables. sales, products and stores are required."""

    sales: SourceSettings
    products: SourceSettings
    stores: SourceSettings
    stock: SourceSettings | None = None
    dc_stock: SourceSettings | None = None
    dc_inbound: SourceSettings | None = None
    calendar: SourceSettings | None = None
    availability: SourceSettings | None = None
    promotions: SourceSettings | None = None
    bundles: SourceSettings | None = None
    events: SourceSettings | None = None
    overrides: SourceSettings | None = None

    def named(self) -> dict[str, SourceSettings]:
        """The tables that are given, by name, in a fixed order."""
        return {name: source for name in type(self).model_fields if (source := getattr(self, name)) is not None}
