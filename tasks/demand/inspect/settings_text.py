"""The proposal as a commented settings.yaml, and as lines for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from schemas import columns as c
from schemas.errors import numbered
from tasks.demand.inspect.left_out import LeftOut
from tasks.demand.inspect.proposal import REQUIRED_TABLES, Proposal, TableProposal
from tasks.demand.words import languages

_WIDTH = 100
_COMMENT_AT = 44
_HOLDING_SHARE = 0.25
_UNUSED_SHOWN = 12
_MEANING = {
    "sales": "one row per sale line; negative units are returns",
    "products": "one row per SKU",
    "stores": "one row per store",
    "stock": "stock of the stores, counted before opening on the run date",
    "dc_stock": "stock of the distribution center that may be sent to stores",
    "calendar": "holidays, events and closed days, known in advance",
    "availability": "days on which a SKU was out of stock in a store",
    "promotions": "planned prices and discounts",
    "dc_inbound": "dated arrivals in the distribution center",
    "bundles": "components of the SKUs that are sold as a set",
    "events": "planned events and the factor on demand that they are expected to have",
}
_READING = ("sheet", "header_row", "encoding", "delimiter", "decimal", "thousands", "date_format")


def settings_text(proposal: Proposal) -> str:
    """Write the settings file.

    A line that starts with ``# decide`` is an open question; the commented lines below it are the alternatives.
    """
    lines = [
        "# Settings of Restock, proposed by `restock init`. Comments give the evidence; correct what is wrong.",
        "# Lines with `decide` need your answer. Then run `restock check`. Every key: docs/settings.md",
        _line(0, f"name: {_yaml(proposal.name)}", "names the runs"),
        _line(0, f"frequency: {proposal.frequency.value}", f"length of a period; {proposal.frequency.evidence}"),
        *_times(proposal),
        *_country(proposal),
        _line(0, "storage: ./lake", "folder for everything that Restock writes"),
        "",
        "sources:",
    ]
    for table in proposal.missing:
        lines += _comment(2, f"decide: no file with {table} was recognized; Restock needs {_MEANING[table]}.")
        lines.append(f"  # {table}: {{path: FILE, columns: {{...}}}}")
    for table, of_table in proposal.tables.items():
        lines += _table(table, of_table)
    lines += _dc_stock(proposal)
    for note in proposal.notes:
        lines += _comment(2, note)
    lines += ["", *_category(proposal), "", *_inventory(), "", *_output(proposal)]
    return "\n".join(lines) + "\n"


def understood(proposal: Proposal, settings_file: Path) -> list[str]:
    """The terminal's output at the end: tables, open questions and the next command."""
    lines = ["Tables:"]
    for table, of_table in proposal.tables.items():
        mapped = of_table.mapped
        lines.append(f"  {table:<12} {of_table.path}" + (f", sheet {mapped.sheet.sheet}" if mapped.sheet.sheet else ""))
        facts = [f"{numbered(mapped.rows, '# row[s]')} in {numbered(len(mapped.sheets), '# file[s]')}"]
        facts += [f"{key} {_shown(of_table.reading[key].value)}" for key in _READING[1:] if _decided(of_table, key)]
        ignored = sum(len(item.values) for item in of_table.left_out if item.certain)
        facts += [numbered(ignored, "# value[s] ignored")] if ignored else []
        lines += wrap(", ".join(facts), _WIDTH - 24, initial_indent=" " * 15, subsequent_indent=" " * 15)
        columns = ", ".join(f"{ours} = {written}" for ours, written in mapped.columns.items())
        lines += wrap(columns, _WIDTH - 24, initial_indent=" " * 15, subsequent_indent=" " * 15)
    lines.append(f"  category     [{', '.join(proposal.category.columns)}]: {proposal.category.evidence}")
    if proposal.first and proposal.last:
        lines.append(
            f"  period       sales from {proposal.first} to {proposal.last}, frequency {proposal.frequency.value}"
        )
    questions = proposal.questions
    lines += ["", f"To decide ({len(questions)}):" if questions else "The files leave no question open."]
    for text in questions:
        lines += wrap(text, _WIDTH - 22, initial_indent="  - ", subsequent_indent="    ", break_long_words=False)
    default = settings_file.name == "settings.yaml" and settings_file.parent.resolve() == Path.cwd()
    command = "restock check" + ("" if default else f" --settings {settings_file}")
    command += f" --as-of {proposal.as_of}" if proposal.as_of else ""
    general = "The file also asks for country, currency, lead time and holding cost (lines with `decide`)."
    lines += ["", *wrap(general, _WIDTH - 20)]
    return [*lines, "", f"Written: {settings_file}", f"Next: read it, then run  {command}"]


def _decided(of_table: TableProposal, key: str) -> bool:
    found = of_table.reading.get(key)
    return bool(found and found.value is not None and not (key == "header_row" and found.value == "1"))


def _times(proposal: Proposal) -> list[str]:
    if proposal.times is None:
        return []
    return [_line(0, "aggregate: true", f"dates have a time of day, such as {proposal.times}: lines are summed")]


def _country(proposal: Proposal) -> list[str]:
    name, code = languages()[proposal.language or "en"]
    why = f" (column names are {name})" if proposal.language else ""
    report = "es" if proposal.language == "es" else "en"
    return [
        _line(0, f"# country: {code}", f"decide: ISO code of the country, for public holidays{why}"),
        _line(0, "# currency: EUR", "decide: ISO code, shown in the report"),
        _line(0, f"# language: {report}", "decide: language of the report, en or es"),
    ]


