"""Published files as they are stored: bytes without what legitimately changes, and a text that a person can read."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MANIFEST = "manifest.json"
COMPANY = "<company>"
# Keys of the manifest whose values change without a change of the published figures; null takes their place.
CHANGING = ("code_version", "packages", "settings_sha256")
DIGITS = 6
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Snapshot:
    """One published file.

    Attributes:
        name: file name in the run's folder.
        content: the file's bytes, normalized: the company's folder, the code's version and the checksum of the
            settings (which contain that folder) are replaced by fixed words.
        text: the readable form: text files whole, Parquet as CSV with six significant digits, HTML without markup,
            workbooks as one CSV per sheet.
        columns: column of a Parquet file to its type and the checksum of its values.
    """

    name: str
    content: bytes
    text: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Checksum of the normalized bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def stored_as(self) -> str:
        """Name of the file that holds the readable form."""
        suffix = {".parquet": ".csv", ".html": ".txt", ".xlsx": ".txt"}.get(Path(self.name).suffix, "")
        return self.name + suffix


def take_snapshots(run_folder: Path, company_folder: Path) -> dict[str, Snapshot]:
    """Every file of a published run, by name.

    Args:
        run_folder: the published folder.
        company_folder: the folder whose path the files may contain.
    """
    manifest = json.loads((run_folder / MANIFEST).read_text(encoding="utf-8"))
    words = {
        str(company_folder): COMPANY,
        str(manifest["settings_sha256"]): "<settings_sha256>",
        str(manifest["code_version"]): "<code_version>",
    }
    found = {
        path.name: _snapshot(path, words, company_folder)
        for path in sorted(run_folder.iterdir())
        if path.name != MANIFEST
    }
    return {**found, MANIFEST: _manifest(manifest, words, found)}


def _snapshot(path: Path, words: Mapping[str, str], company_folder: Path) -> Snapshot:
    if path.suffix == ".parquet":
        return _parquet(path, str(company_folder))
    if path.suffix == ".xlsx":
        content = path.read_bytes()
        sheets = pd.read_excel(io.BytesIO(content), sheet_name=None, dtype=object, keep_default_na=False)
        return Snapshot(
            path.name,
            content,
            "\n".join(f"{name}\n{table_text(page.infer_objects())}" for name, page in sheets.items()),
        )
    text = _replaced(path.read_text(encoding="utf-8"), words)
    return Snapshot(path.name, text.encode(), html_text(text) if path.suffix == ".html" else text)


def _parquet(path: Path, folder: str) -> Snapshot:
    content = path.read_bytes()
    table = pq.read_table(io.BytesIO(content))
    clean = _without_folder(table, folder)
    if not clean.equals(table):
        written = io.BytesIO()
        pq.write_table(clean, written)
        content = written.getvalue()
    columns = {name: f"{clean.schema.field(name).type} {_checksum(clean[name])}" for name in clean.column_names}
    return Snapshot(path.name, content, table_text(clean.to_pandas()), columns)


def _without_folder(table: pa.Table, folder: str) -> pa.Table:
    """The table with the company's folder replaced in its columns of text."""
    for at, column in enumerate(table.column_names):
        values = table[column]
        if pa.types.is_dictionary(values.type) and folder in str(values.unique().to_pylist()):
            values = values.cast(values.type.value_type)
        if (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) and folder in str(
            values.unique().to_pylist()
        ):
            table = table.set_column(at, column, pc.replace_substring(values, folder, COMPANY))
    return table


def _checksum(values: pa.ChunkedArray) -> str:
    """Checksum of a column's values and of their type, with any chunks."""
    digest = hashlib.sha256()
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    for value in plain.to_pylist():
        digest.update(f"{value!r}\n".encode())
    return digest.hexdigest()[:_HASH_DIGITS]


def table_text(table: pd.DataFrame) -> str:
    """A table as CSV with six significant digits.

    >>> table_text(pd.DataFrame({"sku": ["10"], "mean": [1 / 3]}))
    'sku,mean\\n10,0.333333\\n'
    """
    return str(table.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n", date_format="%Y-%m-%d"))


def _manifest(manifest: dict[str, Any], words: Mapping[str, str], others: Mapping[str, Snapshot]) -> Snapshot:
    """The manifest without versions and times; the checksums of files are those of their normalized bytes."""
    kept = {name: None if name in CHANGING else value for name, value in manifest.items()}
    kept["seconds"] = dict.fromkeys(manifest["seconds"])
    kept["outputs"] = {name: others[name].sha256 if name in others else "no such file" for name in manifest["outputs"]}
    # Where the lake keeps intermediate tables, and in which form, is not published.
    kept["plan_inputs"] = {
        name: [_unplaced(each) for each in value] if isinstance(value, list) else _unplaced(value)
        for name, value in manifest["plan_inputs"].items()
    }
    text = _replaced(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", words)
    return Snapshot(MANIFEST, text.encode(), text)


def _unplaced(value: Any) -> Any:
    return {**value, "key": None, "sha256": None} if isinstance(value, dict) else value


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for word, instead in words.items():
        text = text.replace(word, instead)
    return text


class _Words(HTMLParser):
    """Collects the texts of a page, one line per element that holds some; pictures by their checksum."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"style", "script"}
        given = dict(attrs)
        if tag == "img":
            picture = hashlib.sha256((given.get("src") or "").encode()).hexdigest()[:_HASH_DIGITS]
            self.lines.append(f"[picture {picture}: {given.get('alt') or ''}]")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        text = re.sub(r"\s+", " ", data).strip()
        if text and not self._silent:
            self.lines.append(text)


def html_text(page: str) -> str:
    """The texts of a page, one a line, without markup and style.

    >>> html_text("<h1>Plan</h1><style>p {}</style><p>Target <b>12</b></p>")
    'Plan\\nTarget\\n12\\n'
    """
    words = _Words()
    words.feed(page)
    return "\n".join(words.lines) + "\n"
