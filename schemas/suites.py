"""Great Expectations suites, built from the one definition of each table in :mod:`schemas.tables`.

The expectations are data (:class:`Expected`) until a suite is made of them: `restock check` evaluates the same
expectations without Great Expectations, because that import takes seconds.

A suite checks a *check frame*: the typed columns under Restock's names, and for each a column that states how the
cell was read (:func:`read_column`). If a rule needs arithmetic that Great Expectations does not have (labels of a
frequency), or a set of ids, which it would copy dozens of times, the check frame contains a column of true and false.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from schemas import columns as c
from schemas.tables import LARGEST_NUMBER, ColumnRule, Kind, TableContract

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

# How a cell was read.
READ = 0
EMPTY = 1
UNREADABLE = 2
SCIENTIFIC = 3
ERROR_VALUE = 4
FORMULA = 5
TOO_LARGE = 6
NO_FACTOR = 7
CONTROL = 8
# Reasons that a suite checks only if such cells occur.
WRONG_CELLS = {
    SCIENTIFIC: "number in scientific notation instead of a code",
    ERROR_VALUE: "Excel error value",
    FORMULA: "formula without a computed value",
    TOO_LARGE: f"{LARGEST_NUMBER:g} or larger",
    NO_FACTOR: "not in the conversion table",
    CONTROL: "control character in an ID",
}

WHOLE_ROW = "row as written"
EARLIEST = pd.Timestamp("1970-01-02")
_EXPECTED: dict[Kind, str] = {
    "id": "text",
    "text": "text",
    "number": "a number",
    "date": "a date",
    "flag": "0/1, true/false or yes/no",
}

Scope = Literal["column", "label", "pair", "key"]


@dataclass(frozen=True)
class Reason:
    """Reason why a row is bad; an expectation has it in its ``meta``.

    Attributes:
        text: the reason in the quarantine and in messages.
        columns: the columns it is about.
        scope: scope of one column, of a date's place on the frequency, of a pair of columns, or of the table's key.
    """

    text: str
    columns: tuple[str, ...]
    scope: Scope = "column"

    @property
    def column(self) -> str:
        """The first column."""
        return self.columns[0]

    @property
    def meta(self) -> dict[str, object]:
        """The reason as a mapping of JSON values; :meth:`of` reads it."""
        return {"text": self.text, "columns": list(self.columns), "scope": self.scope}

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> Reason:
        """From an expectation's ``meta``."""
        return cls(meta["text"], tuple(meta["columns"]), meta["scope"])


@dataclass(frozen=True)
class Expected:
    """One expectation as data.

    Attributes:
        kind: name of its class in Great Expectations.
        arguments: its arguments.
        meta: its :class:`Reason` as a mapping.
    """

    kind: str
    arguments: Mapping[str, Any]
    meta: Mapping[str, Any]


class _Vocabulary:
    """Makes :class:`Expected` records under the class names of Great Expectations."""

    def __getattr__(self, kind: str) -> Callable[..., Expected]:
        return lambda meta, **arguments: Expected(kind, arguments, meta)


def expected_words(kind: Kind) -> str:
    """The expected content of a column, in words."""
    return _EXPECTED[kind]


def read_column(column: str) -> str:
    """Name of the check column that says how a cell was read: READ, EMPTY or UNREADABLE."""
    return f"{column} (as read)"


def label_column(column: str) -> str:
    """Name of the check column that says whether a date is a label of the frequency."""
    return f"{column} (is a label)"


def known_column(column: str) -> str:
    """Name of the check column that says whether an id is empty or in the table that it refers to."""
    return f"{column} (is known)"


