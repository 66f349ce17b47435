"""A small company with every table, and hypothesis strategies that damage its files and settings."""

# ruff: noqa: E501

from __future__ import annotations

import copy
import gzip
import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import yaml
from hypothesis import strategies as st

Table = list[list[str]]

DAYS = [(date(2024, 1, 1) + timedelta(days=day)).isoformat() for day in range(20)]
TABLES: dict[str, Table] = {
    "stores": [
        ["store_id", "storage_capacity", "visit_cost", "store_type"],
        ["01", "500", "9.5", "A"],
        ["02", "", "", "B"],
    ],
    "products": [
        ["sku", "brand", "price", "pack_size", "name"],
        ["007", "x", "10.5", "6", "Boot, brown"],
        ["008", "y", "20", "", "Sandal"],
        ["4006381333931", "x", "5", "1", "Café"],
        ["SET", "x", "", "", "Set of two"],
    ],
    "sales": [
        ["date", "store_id", "sku", "units", "net_amount"],
        *[
            [day, store, sku, str(1 + index % 7), f"{10.5 * (1 + index % 7):.2f}"]
            for index, day in enumerate(DAYS)
            for store in ("01", "02")
            for sku in ("007", "008", "4006381333931")
        ],
    ],
    "stock": [["store_id", "sku", "on_hand", "in_transit_1"], ["01", "007", "5", "2"], ["02", "008", "7", ""]],
    "dc_stock": [["sku", "available"], ["007", "100"], ["008", "50"]],
    "calendar": [["date", "open", "event"], ["2024-01-01", "0", "new year"], ["2024-01-20", "1", "sale"]],
    "availability": [["date", "store_id", "sku", "in_stock"], ["2024-01-05", "01", "007", "0"]],
    "promotions": [
        ["sku", "date_from", "date_to", "price", "discount"],
        ["008", "2024-01-10", "2024-01-15", "15", "0.25"],
    ],
    "dc_inbound": [["sku", "date", "quantity"], ["007", "2024-01-25", "40"]],
    "bundles": [["sku", "component_sku", "quantity"], ["SET", "007", "2"]],
    "events": [
        ["name", "date_from", "date_to", "category", "uplift"],
        ["Fair", "2024-01-18", "2024-01-24", "x", "1.5"],
        ["Strike", "2024-01-08", "2024-01-08", "", ""],
    ],
    "overrides": [
        ["date_from", "date_to", "action", "value", "reason", "author", "store_id", "sku", "category"],
        ["2024-01-21", "2024-01-28", "set", "5", "opening", "ana", "01", "007", ""],
    ],
}
CELLS = [
    "", " ", "-", "0", "-1", "1.5", "1,5", "1.104", "1,104", "1.234.567", "12-", "(3)", "1e300", "-1e300", "1e-320", "1e999",
    "inf", "nan", "NULL", "#N/A", "#REF!", "=1+1", "8,41234E+12", "8.41E+12", "45292", "2024-02-30", "0001-01-01", "9999-12-31",
    "31/12/2024", "2024-01-05T23:30:00Z", "2024-01-05 23:30:00.5+02:00", "2024-01-05 25:00:00", "24:00", "true", "no", "007 ",
    "7", "Total", "Subtotal 01", "TOTAL GENERAL;", "x" * 300, '"', "'", "a\nb", "\u00a0", "1\u00a0234", "ñandú", "日本", "\u202e", "€ 5",
    "12 %", "../../etc", "<b>", "=cmd|'/c calc'!A1", "0x1F", "1_000", "٣", "½", "²", "--5", "1-2", "5e", "e5", ".", ",", "+", "−5",
]  # fmt: skip
NAMES = [
    "",
    " ",
    "units",
    "Units ",
    "sku",
    "date",
    "store_id",
    "column 3",
    "\ufeffsku",
    "open",
    "table",
    "file",
    "reason",
    "q0.5",
    "unit",
]
SETTINGS: list[tuple[str, list[Any]]] = [
    ("horizon", [0, -1, 28, 3650, 10**20, 1.5, "x", True, None, [], "190:20:30"]),
    ("frequency", ["W-MON", "MS", "d", "W", "", 7, None]),
    ("aggregate", [True, "yes", 2, None]),
    ("quantiles", [[], [0.5], [1e-9, 0.5], [0.5, 0.5], [0, 1], ["a"], 0.5, None]),
    ("country", ["cl", "CL", "XX", "", 5, False]),
    ("category", [["brand"], ["brand", "pack_size"], ["nothing"], [""], [], ["sku"], "brand", ["brand", "brand"]]),
    ("seed", [-1, 2**40, "x"]),
    ("quality.max_quarantined_share", [0, 1, 0.5, -1, 2, {"sales": 0.5}, {"sales": 2}, {"nothing": 0.1}, "x"]),
    ("sources.*.decimal", [",", ".", ";", "", 5]),
    ("sources.*.thousands", [".", ",", " ", "'", "none", "x", 5]),
    ("sources.*.delimiter", [",", ";", "\t", "|", "", "ab", "\n", '"', "é", 5]),
    ("sources.*.encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "ascii", "utf-9", "base64", "rot13", "idna", "", "utf-7", 5]),
    ("sources.*.date_format", ["%d/%m/%Y", "%Y", "%H:%M", "%Q", "%z", "%s", "DD/MM/YYYY", "", "%", "%d/%m/%Y %H:%M", 5]),
    ("sources.*.timezone", ["America/Santiago", "UTC", "Mars/Phobos", "", "..", "/etc/passwd", "utc", "EST5EDT", 5]),
    ("sources.*.timestamp_zone", ["UTC", "Europe/Berlin", "x"]),
    ("sources.*.header_row", [1, 2, 50, 999, 0, -1, 10**20, "x"]),
    ("sources.*.sheet", ["Sheet", "Nothing", "", 5]),
    ("sources.*.ignore", [{"store_id": ["01"]}, {"sku": ["*"]}, {"nothing": ["x"]}, {"sku": []}, {"": [""]}, {"sku": [7, "["]}, [], "x"]),
    ("sources.*.conversion", [{"PR": 1}, {"PR": 0}, {"PR": -1}, {"PR": "x"}, {"": 2}, []]),
    ("sources.*.columns", [{"units": "Uns"}, {"units": "sku"}, {"date": "date", "x": "units"}, {"": ""}, {"sku": "column 2"}, []]),
    ("sources.*.path", ["", ".", "nothing.csv", "*", "**", "[", "\0", "x" * 5000, "s3://", "file://x", "~nobody/x.csv", 5]),
]  # fmt: skip
FORMATS = ("csv", "csv.gz", "xlsx", "parquet")
CONTENTS = [b"", b"\n", b"\x00" * 50, b"<html></html>", b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08", b"%PDF-1.4", b"\xff\xfe", b"a", b",,,\n,,,\n", b'"']  # fmt: skip


@dataclass
class Company:
    """A company on its way to disk.

    Attributes:
        settings: the settings file's content.
        tables: rows of each table, the header among them.
        formats: format of each table's file.
        separators: delimiter of each CSV file.
        encodings: encoding of each CSV file.
        bytes_changes: per table, changes to the written bytes: position (fraction) and new bytes, or None to cut there.
        contents: per table, bytes that replace the file.
        changes: the changes in words, for the report of a failure.
    """

    settings: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=lambda: copy.deepcopy(TABLES))
    formats: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TABLES, "csv"))
    separators: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TABLES, ","))
    encodings: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TABLES, "utf-8"))
    bytes_changes: dict[str, list[tuple[float, bytes | None]]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """Write all files and return the path of the settings file."""
        for name, rows in self.tables.items():
            file = folder / f"{name}.{self.formats[name]}"
            data = self.contents.get(
                name, _bytes(rows, self.formats[name], self.separators[name], self.encodings[name])
            )
            for place, new in self.bytes_changes.get(name, []):
                at = int(place * len(data))
                data = data[:at] if new is None else data[:at] + new + data[at + len(new) :]
            file.write_bytes(data)
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(self.settings, allow_unicode=True), encoding="utf-8")
        return settings


