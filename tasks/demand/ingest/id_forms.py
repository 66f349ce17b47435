"""Ids whose form differs from the table that they refer to: spaces, 123.0, other case, leading zeros lost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from schemas.suites import READ
from schemas.tables import ColumnRule
from tasks.demand.ingest.mapped_table import MappedTable

# Spaces of all kinds, characters without width, and the apostrophe by which Excel marks a text.
_AROUND = re.compile(r"^['\s\u200b\u200c\u200d\u2060\ufeff\u00ad]+|[\s\u200b\u200c\u200d\u2060\ufeff\u00ad\x00]+$")
_WHOLE = re.compile(r"(\d+)\.0+")


def bare_id(text: str) -> str:
    """Return an id without the spaces around it and without ``.0``.

    >>> bare_id("007 "), bare_id("4006381333931.0")
    ('007', '4006381333931')
    """
    bare = _AROUND.sub("", text)
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare


def _any_case(text: str) -> str:
    return bare_id(text).casefold()


def _without_zeros(text: str) -> str:
    """The id as a spreadsheet shows it if it reads the id as a number."""
    bare = bare_id(text)
    return bare.lstrip("0") if bare.isdigit() else bare


def with_known_ids(tables: Mapping[str, MappedTable]) -> tuple[dict[str, MappedTable], list[Alarm]]:
    """Replace ids that are unknown in the table they refer to, and known in another form.

    The forms are tried in turn: without spaces and ``.0``, then regardless of case, then without leading zeros. An id
    is replaced only if exactly one known id has its form.

    Args:
        tables: all tables, referenced ones among them.

    Returns:
        The tables, and one alarm per column with replaced ids.
    """
    found: dict[str, MappedTable] = {}
    alarms: list[Alarm] = []
    for name, table in tables.items():
        parsed = dict(table.parsed)
        for rule in table.rules:
            if rule.references is not None and rule.references in tables:
                values, rows, pairs = _replaced(table, rule, tables[rule.references])
                if rows:
                    parsed[rule.name] = replace(parsed[rule.name], values=values)
                    alarms.append(_alarm(name, rule, rows, pairs))
        found[name] = replace(table, parsed=parsed)
    return found, alarms


def _replaced(table: MappedTable, rule: ColumnRule, other: MappedTable) -> tuple[pd.Series, int, list[tuple[str, str]]]:
    """The column with known ids, the number of rows that changed, and the pairs of old and new ids."""
    column = table.parsed[rule.name]
    key = other.parsed[other.contract.key[0]].values
    known = set(key.cat.categories)
    unknown = [text for text in column.values.cat.categories if text not in known]
    if not unknown:
        return column.values, 0, []
    pairs = _pairs(unknown, known)
    if not pairs:
        return column.values, 0, []
    texts = [pairs.get(text, text) for text in column.values.cat.categories]
    position, categories = pd.factorize(np.array(texts, dtype=object))
    codes = column.values.cat.codes.to_numpy()
    changed = np.array([text in pairs for text in column.values.cat.categories])
    rows = int((changed[codes[codes >= 0]]).sum()) if (column.state == READ).any() else 0
    fresh = np.where(codes >= 0, position[codes], -1)
    values = pd.Categorical.from_codes(fresh, dtype=pd.CategoricalDtype(pd.Index(categories, dtype=object)))
    return pd.Series(values, index=column.values.index), rows, sorted(pairs.items())


def _pairs(unknown: list[str], known: set[str]) -> dict[str, str]:
    """Unknown id to the known id that has the same form."""
    pairs: dict[str, str] = {}
    for form in (bare_id, _any_case, _without_zeros):
        forms: dict[str, list[str]] = {}
        for text in known:
            forms.setdefault(form(text), []).append(text)
        for text in [text for text in unknown if text not in pairs]:
            same = forms.get(form(text), [])
            if len(same) == 1:
                pairs[text] = same[0]
    return pairs


def _alarm(name: str, rule: ColumnRule, rows: int, pairs: list[tuple[str, str]]) -> Alarm:
    shown = first_few([f"{old!r} for {new!r}" for old, new in pairs])
    return raise_alarm(
        "id_spelling",
        f"{name}: {rule.name} is written in another form than in {rule.references} in {numbered(rows, '# row[s]')} "
        f"({shown}) and counts as the id there. Write ids in the same way in all files",
        count=rows,
    )