def as_suite(name: str, expectations: Sequence[Expected]) -> ExpectationSuite:
    """Make a Great Expectations suite; its import takes seconds."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    made = [getattr(gxe, one.kind)(**one.arguments, meta=dict(one.meta)) for one in expectations]
    return gx.ExpectationSuite(name=name, expectations=made)


def table_expectations(
    contract: TableContract,
    rules: Sequence[ColumnRule],
    frequency: str | None,
    wrong: Mapping[str, Collection[int]] = {},
) -> list[Expected]:
    """The expectations of one table, for the columns that its files have.

    Args:
        contract: the table.
        rules: rules of the columns that are present, after the column mapping.
        frequency: its code, if dates must be labels of it; None = any day.
        wrong: column to the states of its cells that are keys of :data:`WRONG_CELLS`.

    Returns:
        Expectations whose ``meta`` is a :class:`Reason` as a mapping. A column's expectations are in
        order of precedence: the first one that a row fails is its reason.
    """
    gxe = _expectations()
    expectations: list[Expected] = [
        gxe.ExpectColumnValuesToBeInSet(
            column=WHOLE_ROW, value_set=[READ], meta=Reason("wrong number of cells", (WHOLE_ROW,)).meta
        )
    ]
    for rule in rules:
        expectations += _wrong_cells(rule, wrong.get(rule.name, ()))
        expectations += _reading(rule)
        expectations += _range(rule)
        if rule.references:
            expectations.append(_reference(rule))
        if rule.name == c.DATE and contract.periodic and frequency:
            expectations.append(_label(rule, frequency))
    expectations += _across_columns(contract, [rule.name for rule in rules])
    return expectations


def _expectations() -> _Vocabulary:
    return _Vocabulary()


def _wrong_cells(rule: ColumnRule, states: Collection[int]) -> list[Expected]:
    gxe = _expectations()
    return [
        gxe.ExpectColumnValuesToNotBeInSet(
            column=read_column(rule.name),
            value_set=[state],
            meta=Reason(f"{rule.name}: {WRONG_CELLS[state]}", (rule.name,)).meta,
        )
        for state in sorted(states)
    ]


def _reading(rule: ColumnRule) -> list[Expected]:
    gxe = _expectations()
    column = read_column(rule.name)
    found: list[Expected] = []
    if rule.kind not in ("id", "text"):
        text = f"{rule.name}: not {expected_words(rule.kind)}"
        found.append(
            gxe.ExpectColumnValuesToNotBeInSet(
                column=column, value_set=[UNREADABLE], meta=Reason(text, (rule.name,)).meta
            )
        )
    if not rule.nullable:
        meta = Reason(f"{rule.name}: empty", (rule.name,)).meta
        found.append(gxe.ExpectColumnValuesToNotBeInSet(column=column, value_set=[EMPTY], meta=meta))
    return found


def _range(rule: ColumnRule) -> list[Expected]:
    if rule.kind == "date" and rule.name == c.DATE:
        # Day zero of a spreadsheet (1900) or of a clock (1970), not a real date.
        return [_between(rule, f"before {EARLIEST.date()}", low=EARLIEST)]
    if rule.choices:
        meta = Reason(f"{rule.name}: not one of {', '.join(rule.choices)}", (rule.name,)).meta
        return [_expectations().ExpectColumnValuesToBeInSet(column=rule.name, value_set=list(rule.choices), meta=meta)]
    if rule.kind != "number":
        return []
    found = [_between(rule, "infinite", low=-sys.float_info.max, high=sys.float_info.max)]
    if rule.minimum is not None:
        found.append(_between(rule, f"below {rule.minimum:g}", low=rule.minimum))
    if rule.maximum is not None:
        found.append(_between(rule, f"above {rule.maximum:g}", high=rule.maximum))
    return found


def _between(
    rule: ColumnRule, text: str, low: float | pd.Timestamp | None = None, high: float | None = None
) -> Expected:
    gxe = _expectations()
    meta = Reason(f"{rule.name}: {text}", (rule.name,)).meta
    return gxe.ExpectColumnValuesToBeBetween(column=rule.name, min_value=low, max_value=high, meta=meta)


def _reference(rule: ColumnRule) -> Expected:
    gxe = _expectations()
    meta = Reason(f"{rule.name}: not in table {rule.references}", (rule.name,)).meta
    return gxe.ExpectColumnValuesToBeInSet(column=known_column(rule.name), value_set=[True], meta=meta)


def _label(rule: ColumnRule, frequency: str) -> Expected:
    gxe = _expectations()
    meta = Reason(f"{rule.name}: no period of frequency {frequency} begins there", (rule.name,), "label").meta
    return gxe.ExpectColumnValuesToBeInSet(column=label_column(rule.name), value_set=[True], meta=meta)


def _across_columns(contract: TableContract, present: Sequence[str]) -> list[Expected]:
    gxe = _expectations()
    found: list[Expected] = []
    if c.DATE_FROM in present and c.DATE_TO in present:
        found.append(
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=c.DATE_TO,
                column_B=c.DATE_FROM,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                meta=Reason(f"{c.DATE_TO}: before {c.DATE_FROM}", (c.DATE_TO, c.DATE_FROM), "pair").meta,
            )
        )
    key = [column for column in contract.key if column in present]
    if key and contract.repeats in ("fault", "bad_row"):
        meta = Reason(f"repeated key ({', '.join(key)})", tuple(key), "key").meta
        found.append(
            gxe.ExpectColumnValuesToBeUnique(column=key[0], meta=meta)
            if len(key) == 1
            else gxe.ExpectCompoundColumnsToBeUnique(column_list=key, ignore_row_if="any_value_is_missing", meta=meta)
        )
    return found
