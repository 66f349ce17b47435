"""The source of the planners' overrides: a CSV file that the app reads and changes row by row.

Rows that nobody changes keep their text. A change is applied to the file as it is now: if somebody else changed or
removed the same row in the meantime, nothing is written.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.settings import Settings, SourceSettings
from schemas.spreadsheets import neutralized, restored
from schemas.tables import OVERRIDES
from tasks.report.language import message
from tasks.storage.csv_files import csv_start

# The fields of an override in the order of the page.
FIELDS = (c.STORE_ID, c.SKU, c.CATEGORY, c.DATE_FROM, c.DATE_TO, c.ACTION, c.VALUE, c.REASON, c.AUTHOR)
_DATES = (c.DATE_FROM, c.DATE_TO)
_FREE_TEXTS = (c.REASON, c.AUTHOR)
NO_SOURCE = message(
    "The settings have no source of overrides. Add it to the settings file, and start the weekly run again:\n"
    "  sources:\n    overrides: {path: data/overrides.csv}\nThe app creates the file with the first override."
)
_LOCK = threading.Lock()

Row = dict[str, str]


@dataclass(frozen=True)
class Edit:
    """A change of one row: ``before`` is the row as the planner saw it, ``after`` as it should be.

    A new row has no ``before``, a removed one no ``after``.
    """

    before: Row | None
    after: Row | None


@dataclass(frozen=True)
class OverrideFile:
    """A CSV file of overrides.

    Attributes:
        path: the file; it may not exist yet.
        source: how it is written.
    """

    path: Path
    source: SourceSettings

    @classmethod
    def of(cls, settings: Settings) -> OverrideFile:
        """Return the file of the settings.

        Raises:
            ConfigError: the settings have no source of overrides, or the app cannot change it.
        """
        source = settings.sources.named().get(OVERRIDES.name)
        if source is None:
            raise ConfigError(NO_SOURCE)
        path = source.path
        if "://" in path or any(sign in path for sign in "*?[") or not path.casefold().endswith(".csv"):
            raise ConfigError(
                f"sources.overrides.path: the app can change a single .csv file on this machine; found {path}. Edit "
                "the file where it is, or save it as CSV and set its path."
            )
        return cls(Path(path), source)

    def rows(self) -> list[Row]:
        """Return the rows with their dates in ISO form and their values with a decimal point.

        Text that is neither stays as it is, so that the page can show what is wrong.
        """
        table = self._read()
        return [{name: self._shown(name, table.cell(row, name)) for name in FIELDS} for row in table.rows]

    def apply(self, edits: Sequence[Edit]) -> None:
        """Change the file.

        Args:
            edits: rows as shown by :meth:`rows`.

        Raises:
            ConfigError: somebody else changed one of these rows, or the file cannot be written. Nothing was written.
        """
        with _LOCK:
            table = self._read()
            shown = [{name: self._shown(name, table.cell(row, name)) for name in FIELDS} for row in table.rows]
            removed: set[int] = set()
            added: list[Row] = []
            for edit in edits:
                at = self._find(edit, shown, removed)
                if edit.after is None:
                    removed.add(at)
                elif edit.before is None:
                    added.append(edit.after)
                else:
                    table.change(at, {name: self._written(name, edit.after.get(name, "")) for name in FIELDS})
                    shown[at] = dict(edit.after)
            rows = [row for number, row in enumerate(table.rows) if number not in removed]
            for row in added:
                rows.append(table.new({name: self._written(name, row.get(name, "")) for name in FIELDS}))
            self._write(table, rows)

    def name(self, field: str) -> str:
        """Return the file's name of a column."""
        return self.source.columns.get(field, field)

    def as_written(self, row: Mapping[str, str]) -> Row:
        """Return a row with the file's names and formats."""
        return {self.name(field): self._written(field, row.get(field, "")) for field in FIELDS}

    def _find(self, edit: Edit, shown: Sequence[Row], removed: set[int]) -> int:
        """Position of the row that an edit is about; -1 for a new row."""
        if edit.before is None:
            return -1
        for number, row in enumerate(shown):
            if number not in removed and all(row[name] == edit.before.get(name, "") for name in FIELDS):
                return number
        wanted = ", ".join(edit.before[name] for name in FIELDS if edit.before.get(name))
        raise ConfigError(
            f"Somebody else changed or removed this override while you edited it: {wanted}. Nothing was saved. Load "
            "the page again, and repeat your change."
        )

    def _shown(self, field: str, text: str) -> str:
        text = restored(text.strip())
        if field in _DATES and self.source.date_format:
            try:
                return datetime.strptime(text, self.source.date_format).date().isoformat()
            except ValueError:
                return text
        if field == c.VALUE and self.source.decimal == ",":
            return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
        return text

    def _written(self, field: str, text: str) -> str:
        text = " ".join(str(text).split())
        if field in _DATES and self.source.date_format:
            try:
                return datetime.fromisoformat(text).strftime(self.source.date_format)
            except ValueError:
                return text
        if field == c.VALUE and self.source.decimal == ",":
            return text.replace(".", ",")
        # Planners open the file in a spreadsheet.
        return neutralized(text) if field in _FREE_TEXTS else text

    def _read(self) -> _Table:
        names = [self.name(field) for field in FIELDS]
        if not self.path.exists():
            delimiter = self.source.delimiter or (";" if self.source.decimal == "," else ",")
            return _Table([], names, [], dict(zip(FIELDS, range(len(FIELDS)), strict=True)), delimiter,
                          self.source.encoding, "\n")  # fmt: skip
        start = csv_start(self.path, str(self.path), self.source, names)
        text = self.path.read_bytes().decode(start.encoding)
        line_end = "\r\n" if "\r\n" in text else "\n"
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=start.delimiter))
        header = [cell.strip() for cell in rows[start.header]]
        missing = [name for name in names if name not in header]
        required = [self.name(rule.name) for rule in OVERRIDES.columns if rule.required]
        if set(missing) & set(required):
            raise ConfigError(
                f"{self.path}: missing columns {', '.join(name for name in missing if name in required)}; it has "
                f"{', '.join(header)}. Add them, or map them in sources.overrides.columns."
            )
        header += missing
        at = {field: header.index(self.name(field)) for field in FIELDS}
        body = [row for row in rows[start.header + 1 :] if any(cell.strip() for cell in row)]
        return _Table(rows[: start.header], header, body, at, start.delimiter, start.encoding, line_end)

    def _write(self, table: _Table, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=table.delimiter, lineterminator=table.line_end)
        writer.writerows([*table.above, table.header, *rows])
        try:
            data = text.getvalue().encode(table.encoding)
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"{self.path}: the text {error.object[error.start : error.end]!r} cannot be written in "
                f"{table.encoding}. Use other characters, or set sources.overrides.encoding to utf-8."
            ) from None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=".overrides-", delete=False) as file:
                file.write(data)
            if self.path.exists():
                os.chmod(file.name, self.path.stat().st_mode)
            else:
                os.chmod(file.name, 0o644)
            Path(file.name).replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written ({error.strerror}). Nothing was saved.") from error


@dataclass(frozen=True)
class _Table:
    """The rows of a file as text: lines above the header, the header, and the rows below."""

    above: list[list[str]]
    header: list[str]
    rows: list[list[str]]
    at: dict[str, int]
    delimiter: str
    encoding: str
    line_end: str

    def cell(self, row: Sequence[str], field: str) -> str:
        position = self.at[field]
        return row[position] if position < len(row) else ""

    def change(self, number: int, texts: Mapping[str, str]) -> None:
        self.rows[number] = self._filled(self.rows[number], texts)

    def new(self, texts: Mapping[str, str]) -> list[str]:
        return self._filled([], texts)

    def _filled(self, row: Sequence[str], texts: Mapping[str, str]) -> list[str]:
        cells = [*row, *[""] * (len(self.header) - len(row))]
        for field, text in texts.items():
            cells[self.at[field]] = text
        return cells
