"""Detect the format of a source file from its first bytes, regardless of its name."""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path
from typing import Literal

from schemas.errors import DataContractError

Content = Literal["csv", "csv.gz", "excel", "parquet"]

_BYTES = 4096
# A compressed file may unpack to this many bytes; beyond that, to this multiple of its size.
UNPACKED_BYTES = 256 << 20
UNPACKED_RATIO = 100
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old format (.xls) or with a password. Save it as .xlsx"),
    (b"%PDF", "a PDF document. Export the table as .csv or .xlsx"),
    (b"{\\rtf", "an RTF document. Export the table as .csv or .xlsx"),
    (b"7z\xbc\xaf", "a 7z archive. Unpack it"),
    (b"Rar!", "a RAR archive. Unpack it"),
    (b"BZh", "compressed with bzip2. Unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz. Unpack it, or compress it with gzip"),
    (b"(\xb5/\xfd", "compressed with zstd. Unpack it, or compress it with gzip"),
    (b"SQLite format 3", "a SQLite database. Export the table as .csv"),
    (b"\xff\xd8\xff", "a picture. Export the table as .csv or .xlsx"),
    (b"\x89PNG", "a picture. Export the table as .csv or .xlsx"),
    (b'{"', "a JSON file. Export the table as .csv or .xlsx"),
    (b'[{"', "a JSON file. Export the table as .csv or .xlsx"),
)
_MARKUP = ("<!doctype", "<html", "<head", "<body", "<table", "<div", "<style", "<meta")


def content_of(file: Path, name: str) -> Content:
    """Return the format of a file by its content.

    Args:
        file: local path.
        name: name of the file in messages.

    Raises:
        DataContractError: the content is not a table that Restock reads, or not the format of the name's ending.
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        start = stream.read(_BYTES)
    ending = name.lower()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\x1f\x8b"):
        return "csv.gz"
    if start.startswith(b"PK\x03\x04"):
        if ending.endswith(".xlsx") or _is_workbook(file):
            return "excel"
        raise _not_a_table(name, "a ZIP archive. Unpack it")
    for mark, words in _OTHERS:
        if start.startswith(mark):
            raise _not_a_table(name, words)
    text = _decoded(start).lstrip("\ufeff \t\r\n").lower()
    if text.startswith(_MARKUP):
        raise _not_a_table(name, "an HTML page, not a table. Export it again as .csv or .xlsx")
    if text.startswith("<?xml"):
        raise _not_a_table(name, "an XML document. Export it again as .csv or .xlsx")
    if ending.endswith((".xlsx", ".parquet")):
        expected = "Excel workbook" if ending.endswith(".xlsx") else "Parquet file"
        found = "empty" if not start else "not complete" if b"\x00" in start else "plain text"
        raise DataContractError(
            f"{name} is not a readable {expected}: its content is {found}. Deliver the file again; if it is a CSV "
            "file, name it .csv."
        )
    if ending.endswith(".gz") and start:
        # A .csv.gz that is not compressed.
        return "csv"
    return "csv"


def check_unpacked_size(name: str, unpacked: int, packed: int) -> None:
    """Check that a compressed file does not unpack to an implausible size.

    Raises:
        DataContractError: it does. Such a file is damaged, or was made to exhaust the memory.
    """
    if unpacked > UNPACKED_BYTES and unpacked > UNPACKED_RATIO * packed:
        raise DataContractError(
            f"{name} unpacks to more than {UNPACKED_BYTES >> 20:,} MB and {UNPACKED_RATIO} times its size of "
            f"{packed:,} bytes. Restock does not read such a file. Deliver it again, or split it into smaller files."
        )


def _is_workbook(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _decoded(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return start.decode("utf-16", errors="ignore")
    return start.decode("utf-8", errors="ignore")


def _not_a_table(name: str, words: str) -> DataContractError:
    return DataContractError(f"{name} is {words}, or correct the path in the settings' sources.")