@st.composite
def companies(draw: st.DrawFn) -> Company:
    """A company with one to four changes."""
    sources: dict[str, Any] = {name: {} for name in TABLES}
    company = Company({"name": "fuzz", "horizon": 7, "sources": sources, "quality": {"max_quarantined_share": 1}})
    for name in TABLES:
        company.formats[name] = draw(st.sampled_from(FORMATS)) if draw(st.integers(0, 3)) == 0 else "csv"
    changes = [
        _cell,
        _cell,
        _cell,
        _column,
        _row,
        _row,
        _writing,
        _bytes_of_file,
        _content,
        _setting,
        _setting,
        _many_cells,
    ]
    for change in draw(st.lists(st.sampled_from(changes), min_size=1, max_size=4)):
        change(draw, company)
    for name, source in sources.items():
        if isinstance(source, dict):
            source.setdefault("path", f"{name}.{company.formats[name]}")
    return company


def _table(draw: st.DrawFn, company: Company) -> tuple[str, Table]:
    name = draw(st.sampled_from(sorted(company.tables)))
    company.changes.append(name)
    return name, company.tables[name]


def _place(draw: st.DrawFn, rows: Table) -> tuple[int, int]:
    row = draw(st.integers(0, len(rows) - 1))
    return row, draw(st.integers(0, max(0, len(rows[row]) - 1)))


def _text(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(CELLS) | st.text(max_size=12))


def _cell(draw: st.DrawFn, company: Company) -> None:
    _, rows = _table(draw, company)
    row, column = _place(draw, rows)
    text = _text(draw)
    company.changes.append(f"cell {row},{column} = {text!r}")
    if rows[row]:
        rows[row][column] = text


