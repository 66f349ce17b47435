"""Format of the CSV files: `output`."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.errors import first_few
from schemas.outputs import TARGETS, csv_columns
from schemas.settings.strict import IN_ITS_SECTION, Strict, first_page

_NO_DELIMITERS = ('"', "\n", "\r")


class OutputSettings(Strict):
    """Format of the CSV files of a run."""

    delimiter: str = Field(
        default=",",
        min_length=1,
        max_length=1,
        description="Delimiter of the CSV files",
        examples=[";"],
        json_schema_extra=first_page("character", "Must be what the ERP expects"),
    )
    encoding: str = Field(
        default="utf-8",
        description="Text encoding of the CSV files; `utf-8-sig` starts them with a byte order mark (BOM)",
        examples=["cp1252", "utf-8-sig"],
        json_schema_extra=first_page("name", "Excel reads accented letters correctly with `utf-8-sig`"),
    )
    decimal: Literal[".", ","] = Field(
        default=".",
        description="Decimal mark of numbers in the CSV files",
        examples=[","],
        json_schema_extra=first_page("character", "`,` needs another delimiter, for example `;`"),
    )
    columns: dict[str, str] = Field(
        default={},
        description="Maps Restock column names to the column names in the CSV files",
        examples=[{"store_id": "Shop", "target_quantity": "Min"}],
        json_schema_extra=first_page("mapping", "Columns that are not listed keep their name"),
    )
    extra_columns: list[Literal["to_send", "product_name", "size", "color"]] = Field(
        default=["to_send", "product_name", "size", "color"],
        description="Columns of replenishment.csv after the first three; one that the run does not have is left out",
        examples=[[]],
        json_schema_extra=IN_ITS_SECTION,
    )
    dc_name: str = Field(
        default="DC",
        min_length=1,
        description="Name of the distribution center in the column `from` of transfers.csv",
        examples=["BOD01"],
        json_schema_extra=IN_ITS_SECTION,
    )

    @property
    def header(self) -> dict[str, str]:
        """Map the first three columns of replenishment.csv from their Restock names to the names in the file."""
        return {name: self.columns.get(name, name) for name in TARGETS.columns}

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
            "1".encode(value)
        except (LookupError, UnicodeError):
            raise ValueError("unknown text encoding; use for example utf-8, utf-8-sig, latin-1 or cp1252") from None
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_separates(cls, value: str) -> str:
        if value in _NO_DELIMITERS:
            raise ValueError("this character cannot separate fields; use for example , or ;")
        return value

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, str]) -> dict[str, str]:
        known = {name for columns in csv_columns().values() for name in columns}
        unknown = [name for name in value if name not in known]
        if unknown:
            raise ValueError(f"no CSV file has the columns {first_few(unknown)}; expected {', '.join(sorted(known))}")
        return value

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.delimiter == self.decimal:
            raise ValueError(
                f"delimiter and decimal are both {self.delimiter}; they must be different. Set for example "
                "delimiter: ';'"
            )
        for file, columns in csv_columns(self.extra_columns).items():
            names = [self.columns.get(name, name) for name in columns]
            repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if repeated:
                raise ValueError(f"columns: two columns of {file} would be called {first_few(repeated)}")
        text = "".join([self.delimiter, *self.columns.values()])
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError as error:
            found = error.object[error.start : error.end]
            raise ValueError(
                f"the column names or the delimiter cannot be written in {self.encoding} ('{found}'); change columns, "
                "or set encoding to utf-8"
            ) from None
        return self
