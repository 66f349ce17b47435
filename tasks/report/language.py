"""Texts, numbers and dates in the language of the reader (setting ``language``), and money with its currency.

The catalog ``templates/messages.es.yaml`` maps every English text to its Spanish text. The English text is the key, so
that the code can be read without the catalog. ``tests/report/test_language.py`` compares the catalog with the texts in
the code and in the template.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from schemas.settings import Settings

Code = Literal["en", "es"]
CATALOG = Path(__file__).parent / "templates" / "messages.es.yaml"
UNKNOWN = "–"
_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
}
# Suffixes of large numbers on an axis. Spanish has no short form of 10^9; "mil M" is a thousand millions.
_SUFFIXES = {
    "en": ((1e9, "bn"), (1e6, "M"), (1e3, "k")),
    "es": ((1e9, " mil M"), (1e6, " M"), (1e3, " mil")),
}
_SPANISH_MARKS = str.maketrans(",.", ".,")
_TEN, _HUNDRED = 10, 100


def message(text: str) -> str:
    """Mark a text of the catalog that is translated where it is used; returns it unchanged."""
    return text


@cache
def spanish() -> dict[str, str]:
    """Return the catalog: English text to Spanish text."""
    import yaml

    catalog: dict[str, str] = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    return catalog


@dataclass(frozen=True)
class Language:
    """The language and the currency of the texts for planners.

    Attributes:
        code: ``en`` or ``es``.
        currency: name of the currency; empty = amounts are shown without a currency.
    """

    code: Code = "en"
    currency: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Language:
        """Return the language and currency of the settings."""
        return cls(settings.language, settings.currency or "")

    def __call__(self, text: str, /, **values: object) -> str:
        """Translate a text of the catalog and fill in its placeholders.

        >>> Language("es")("Store"), Language("es")("{count} stores", count=3)
        ('Tienda', '3 tiendas')
        """
        found = self.known(text)
        return found.format(**values) if values else found

    def known(self, text: str) -> str:
        """Translate a text of the data, such as the name of a constraint; return it unchanged if it is unknown."""
        return spanish().get(text, text) if self.code == "es" else text

    def counted(self, count: int, one: str, many: str, /, **values: object) -> str:
        """Return the singular text for a count of 1, otherwise the plural text; both may use ``{count}``.

        >>> Language().counted(1, "{count} store", "{count} stores")
        '1 store'
        """
        return self(one if count == 1 else many, count=self.number(count), **values)

    def first(self, shown: int, count: int, where: str) -> str:
        """Return the note of a table that shows the first rows only; empty if it shows all."""
        if count <= shown:
            return ""
        return self(
            "The first {shown} of {count} rows. All rows: {where}",
            shown=self.number(shown),
            count=self.number(count),
            where=where,
        )

    def headers(self, *texts: str) -> tuple[str, ...]:
        """Translate the headers of a table; the prefix ``#`` of a numeric column is kept.

        >>> Language("es").headers("Store", "#Units")
        ('Tienda', '#Unidades')
        """
        return tuple(f"#{self.known(text[1:])}" if text.startswith("#") else self.known(text) for text in texts)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Format a number with thousands separators; a dash for an unknown number.

        >>> Language().number(1234567.8), Language().number(0.456, 2), Language().number(float("nan"))
        ('1,234,568', '0.46', '–')
        >>> Language("es").number(1234.5, 1)
        '1.234,5'
        """
        if value is None or not math.isfinite(value):
            return UNKNOWN
        text = f"{value:,.{digits}f}"
        return self._marks(text.lstrip("-") if not text.strip("-0.,") else text)

    def expected(self, value: float | None) -> str:
        """Format expected units, periods or weeks: one decimal. Counted units are whole (:meth:`number`)."""
        return self.number(value, 1)

    def quantity(self, value: float | None) -> str:
        """Format a number of unknown unit, with decimals that depend on its size: 0.46, 12.3, 456."""
        if value is None or not math.isfinite(value):
            return UNKNOWN
        size = abs(value)
        return self.number(value, 0 if size >= _HUNDRED or value == round(value) else 1 if size >= _TEN else 2)

    def signed(self, value: float | None) -> str:
        """Format a change: with a plus sign above 0."""
        plus = "+" if value is not None and math.isfinite(value) and round(value) > 0 else ""
        return f"{plus}{self.number(value)}"

    def percent(self, value: float | None, digits: int = 1, signed: bool = False) -> str:
        """Format a fraction as a percentage.

        >>> Language().percent(0.0914), Language().percent(-0.02, signed=True), Language("es").percent(0.5)
        ('9.1 %', '-2.0 %', '50,0 %')
        """
        if value is None or not math.isfinite(value):
            return UNKNOWN
        text = self.number(value * 100, digits)
        return f"{'+' if signed and value > 0 else ''}{text} %"

    def money(self, value: float | None, signed: bool = False) -> str:
        """Format an amount of money in whole units of the currency.

        >>> Language(currency="CLP").money(1234567.4), Language().money(12.7)
        ('1,234,567 CLP', '13')
        """
        text = self.signed(value) if signed else self.number(value)
        return f"{text} {self.currency}" if self.currency and text != UNKNOWN else text

    def compact(self, value: float) -> str:
        """Format a number for an axis.

        >>> [Language().compact(value) for value in (0, 1500, 2_000_000, 0.5)], Language("es").compact(1500)
        (['0', '1.5k', '2M', '0.5'], '1,5 mil')
        """
        for size, suffix in _SUFFIXES[self.code]:
            if abs(value) >= size:
                return f"{self._marks(f'{value / size:.3g}')}{suffix}"
        return self._marks(f"{value:.3g}")

    def day(self, value: date | np.datetime64) -> str:
        """Format a date, for example 2 Jan 2025."""
        moment = value if isinstance(value, date) else value.astype("datetime64[s]").astype(datetime)
        return f"{moment.day} {self.month(moment.month)} {moment.year}"

    def month(self, number: int) -> str:
        """Return the short name of a month, 1 to 12."""
        return _MONTHS[self.code][number - 1]

    def cell(self, value: object) -> str:
        """Format any value as a table cell: numbers by :meth:`quantity`, None as a dash, other values as text."""
        if isinstance(value, bool | np.bool_):
            return self("yes") if value else self("no")
        if isinstance(value, int | float | np.integer | np.floating):
            return self.quantity(float(value))
        if value is None:
            return UNKNOWN
        return self.known(str(value))

    def _marks(self, text: str) -> str:
        return text.translate(_SPANISH_MARKS) if self.code == "es" else text


ENGLISH = Language()