def _table(table: str, of_table: TableProposal) -> list[str]:
    mapped = of_table.mapped
    files = f"{len(mapped.sheets)} files, " if len(mapped.sheets) > 1 else ""
    need = "" if table in REQUIRED_TABLES else " (optional)"
    lines = [_line(2, f"{table}:", f"{_MEANING[table]}{need}")]
    lines.append(_line(4, f"path: {_yaml(of_table.path)}", files + numbered(mapped.rows, "# row[s]")))
    for text in of_table.questions:
        lines += _comment(4, f"decide: {text}")
    for key in _READING:
        found = of_table.reading.get(key)
        if found is None:
            continue
        if found.value is None:
            options = found.options or {"decimal": (",", ".")}.get(key, ())
            lines += [f"    # {key}: {_yaml(option)}" for option in options]
            continue
        value = found.value if key == "header_row" else _yaml(found.value)
        lines.append(_line(4, f"{key}: {value}", found.evidence))
    lines.append("    columns:")
    lines += [
        _line(6, f"{ours}: {_yaml(written)}", mapped.evidence.get(ours) or _example(of_table, written))
        for ours, written in mapped.columns.items()
    ]
    lines += _ignored(of_table.left_out)
    if of_table.unused:
        shown = ", ".join(of_table.unused[:_UNUSED_SHOWN]) + (", ..." if len(of_table.unused) > _UNUSED_SHOWN else "")
        lines += _comment(4, f"other columns of the file, kept as they are: {shown}")
    return lines


def _dc_stock(proposal: Proposal) -> list[str]:
    """The stock of a distribution center whose rows are in the file of the stores."""
    centers = proposal.centers
    if not centers:
        return []
    stock = proposal.tables["stock"]
    source: dict[str, Any] = {"path": stock.path}
    source |= {key: found.value for key, found in stock.reading.items() if found.value and key != "header_row"}
    source["columns"] = {c.SKU: stock.mapped.columns[c.SKU], c.AVAILABLE: stock.mapped.columns[c.ON_HAND]}
    source["only"] = {stock.mapped.columns[c.STORE_ID]: centers}
    why = (
        f"stock of {', '.join(centers)} in the file of the stores: limits what can be sent. Remove the next line if "
        "another distribution center supplies the stores"
    )
    return [*_comment(2, why), f"  dc_stock: {_yaml(source)}"]


def _ignored(left: list[LeftOut]) -> list[str]:
    merged: dict[str, list[LeftOut]] = {}
    for item in left:
        if item.certain:
            merged.setdefault(item.column, []).append(item)
    lines = ["    ignore:"] if merged else []
    for column, items in merged.items():
        values = [value for item in items for value in item.values]
        lines.append(_line(6, f"{_yaml(column)}: {_yaml(values)}", "; ".join(item.evidence for item in items)))
    for item in left:
        if not item.certain:
            what = f"{_yaml(item.column)}: {_yaml(list(item.values))}"
            lines += _comment(6 if merged else 4, f"not ignored: {{{what}}} ({item.evidence})")
    return lines


def _example(of_table: TableProposal, written: str) -> str:
    column = of_table.mapped.sheet.columns[written]
    return f"such as {column.texts[0][:40]}" if column.texts else ""


def _category(proposal: Proposal) -> list[str]:
    category = proposal.category
    names = ", ".join(category.columns)
    lines = [_line(0, f"category: [{names}]", f"what is forecast together: {category.evidence}")]
    for text in category.alternatives[:4]:
        lines += _comment(0, f"or {text}")
    return lines


def _inventory() -> list[str]:
    return [
        "inventory:",
        _line(
            2, f"holding_cost_per_year: {_HOLDING_SHARE}", "decide: cost of holding stock, share of the price a year"
        ),
        _line(2, "lead_time: 0", "decide: whole periods between an order and the shelf"),
    ]


def _output(proposal: Proposal) -> list[str]:
    """Format of the ERP's file: that of its exports."""
    sales = proposal.tables.get("sales")
    reading = sales.reading if sales else {}
    given = {key: reading[key].value for key in ("delimiter", "decimal", "encoding") if key in reading}
    known = {key: value for key, value in given.items() if value}
    if not known or known == {"delimiter": ",", "encoding": "utf-8"}:
        return []
    return [
        *_comment(0, "decide: write replenishment.csv like the sales export, if your ERP reads it in this form"),
        f"# output: {_yaml(known)}",
    ]


def _line(indent: int, text: str, comment: str = "") -> str:
    """A line with its comment next to it, or above it if it does not fit."""
    start = " " * indent + text
    if not comment:
        return start
    if max(len(start) + 2, _COMMENT_AT) + len(comment) <= _WIDTH + 16:
        return f"{start:<{_COMMENT_AT - 2}}  # {comment}"
    return "\n".join([*_comment(indent, comment), start])


def _comment(indent: int, text: str) -> list[str]:
    start = " " * indent + "# "
    return wrap(text, _WIDTH, initial_indent=start, subsequent_indent=f"{start}  ", break_long_words=False)


def _yaml(value: Any) -> str:
    """A value in flow style; text is quoted if YAML would read something else."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_yaml(key)}: {_yaml(inner)}' for key, inner in value.items())}}}"
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 30)
    text = text.strip().removesuffix("...").strip()
    plain = str(value) == text and text[:1].isalpha() and not set(text) & set("[]{},#")
    return text if plain or not isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: str | None) -> str:
    return f"'{value}'" if value in (",", ".", ";", "\t", "|", " ") else str(value)