def _many_cells(draw: st.DrawFn, company: Company) -> None:
    """Replace a column from some row on."""
    _, rows = _table(draw, company)
    start, column = _place(draw, rows)
    text = _text(draw)
    company.changes.append(f"cells {start}-,{column} = {text!r}")
    for row in rows[max(1, start) :]:
        if column < len(row):
            row[column] = text


def _column(draw: st.DrawFn, company: Company) -> None:
    _, rows = _table(draw, company)
    _, column = _place(draw, rows)
    what = draw(st.sampled_from(["drop", "rename", "repeat", "add", "swap"]))
    company.changes.append(f"column {column} {what}")
    new = draw(st.sampled_from(NAMES) | st.text(max_size=8))
    for index, row in enumerate(rows):
        if column >= len(row):
            continue
        if what == "drop":
            del row[column]
        elif what == "rename" and index == 0:
            row[column] = new
        elif what == "repeat":
            row.append(row[column])
        elif what == "add":
            row.append(new if index == 0 else draw(st.sampled_from(CELLS)))
        elif what == "swap":
            row[0], row[column] = row[column], row[0]


def _row(draw: st.DrawFn, company: Company) -> None:
    _, rows = _table(draw, company)
    at = draw(st.integers(0, len(rows)))
    what = draw(st.sampled_from(["title", "blank", "total", "short", "long", "header", "drop", "repeat", "all"]))
    company.changes.append(f"row {at} {what}")
    width = len(rows[0]) if rows else 1
    if what == "drop" and at < len(rows):
        del rows[at]
    elif what == "all":
        del rows[at:]
    elif what == "repeat":
        rows[at:at] = [list(row) for row in rows[max(0, at - 2) : at]]
    else:
        new = {
            "title": ["Report of sales", *[""] * (width - 1)],
            "blank": [],
            "total": ["Total", *[""] * (width - 2), "99"],
            "short": ["x"],
            "long": ["y"] * (width + 2),
            "header": list(rows[0]) if rows else [],
        }
        rows.insert(at, new.get(what, []))
    if not rows:
        rows.append([])


def _writing(draw: st.DrawFn, company: Company) -> None:
    name, _ = _table(draw, company)
    company.separators[name] = draw(st.sampled_from([",", ";", "\t", "|", ":"]))
    company.encodings[name] = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "latin-1"]))
    company.changes.append(f"{company.separators[name]!r} {company.encodings[name]}")


def _bytes_of_file(draw: st.DrawFn, company: Company) -> None:
    name, _ = _table(draw, company)
    change = (draw(st.floats(0, 1)), draw(st.none() | st.binary(min_size=1, max_size=4)))
    company.changes.append(f"bytes {change}")
    company.bytes_changes.setdefault(name, []).append(change)


def _content(draw: st.DrawFn, company: Company) -> None:
    name, _ = _table(draw, company)
    company.contents[name] = draw(st.sampled_from(CONTENTS) | st.binary(max_size=200))
    company.changes.append(f"content {company.contents[name][:20]!r}")


def _setting(draw: st.DrawFn, company: Company) -> None:
    path, values = draw(st.sampled_from(SETTINGS))
    value = draw(st.sampled_from(values))
    path = path.replace("*", draw(st.sampled_from(sorted(TABLES))))
    company.changes.append(f"{path}: {str(value)[:60]!r}")
    at = company.settings
    *above, key = path.split(".")
    for part in above:
        at = at.setdefault(part, {})
    at[key] = copy.deepcopy(value)


def _bytes(rows: Table, form: str, separator: str, encoding: str) -> bytes:
    buffer = io.BytesIO()
    if form == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append([_excel_value(text) for text in row])
        book.save(buffer)
        return buffer.getvalue()
    if form == "parquet":
        width = max((len(row) for row in rows), default=0)
        padded = [[*row, *[""] * (width - len(row))] for row in rows]
        names = [f"{name}" for name in padded[0]] if padded else []
        frame = pd.DataFrame(padded[1:], columns=names)
        if not frame.columns.is_unique:
            frame.columns = [f"{name}{index}" for index, name in enumerate(names)]
        for name in ("units", "on_hand", "price"):
            if name in frame:
                frame[name] = pd.to_numeric(frame[name], errors="ignore")
        frame.to_parquet(buffer)
        return buffer.getvalue()
    text = "".join(separator.join(_quoted(cell, separator) for cell in row) + "\n" for row in rows)
    data = text.encode(encoding, errors="replace")
    return gzip.compress(data, mtime=0) if form == "csv.gz" else data


def _excel_value(text: str) -> object:
    clean = "".join(character for character in text if character >= " " or character in "\n\t")
    if text.isdigit() and not text.startswith("0") and text.isascii():
        return int(text)
    return clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _quoted(cell: str, separator: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if separator in cell or "\n" in cell else cell
