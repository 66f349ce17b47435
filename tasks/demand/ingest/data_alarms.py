"""Alarms about cells whose value was interpreted, such as dates without a time zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.panel import FloatArray
from schemas.raw import as_text, is_text
from schemas.suites import READ, UNREADABLE
from tasks.demand.checks.limits import LIMITS
from tasks.demand.checks.overlaps import overlap_alarm
from tasks.demand.ingest.cell_advice import distinct_values, in_other_order
from tasks.demand.ingest.dates import has_offset
from tasks.demand.ingest.mapped_table import MappedTable
from tasks.demand.ingest.not_sales import not_sales
from tasks.demand.ingest.numbers import grouped_digits
from tasks.demand.ingest.odd_tables import odd_tables
from tasks.demand.ingest.parsing import plain_text
from tasks.demand.ingest.unmapped import unmapped_columns
from tasks.demand.words import holding, plain
from tasks.storage.mapped import blocks, gathered

# Numbers with a mark are few up to this fraction of the rows: weights have it in most of them.
_FEW = 0.05
NIGHT_END, _MORNING_END, _NOON = 4, 8, 12
# Hour, minute, second, and whether it is before or after noon.
_TIME = r"[T ](\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?\s*([AaPp])?"


def reading_alarms(tables: Mapping[str, MappedTable]) -> list[Alarm]:
    """Return the alarms that follow from how the files are written, in the order of the tables."""
    found: list[Alarm] = []
    for table in tables.values():
        found += _copies(table)
        found += overlap_alarm(table.contract.name, table.left_out.overlaps, [file.path for file in table.raw.files])
        found += _repetitions(table)
        found += table.units.alarms
        found += not_sales(table)
        found += _time_zone(table)
        found += _after_midnight(table)
        found += _both_orders(table)
        found += _gross_amounts(table)
        found += _month_ends(table)
        found += _replaced(table)
        found += _negative(table)
        found += _mixed_ids(table)
        found += _thousands_marks(table)
        found += unmapped_columns(table)
        found += odd_tables(table)
    return found


def _copies(table: MappedTable) -> Iterator[Alarm]:
    for later, earlier in table.left_out.copies:
        yield raise_alarm(
            "duplicate_file",
            f"{table.contract.name}: {later} is a copy of {earlier}; its rows are counted once. Remove the copy or "
            f"make sources.{table.contract.name}.path more specific.",
            count=1,
        )


def _time_zone(table: MappedTable) -> Iterator[Alarm]:
    if table.source.timezone is not None:
        return
    name = table.contract.name
    for rule in table.rules:
        if rule.kind != "date":
            continue
        written = table.written(rule.name)
        if is_text(written):
            offsets = has_offset(pd.Series(written.cat.categories, dtype=object)).to_numpy(dtype=bool)
            rows = int(gathered(offsets, written.cat.codes.to_numpy()).sum()) if offsets.any() else 0
        elif table.names[rule.name] in table.raw.zones:
            parts = (written.iloc[part] for part in blocks(len(written)))
            rows = sum(int((part != part.dt.normalize()).sum()) for part in parts)
        else:
            rows = 0
        if rows:
            yield raise_alarm(
                "time_zone",
                f"{name}: {rows:,} time stamps of the column {table.names[rule.name]!r} have an offset from UTC "
                f"({distinct_values(table, rule.name).split(',')[0]}), and the date as written counts. If the stores "
                f"are in another time zone, set sources.{name}.timezone, for example America/Santiago.",
                count=rows,
            )


def _both_orders(table: MappedTable) -> Iterator[Alarm]:
    """Rejected dates that have day and month in the other order: days 1 to 12 are not rejected, but read wrongly."""
    for rule in table.rules:
        if rule.kind != "date" or table.source.date_format is None:
            continue
        rows = np.flatnonzero(table.parsed[rule.name].state == UNREADABLE)
        texts = as_text(table.written(rule.name).iloc[rows]).astype(object).str.strip()
        swapped = in_other_order(texts, table.source.date_format)
        if len(swapped):
            yield raise_alarm(
                "day_month_swapped",
                f"{table.contract.name}: {numbered(len(swapped), '# row[s] [has|have]')} day and month in the other "
                f"order than sources.{table.contract.name}.date_format, such as {swapped.iloc[0]}, and are rejected. "
                "Other rows with a day up to 12 may be in that order too, and are read as wrong dates",
                count=len(swapped),
            )


def _after_midnight(table: MappedTable) -> Iterator[Alarm]:
    """Stores whose sales go on after midnight and then pause: the last sales of a day count on the next one."""
    source = table.source
    if table.contract.name != "sales" or source.timezone is not None or source.timestamp_zone is not None:
        return
    hours = _hours(table.written(c.DATE))
    if hours is None:
        return
    written = table.written(c.STORE_ID)
    texts = written if is_text(written) else as_text(written)
    store, names = texts.cat.codes.to_numpy(), texts.cat.categories
    night, morning, timed = counts = np.zeros((3, len(names)), dtype=np.int64)
    for part in blocks(len(store)):
        hour = hours(part)
        masks = (hour < NIGHT_END, (hour >= NIGHT_END) & (hour < _MORNING_END), ~np.isnan(hour))
        for at, chosen in enumerate(masks):
            counts[at] += np.bincount(store[part][chosen], minlength=len(names))
    odd = (night >= LIMITS.fewest_lines) & (night >= LIMITS.after_midnight * timed) & (morning < night)
    if not odd.any():
        return
    yield raise_alarm(
        "sales_after_midnight",
        f"sales: {numbered(int(odd.sum()), '# store[s] [has|have]')} {night[odd].sum():,} of {timed[odd].sum():,} "
        f"time stamps between midnight and {NIGHT_END}:00 ({first_few(sorted(names[odd]))}), and fewer in the hours "
        "after. They count on the new day. If they are sales of the evening before, export the business day. If the "
        "time stamps are those of another time zone, set sources.sales.timestamp_zone and sources.sales.timezone",
        stores=sorted(names[odd]),
        count=int(night[odd].sum()),
    )


def _hours(written: pd.Series) -> Callable[[slice], FloatArray] | None:
    """Gives the hour of the time stamps of a block: NaN for dates, exact midnight and time stamps with an offset.

    None if the column has no other cells.
    """
    if not is_text(written):
        return _hours_of_stamps(written) if pd.api.types.is_datetime64_dtype(written) else None
    texts = pd.Series(written.cat.categories, dtype=object)
    parts = texts.str.extract(_TIME)
    hour = parts[0].astype(np.float64) % _NOON + _NOON * parts[3].str.lower().eq("p")
    hour = hour.where(parts[3].notna(), parts[0].astype(np.float64))
    exact = hour.eq(0) & parts[[1, 2]].fillna("0").astype(np.float64).eq(0).all(axis=1)
    of_text = hour.mask(exact | has_offset(texts).to_numpy(dtype=bool)).to_numpy()
    codes = written.cat.codes.to_numpy()
    return None if np.isnan(of_text).all() else lambda part: of_text[codes[part]]


def _hours_of_stamps(written: pd.Series) -> Callable[[slice], FloatArray]:
    def hours(part: slice) -> FloatArray:
        stamps = written.iloc[part]
        exact = (stamps == stamps.dt.normalize()).to_numpy()
        return np.where(exact, np.nan, stamps.dt.hour.to_numpy(dtype=np.float64))

    return hours


def _gross_amounts(table: MappedTable) -> Iterator[Alarm]:
    """Net amounts that are read from a column with tax, by its name."""
    written = table.names.get(c.NET_AMOUNT) if table.contract.name == "sales" else None
    if written is not None and holding("gross").fullmatch(plain(written)):
        yield raise_alarm(
            "gross_amounts",
            f"sales: net_amount is read from the column {written!r}, which contains tax by its name. The prices "
            "of lost units then contain tax too. If there is a column without tax, map net_amount to it",
            count=len(table.raw.frame),
        )


def _repetitions(table: MappedTable) -> Iterator[Alarm]:
    raw, repeated = table.raw, table.left_out.repeated
    if repeated:
        largest = max(repeated, key=lambda one: one.rows)
        total = sum(one.rows for one in repeated)
        yield raise_alarm(
            "repeated_lines",
            f"{table.contract.name}: {numbered(total, '# row[s] repeat[s|]')} rows before them in the same "
            f"order, such as {largest.rows:,} rows from row {raw.row_number[largest.first]:,} of "
            f"{raw.files[raw.file[largest.first]].path} on. All of them count as sales. Remove them if they were "
            "exported or pasted twice",
            count=total,
        )


def _month_ends(table: MappedTable) -> Iterator[Alarm]:
    if table.month_ends:
        yield raise_alarm(
            "period_labels",
            f"{table.contract.name}: the dates of the column {table.names[c.DATE]!r} are last days of months. They "
            "count as the months' first days, which label the forecast too.",
        )


def _replaced(table: MappedTable) -> Iterator[Alarm]:
    for rule in table.rules:
        replaced = table.parsed[rule.name].replaced
        if replaced is None:
            continue
        rows = np.flatnonzero(replaced)
        ids = _ids(table, rows)
        named = [*ids[0], *ids[1]] or _distinct(table, c.NAME, rows)
        where = f"{table.contract.name}: {rule.name} of {first_few(named)}"
        if rule.default is None:
            yield raise_alarm(
                "not_stated",
                f"{where} is {distinct_values(table, rule.name, rows)} and counts as not stated.",
                stores=ids[0],
                skus=ids[1],
                count=len(rows),
            )
        else:
            yield raise_alarm(
                "missing_category",
                f"{where} is empty ({distinct_values(table, rule.name, rows)}) and counts as {rule.default}.",
                stores=ids[0],
                skus=ids[1],
                count=len(rows),
            )


def _negative(table: MappedTable) -> Iterator[Alarm]:
    for rule in table.rules:
        if rule.floor is None:
            continue
        below = (table.parsed[rule.name].values < rule.floor).to_numpy()
        if below.any():
            rows = np.flatnonzero(below)
            ids = _ids(table, rows)
            yield raise_alarm(
                "negative_stock",
                f"{table.contract.name}: {rule.name} is negative in {numbered(len(rows), '# row[s]')} "
                f"({distinct_values(table, rule.name, rows)}) and counts as {rule.floor:g}, after rows of the same key "
                "are summed.",
                stores=ids[0],
                skus=ids[1],
                count=len(rows),
            )


def _mixed_ids(table: MappedTable) -> Iterator[Alarm]:
    for rule in table.rules:
        if rule.kind != "id":
            continue
        parsed = table.parsed[rule.name]
        codes, used = parsed.values.cat.codes.to_numpy(), np.zeros(len(parsed.values.cat.categories) + 1, dtype=bool)
        for part in blocks(len(codes)):
            used[codes[part][parsed.state[part] == READ]] = True
        ids = pd.Series(parsed.values.cat.categories[used[:-1]], dtype=object)  # the last one is the empty cell
        form = ids.str.casefold().str.lstrip("0")
        repeated = form.duplicated(keep=False)
        if repeated.any():
            pairs = ids[repeated].groupby(form[repeated]).agg(" and ".join)
            found = list(ids[repeated])
            yield raise_alarm(
                "mixed_ids",
                f"{table.contract.name}: ids of the column {rule.name} differ only in leading zeros or case: "
                f"{first_few(list(pairs))}. They count as different ids. Write ids in the same way in all files.",
                stores=[] if rule.name == c.SKU else found,
                skus=found if rule.name == c.SKU else [],
                count=len(pairs),
            )


def _thousands_marks(table: MappedTable) -> Iterator[Alarm]:
    """A few numbers such as 1.051 among whole numbers."""
    name, mark = table.contract.name, table.source.decimal
    other = "," if mark == "." else "."
    for rule in table.rules:
        written = table.written(rule.name)
        if rule.kind != "number" or rule.maximum is not None or not is_text(written):
            continue
        found = grouped_digits(pd.Series(written.cat.categories, dtype=object), table.source)
        rows = np.flatnonzero(written.isin(found))
        if not len(rows) or len(rows) > _FEW * len(written):
            continue
        stores, skus = _ids(table, rows)
        yield raise_alarm(
            "thousands_mark",
            f"{name}: column {rule.name} has {mark!r} in {numbered(len(rows), '# row[s]')} of {len(written):,}, with "
            f"three digits after it ({first_few(found)}), and whole numbers otherwise. It counts as the decimal mark. "
            f"If {found[0]} means {found[0].replace(mark, '')}, set sources.{name}.thousands: '{mark}' and "
            f"sources.{name}.decimal: '{other}'; if not, sources.{name}.thousands: none",
            stores=stores,
            skus=skus,
            count=len(rows),
        )


def _ids(table: MappedTable, rows: np.ndarray) -> tuple[list[str], list[str]]:
    """Return the stores and the SKUs of some rows, each once."""
    return _distinct(table, c.STORE_ID, rows), _distinct(table, c.SKU, rows)


def _distinct(table: MappedTable, column: str, rows: np.ndarray) -> list[str]:
    if column not in table.parsed:
        return []
    return list(dict.fromkeys(plain_text(table.parsed[column].values.iloc[rows]).dropna()))
