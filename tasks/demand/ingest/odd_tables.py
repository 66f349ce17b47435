"""Alarms on tables as a whole: cut at a row limit, of several companies, and stock that is counted several times."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.raw import is_text
from tasks.demand.checks.limits import LIMITS
from tasks.demand.ingest.dates import parse_dates
from tasks.demand.ingest.documents import MOST_TYPES
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.parsing import plain_text
from tasks.demand.inspect.names import phrase_score
from tasks.storage.mapped import filled

# Rows at which programs stop: sheets of Excel with and without a header, and round numbers.
_ROW_LIMITS = {32_767, 32_768, 65_535, 65_536, 1_048_575, 1_048_576} | {
    digit * 10**power for digit in (1, 2, 5) for power in range(3, 7)
}


def odd_tables(table: MappedTable) -> Iterator[Alarm]:
    """Yield the alarms on a table as a whole."""
    yield from _row_limits(table)
    yield from _look_alikes(table)
    yield from _missing_columns(table)
    if table.contract.name == "sales":
        yield from _companies(table)
    if table.contract.repeats == "sum":
        yield from _counted_again(table)


def _row_limits(table: MappedTable) -> Iterator[Alarm]:
    cut = [file for file in table.raw.files if file.rows in _ROW_LIMITS]
    if cut:
        named = [f"{file.path} ({file.rows:,})" for file in cut]
        yield raise_alarm(
            "row_limit",
            f"{table.contract.name}: {numbered(len(cut), '# file[s] [has|have]')} exactly as many rows as an export or "
            f"sheet may have at most: {first_few(named)}. Check that no rows are missing at the end",
            count=len(cut),
        )


def _look_alikes(table: MappedTable) -> Iterator[Alarm]:
    """Products of the same name whose SKUs differ in the letter O and the digit 0, or in I and 1, only."""
    if table.contract.name != "products" or c.NAME not in table.parsed:
        return
    sku, name = (plain_text(table.parsed[column].values) for column in (c.SKU, c.NAME))
    rows = pd.DataFrame({c.SKU: sku, c.NAME: name}).dropna().drop_duplicates(c.SKU)
    form = rows[c.SKU].str.upper().str.replace("O", "0", regex=False).str.replace("I", "1", regex=False)
    several = pd.DataFrame({"form": form, c.NAME: rows[c.NAME].str.strip().str.casefold()}).duplicated(keep=False)
    found = rows.loc[several & (form != rows[c.SKU].str.upper()).groupby(form).transform("any"), c.SKU]
    if len(found):
        pairs = found.groupby(form[found.index]).agg(" and ".join)
        yield raise_alarm(
            "mixed_ids",
            f"products: SKUs with the same name differ only in O and 0, or I and 1: {first_few(list(pairs))}. They "
            "count as different products. Correct the mistyped SKU in all tables",
            skus=found,
            count=len(pairs),
        )


def _missing_columns(table: MappedTable) -> Iterator[Alarm]:
    """Columns with a rule, or named by `ignore` or `only`, that a part of the files does not have."""
    chosen = {*table.source.ignore, *table.source.only}
    used = {table.names[name] for name in table.parsed} | {table.names.get(name, name) for name in chosen}
    found = {
        written: [file.path for file in table.raw.files if file.rows and written not in file.columns]
        for written in table.raw.frame.columns
        if written in used
    }
    found = {written: files for written, files in found.items() if files}
    if found:
        named = [f"{written!r} in {first_few(files)}" for written, files in found.items()]
        yield raise_alarm(
            "columns_differ",
            f"{table.contract.name}: {numbered(len(found), '# column[s] [is|are]')} missing in a part of the files: "
            f"{'; '.join(named)}. {numbered(len(found), '[It counts|They count]')} as empty there, and values to be "
            "ignored are not found. Export all files with the same columns",
            count=len(found),
        )


def _companies(table: MappedTable) -> Iterator[Alarm]:
    """A column with the company of a sale, and stores that sell for several of them."""
    store = table.parsed[c.STORE_ID].values.cat.codes.to_numpy()
    for name, written in table.names.items():
        column = table.raw.frame[written]
        if name in table.parsed or not is_text(column) or phrase_score(written, "company") < 1:
            continue
        rows = np.bincount(column.cat.codes.to_numpy(), minlength=len(column.cat.categories))
        values = [text for text, count in zip(column.cat.categories, rows, strict=True) if text.strip() and count]
        if not 1 < len(values) <= MOST_TYPES:
            continue
        keys = pd.DataFrame({"store": store, "company": column.cat.codes.to_numpy()}).drop_duplicates()
        several = keys["store"].value_counts() > 1
        shared = [str(table.parsed[c.STORE_ID].values.cat.categories[at]) for at in several.index[several] if at >= 0]
        if len(shared) >= LIMITS.contradicted * len(several):
            yield raise_alarm(
                "several_companies",
                f"sales: by the column {written!r}, {numbered(len(shared), '# store[s] [sells|sell]')} for several "
                f"companies ({', '.join(values)}): {first_few(sorted(shared))}. Their sales are added. If they are "
                f"different stores, run each company alone (sources.sales.only: {{{name}: {values[0]}}})",
                stores=sorted(shared),
                count=len(shared),
            )


def _counted_again(table: MappedTable) -> Iterator[Alarm]:
    """Undated stock with the same number of rows for almost every key, and no column with a place or lot."""
    keys = [table.parsed[name].values.cat for name in table.contract.key if name != c.DATE]
    if c.DATE in table.parsed or table.raw.frame.empty:
        return

    def number(part: slice) -> np.ndarray:
        found = np.zeros(part.stop - part.start, dtype=np.int64)
        for column in keys:
            found = found * (len(column.categories) + 1) + column.codes.to_numpy()[part] + 1
        return found

    key = filled(len(table.raw.frame), np.int64, number)
    ordered = np.sort(key)
    rows = np.diff(np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])))
    usual = int(np.bincount(rows).argmax())
    if usual < 2 or len(rows) < LIMITS.fewest_skus or (rows == usual).mean() < LIMITS.same_export:  # noqa: PLR2004
        return
    if any(_has_places(table, name, key, usual) for name in table.names if name not in table.parsed):
        return
    files = [table.raw.files[file].path for file in np.unique(table.raw.file)]
    if len(files) > 1 and len({re.sub(r"\d+", "", path) for path in files}) > 1:
        return  # files of several places
    yield raise_alarm(
        "stock_repeated",
        f"{table.contract.name}: almost every store and SKU has {usual} rows ({len(key):,} rows in all), and no column "
        "says of which place or lot. They are added. If they are counts of several dates, map the column `date`, or "
        "deliver the last count only",
        count=len(key),
    )


def _has_places(table: MappedTable, name: str, key: np.ndarray, rows: int) -> bool:
    """Whether the rows of a key have different values in a column: places or lots, not dates."""
    column = table.written(name)
    if not is_text(column):
        return False
    codes = pd.Series(column.cat.codes.to_numpy())
    if (codes.groupby(key).nunique() == rows).mean() < LIMITS.same_export:
        return False
    texts = pd.Series(column.cat.categories, dtype=object).str.strip()
    return bool(parse_dates(texts, table.source).isna().all())
