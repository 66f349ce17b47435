"""The content of a settings file for a folder of exports, with evidence and open questions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import fnmatch
from pathlib import Path

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.tables import TABLES
from tasks.demand.inspect.categories import CategoryProposal, propose_category
from tasks.demand.inspect.left_out import LeftOut, is_left_out, rows_to_leave_out
from tasks.demand.inspect.names import language_of
from tasks.demand.inspect.sheets import Sheet, read_folder
from tasks.demand.inspect.tables import Mapped, assign, merged
from tasks.demand.inspect.values import Column, Finding, NumberMarks, date_format, days_of, number_marks
from tasks.demand.words import languages

REQUIRED_TABLES = ("sales", "products", "stores")
_TEXT_FILES = ("csv", "csv.gz")
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
# Minimum number of dates from which the frequency is judged.
_DATES = 8
_IDS_SHOWN = 5
# In some countries with this language, the month comes first.
_MONTH_FIRST = "en"
_TIME = re.compile(r"[T ](?!00:00(:00(\.0*)?)?)\d{1,2}:\d{2}")
# Below this share of known ids, the column itself is questionable.
_FEW = 0.5


@dataclass
class TableProposal:
    """One table of the settings file.

    Attributes:
        mapped: its files and columns.
        path: path or glob as the settings have it.
        reading: setting to its value and evidence; a value of None is open.
        left_out: rows to leave out.
        questions: what the user decides.
        unused: columns of the files that no setting names.
    """

    mapped: Mapped
    path: str
    reading: dict[str, Finding]
    left_out: list[LeftOut]
    questions: list[str]
    unused: list[str]


@dataclass
class Proposal:
    """The settings file before it is written.

    Attributes:
        name: name of the runs.
        tables: table to its proposal, in the order of the contract.
        category: the forecast category.
        frequency: code and evidence.
        times: a date with a time of day in the sales; None if no date has one.
        first: first day of sales; None if no date could be read.
        last: last day of sales.
        language: code of the language of the column names.
        missing: required tables without a file.
        notes: files that were skipped or not recognized.
    """

    name: str
    tables: dict[str, TableProposal]
    category: CategoryProposal
    frequency: Finding
    times: str | None
    first: date | None
    last: date | None
    language: str | None
    missing: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def as_of(self) -> date | None:
        """The first day after the period of the last sales."""
        if self.last is None:
            return None
        frequency = Frequency(self.frequency.value or "D")
        return frequency.first_label_from(self.last + timedelta(days=1)).date()

    @property
    def questions(self) -> list[str]:
        """All open questions, with their table."""
        missing = [f"no file with {table} was recognized; Restock needs it" for table in self.missing]
        found = [f"sources.{table}: {text}" for table, of in self.tables.items() for text in of.questions]
        return [*missing, *found, *self.notes]

    @property
    def centers(self) -> list[str]:
        """Distribution centers in the stock of the stores, if no file has their stock."""
        if "stock" not in self.tables or "dc_stock" in self.tables:
            return []
        return [value for item in self.tables["stock"].left_out if item.dc for value in item.values]


def propose(folder: Path, home: Path) -> Proposal:
    """Look at the files of a folder.

    Args:
        folder: the exports.
        home: folder of the settings file, from which their paths start.
    """
    sheets, skipped = read_folder(folder)
    found, unknown = assign(sheets)
    left = rows_to_leave_out(found)
    language = language_of([name for sheet in sheets for name in sheet.columns])
    order = _date_order(found, language)
    tables = {table: _table(mapped, sheets, home, left[table], found, order) for table, mapped in found.items()}
    days = _sales_days(tables.get("sales"))
    return Proposal(
        name=folder.resolve().name,
        tables={table: tables[table] for table in ("sales", "products", "stores", *TABLES) if table in tables},
        category=propose_category(found.get("products")),
        frequency=_frequency(days),
        times=_time_of_day(tables.get("sales")),
        first=days[0] if days else None,
        last=days[-1] if days else None,
        language=language,
        missing=[table for table in REQUIRED_TABLES if table not in found],
        notes=[*skipped, *unknown],
    )


def _date_order(found: Mapping[str, Mapped], language: str | None) -> Finding | None:
    """``%d`` or ``%m``: the first part of all dates, by unambiguous dates if there are any, else by the language."""
    forms = [
        (form.value[:2], table)
        for table, mapped in found.items()
        for name in mapped.columns
        if mapped.sheet.columns[mapped.columns[name]].is_date and (form := date_format(mapped.column(name)))
        if form.value and form.value.startswith(("%d", "%m"))
    ]
    orders = {order for order, _ in forms}
    if len(orders) == 1:
        return Finding(forms[0][0], f"as in {forms[0][1]}")
    if not orders and language is not None and language != _MONTH_FIRST:
        return Finding("%d", f"column names are {languages()[language][0]}, so the day is first")
    return None


def _table(
    mapped: Mapped,
    sheets: Sequence[Sheet],
    home: Path,
    left: list[LeftOut],
    found: Mapping[str, Mapped],
    order: Finding | None,
) -> TableProposal:
    questions = list(mapped.questions)
    path = _glob([sheet.path for sheet in mapped.sheets], {sheet.path for sheet in sheets}, home)
    if path is None:
        names = ", ".join(sheet.path.name for sheet in mapped.sheets)
        questions.append(f"no pattern matches exactly {names}; give them similar names. Only the first file is read")
        mapped.sheets = mapped.sheets[:1]
        path = _relative(mapped.sheet.path, home)
    reading = _reading(mapped, questions, order)
    questions += [f"{item.column}: {item.evidence}" for item in left if not item.certain and "?" in item.evidence]
    questions += _unknown_ids(mapped, left, found)
    return TableProposal(mapped, path, reading, left, questions, _unused(mapped, left))


def _reading(mapped: Mapped, questions: list[str], order: Finding | None) -> dict[str, Finding]:
    """Format of the files; a difference between files becomes a question."""
    reading: dict[str, Finding] = {}
    for key in ("sheet", "encoding", "delimiter", "header_row"):
        # Encoding and delimiter are those of the text files among them.
        sheets = [sheet for sheet in mapped.sheets if key in sheet.evidence]
        if not sheets or (key == "sheet" and sheets[0].sheet is None):
            continue
        values = list(dict.fromkeys(str(getattr(sheet.source, key)) for sheet in sheets))
        if key == "header_row":
            # The reading code finds the header of every file by the mapped names; a single file states it.
            if values != ["1"] and len(mapped.sheets) == 1:
                reading[key] = Finding(values[0], sheets[0].evidence[key])
            continue
        reading[key] = Finding(values[0], sheets[0].evidence[key])
        if len(values) > 1:
            questions.append(f"{key} differs between the files: {', '.join(sorted(values))}")
    texts = [sheet for sheet in mapped.sheets if sheet.kind in _TEXT_FILES]
    if texts or any(_is_text_number(column) for column in mapped.sheet.columns.values()):
        _add_marks(mapped, texts or mapped.sheets, reading, questions)
    _add_date_format(mapped, reading, questions, order)
    return reading


def _is_text_number(column: Column) -> bool:
    return column.is_number and any(set(text) & set(", '’") for text in column.texts)


def _add_marks(mapped: Mapped, sheets: Sequence[Sheet], reading: dict[str, Finding], questions: list[str]) -> None:
    contract = TABLES[mapped.table]
    numbers = [
        merged([sheet.columns[written] for sheet in sheets if written in sheet.columns])
        for name, written in mapped.columns.items()
        if (rule := contract.rule(name)) is not None and rule.kind == "number"
    ]
    marks: NumberMarks = number_marks(numbers)
    if marks.decimal:
        reading["decimal"] = marks.decimal
        if marks.decimal.value is None:
            questions.append(f"decimal: {marks.decimal.evidence}")
    if marks.thousands:
        reading["thousands"] = marks.thousands


def _add_date_format(mapped: Mapped, reading: dict[str, Finding], questions: list[str], order: Finding | None) -> None:
    dates = [name for name in mapped.columns if mapped.sheet.columns[mapped.columns[name]].is_date]
    formats = {name: _in_order(date_format(mapped.column(name)), order) for name in dates}
    given = [form for form in formats.values() if form]
    decided = {form.value for form in given if form.value}
    if len(decided) > 1 or (decided and len(given) < len(formats)):
        questions.append("date_format: the date columns have different formats; Restock reads ISO 8601 and one other")
    if given:
        chosen = next((form for form in given if form.value), given[0])
        reading["date_format"] = chosen
        if chosen.value is None:
            questions.append(f"date_format: {chosen.evidence}")


def _in_order(form: Finding | None, order: Finding | None) -> Finding | None:
    """Decide between day and month first as the other files do."""
    if form is None or form.value is not None or order is None:
        return form
    chosen = next((option for option in form.options if option.startswith(str(order.value))), None)
    return Finding(chosen, f"{order.evidence}; {form.evidence}") if chosen else form


def _unknown_ids(mapped: Mapped, left: Sequence[LeftOut], found: Mapping[str, Mapped]) -> list[str]:
    """Count the ids that are in the referenced tables, and name the others: their rows are rejected."""
    lines = []
    for key, table in ((c.SKU, "products"), (c.STORE_ID, "stores")):
        if mapped.table == table or key not in mapped.columns or table not in found:
            continue
        counts = {text: count for text, count in mapped.count(key).items() if not is_left_out(left, key, text)}
        known = set(found[table].column(key).texts)
        # Rows that repeat the header are not data.
        header = {mapped.columns[key]}
        unknown = sorted(
            (text for text in counts if text not in known | header), key=lambda text: (-counts[text], text)
        )
        where = f"{table} ({found[table].columns[key]})"
        inside = sum(text in known for text in counts)
        mapped.evidence[key] = f"{inside:,} of {len(counts):,} values are in {where}"
        if not unknown:
            continue
        shown = ", ".join(f"'{text}'" for text in unknown[:_IDS_SHOWN])
        bare = {text.lstrip("0").casefold() for text in known}
        zeros = sum(text.lstrip("0").casefold() in bare for text in unknown)
        if zeros > _FEW * len(unknown):
            lines.append(
                f"{key}: {zeros:,} ids of column '{mapped.columns[key]}' differ from those in {where} only in leading "
                f"zeros or case ({shown}). They count as the same; better export the column as text"
            )
        elif inside < _FEW * len(counts):
            lines.append(f"{key}: most ids of column '{mapped.columns[key]}' are not in {where}, such as {shown}")
        else:
            ids = "an id that is" if len(unknown) == 1 else f"{len(unknown):,} ids that are"
            lines.append(
                f"{key}: {sum(counts[text] for text in unknown):,} rows have {ids} not in {where}: {shown}. They are "
                f"rejected unless {table} gets them or `ignore` names them"
            )
    return lines


def _unused(mapped: Mapped, left: Sequence[LeftOut]) -> list[str]:
    used = {*mapped.columns.values(), *(item.column for item in left)}
    return [name for name in mapped.sheet.columns if name not in used]


def _relative(path: Path, home: Path) -> str:
    try:
        return path.resolve().relative_to(home.resolve()).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _glob(paths: Sequence[Path], everything: set[Path], home: Path) -> str | None:
    """A path, or a pattern that matches exactly these files of one folder; None if no pattern does."""
    if len({path.parent for path in paths}) > 1:
        return None
    if len(paths) == 1:
        return _relative(paths[0], home)
    names = [path.name for path in paths]
    start = _same_start(names).rstrip("0123456789")
    end = _same_start([name[::-1] for name in names])[::-1].lstrip("0123456789")
    folder = _relative(paths[0].parent / "x", home)[:-1]
    for pattern in (f"{start}*{end}", f"{start}*{''.join(paths[0].suffixes)}", f"*{end}"):
        matched = {path for path in everything if path.parent == paths[0].parent and fnmatch(path.name, pattern)}
        if matched == set(paths):
            return f"{folder}{pattern}"
    return None


def _same_start(names: Sequence[str]) -> str:
    """The letters with which all names begin.

    >>> _same_start(["ventas_2023.csv", "ventas_2024.csv"])
    'ventas_202'
    """
    same = next((at for at, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), None)
    return names[0][:same] if same is not None else min(names, key=len)


def _sales_days(sales: TableProposal | None) -> list[date]:
    if sales is None:
        return []
    form = sales.reading.get("date_format")
    if form and form.value is None:
        return []
    column = merged([sheet.columns[sales.mapped.columns[c.DATE]] for sheet in sales.mapped.sheets])
    return days_of(column, form.value if form else None)


def _time_of_day(sales: TableProposal | None) -> str | None:
    """A date of the sales with a time of day other than midnight."""
    if sales is None:
        return None
    return next((text for text in sales.mapped.column(c.DATE).texts if _TIME.search(text)), None)


def _frequency(days: Sequence[date]) -> Finding:
    """Days, weeks or months, by the weekdays and days of the month that occur."""
    if len(days) < _DATES:
        return Finding("D", "one period is a day")
    weekdays = {day.weekday() for day in days}
    if all(day.day == 1 for day in days):
        return Finding("MS", "every date is the first of a month")
    if len(weekdays) == 1:
        return Finding(f"W-{_WEEKDAYS[weekdays.pop()]}", "every date is the same weekday")
    return Finding("D", f"sales on {len(weekdays)} weekdays")
