"""The replenishment file for the ERP: one line per store and SKU, in the format of ``output``."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, PublicationError, first_few
from schemas.settings import OutputSettings
from tasks.storage.row_order import row_order

KEY = (c.STORE_ID, c.SKU)
_QUOTE = '"'
_LINE_ENDS = ("\n", "\r")


def replenishment_bytes(targets: pd.DataFrame, output: OutputSettings) -> bytes:
    r"""Return the bytes of the file: header, then lines sorted by store and SKU, with ``\n`` line ends.

    Ids are written unchanged. A field is quoted (with doubled quotes) only if it contains the delimiter, a
    quote or a line end.

    Args:
        targets: store_id, sku (text) and target_quantity (integers, at least 0), in any row order.
        output: delimiter, encoding and column names.

    Raises:
        ConfigError: ``output`` is invalid, or an id cannot be written in its encoding.
        PublicationError: an id is not text, or a target is not an integer of at least 0.

    Example:
        >>> one = pd.DataFrame({"store_id": ["007"], "sku": ['a"b'], "target_quantity": [3]})
        >>> replenishment_bytes(one, OutputSettings(delimiter=";"))
        b'store_id;sku;target_quantity\n007;"a""b";3\n'
    """
    _check_dialect(output)
    ordered = targets.iloc[row_order(targets, KEY)]
    quantities = _whole(ordered)
    for column in KEY:
        _check_ids(ordered[column], column, output)
    fields = [_quoted(ordered[column], output.delimiter) for column in KEY]
    header = output.delimiter.join(_quote(name, output.delimiter) for name in output.header.values())
    lines = [header, *map(output.delimiter.join, zip(*fields, map(str, quantities), strict=True)), ""]
    return "\n".join(lines).encode(output.encoding)


def read_replenishment(data: bytes, output: OutputSettings) -> pd.DataFrame:
    """Read back a file that :func:`replenishment_bytes` wrote with the same settings.

    Returns:
        store_id and sku (text) and target_quantity (int64), in file order.

    Raises:
        PublicationError: the bytes are not such a file.
    """
    names = list(output.header.values())
    try:
        text = data.decode(output.encoding)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=output.delimiter, strict=True))
        if not rows or rows[0] != names or any(len(row) != len(names) for row in rows):
            raise ValueError(f"expected lines of {', '.join(names)}")
        frame = pd.DataFrame(rows[1:], columns=list(output.header), dtype=object)
        return frame.assign(**{c.TARGET_QUANTITY: frame[c.TARGET_QUANTITY].astype(np.int64)})
    except (LookupError, ValueError, csv.Error) as error:
        raise PublicationError(f"not a readable replenishment file: {error}") from error


def _check_dialect(output: OutputSettings) -> None:
    try:
        codecs.lookup(output.encoding)
        "".join(output.header.values()).encode(output.encoding)
        output.delimiter.encode(output.encoding)
    except LookupError:
        raise ConfigError(
            f"output.encoding: unknown encoding '{output.encoding}'. Use for example utf-8, latin-1 or cp1252."
        ) from None
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"output: the column names or the delimiter cannot be written in {output.encoding} ({error.reason}: "
            f"'{error.object[error.start : error.end]}'). Change output.columns or set output.encoding to utf-8."
        ) from None
    if output.delimiter in (_QUOTE, *_LINE_ENDS):
        raise ConfigError(f"output.delimiter: {output.delimiter!r} cannot separate fields. Use for example , or ;.")
    names = list(output.header.values())
    if len(set(names)) < len(names):
        raise ConfigError(f"output.columns: the names {', '.join(names)} must be different.")


def _check_ids(ids: pd.Series, column: str, output: OutputSettings) -> None:
    distinct = _distinct(ids)
    bad = [value for value in distinct if not isinstance(value, str) or not value]
    if bad:
        raise PublicationError(f"replenishment.csv, {column}: ids must be non-empty text; found {first_few(bad)}.")
    unwritable = [value for value in distinct if not _writable(value, output.encoding)]
    if unwritable:
        raise ConfigError(
            f"output.encoding: these {column} values cannot be written in {output.encoding}: "
            f"{first_few(unwritable)}. Set output.encoding to utf-8, or correct the ids in the source tables."
        )


def _writable(text: object, encoding: str) -> bool:
    try:
        str(text).encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _whole(targets: pd.DataFrame) -> list[int]:
    values = pd.to_numeric(targets[c.TARGET_QUANTITY], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if bad.any():
        named = _named_rows(targets.loc[bad, [*KEY, c.TARGET_QUANTITY]].head(5).itertuples(index=False))
        raise PublicationError(
            f"replenishment.csv, target_quantity: {int(bad.sum())} of {len(bad)} rows are not integers of at least 0: "
            f"{named}. This is an error in the plan's split to SKUs; report it. Nothing was published."
        )
    return [int(value) for value in values]


def _named_rows(rows: Iterable[tuple[object, ...]]) -> str:
    return "; ".join(" / ".join(str(part) for part in row) for row in rows)


def _distinct(ids: pd.Series) -> list[object]:
    """Return each id once. pandas would treat ids that differ only after a NUL character as equal."""
    return list(dict.fromkeys(ids.tolist()))


def _quoted(ids: pd.Series, delimiter: str) -> list[str]:
    """Return ids as fields; each distinct id is quoted once."""
    written = {value: _quote(str(value), delimiter) for value in _distinct(ids)}
    return [written[value] for value in ids.tolist()]


def _quote(text: str, delimiter: str) -> str:
    if any(mark in text for mark in (delimiter, _QUOTE, *_LINE_ENDS)):
        return f"{_QUOTE}{text.replace(_QUOTE, _QUOTE * 2)}{_QUOTE}"
    return text
