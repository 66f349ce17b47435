"""The replenishment file for the ERP: one line per store and SKU, in the format of ``output``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import ConfigError, PublicationError, first_few
from schemas.outputs import PAIR, TARGETS
from schemas.settings import OutputSettings
from schemas.spreadsheets import starts_formula
from tasks.publication.csv_format import csv_bytes, read_csv_bytes
from tasks.storage.row_order import row_order

KEY = PAIR


def replenishment_bytes(targets: pd.DataFrame, output: OutputSettings) -> bytes:
    r"""Return the bytes of the file: header, then lines sorted by store and SKU, with ``\n`` line ends.

    Ids are written unchanged. A field is quoted (with doubled quotes) only if it contains the delimiter, a
    quote or a line end. The columns ``output.extra_columns`` follow the first three if the targets have them.

    Args:
        targets: store_id, sku (text) and target_quantity (integers, at least 0), in any row order.
        output: format of the file.

    Raises:
        ConfigError: an id cannot be written in the encoding of ``output``.
        PublicationError: an id is not text, or a target is not an integer of at least 0.

    Example:
        >>> one = pd.DataFrame({"store_id": ["007"], "sku": ['a"b'], "target_quantity": [3]})
        >>> replenishment_bytes(one, OutputSettings(delimiter=";"))
        b'store_id;sku;target_quantity\n007;"a""b";3\n'
    """
    ordered = targets.iloc[row_order(targets, KEY)]
    ordered = ordered.assign(**{c.TARGET_QUANTITY: _whole(ordered)})
    for column in KEY:
        _check_ids(ordered[column], column, output)
    extra = [name for name in output.extra_columns if name in ordered.columns]
    return csv_bytes(ordered, [*TARGETS.columns, *extra], TARGETS, output)


def read_replenishment(data: bytes, output: OutputSettings) -> pd.DataFrame:
    """Read back a file that :func:`replenishment_bytes` wrote with the same settings.

    Returns:
        store_id and sku (text) and target_quantity (int64), in file order.

    Raises:
        PublicationError: the bytes are not such a file.
    """
    frame = read_csv_bytes(data, TARGETS, output)[list(TARGETS.columns)]
    targets = pd.to_numeric(frame[c.TARGET_QUANTITY], errors="coerce")
    if targets.isna().any() or (targets % 1 != 0).any():
        raise PublicationError(f"{TARGETS.file}: {c.TARGET_QUANTITY} contains values that are not integers.")
    return frame.assign(**{c.TARGET_QUANTITY: targets.astype(np.int64)})


def formula_ids(targets: pd.DataFrame) -> list[Alarm]:
    """Raise an alarm if ids begin with a character that spreadsheets read as a formula.

    The files for the ERP contain ids unchanged (:mod:`tasks.publication.csv_format`).

    Args:
        targets: store_id and sku.
    """
    found = {
        column: sorted(str(value) for value in targets[column].unique() if starts_formula(str(value))) for column in KEY
    }
    if not any(found.values()):
        return []
    named = "; ".join(f"{column}: {first_few(values)}" for column, values in found.items() if values)
    message = f"Ids begin with a character that spreadsheets read as a formula. {named}"
    count = sum(len(values) for values in found.values())
    return [raise_alarm("formula_ids", message, stores=found[c.STORE_ID], skus=found[c.SKU], count=count)]


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
