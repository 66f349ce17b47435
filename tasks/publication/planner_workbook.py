"""The planner's workbook ``replenishment.xlsx``: what to send, and the data to check it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.outputs import COSTS, PAIR, TARGETS, TRANSFERS, WORKBOOK, RunFacts, RunOutputs
from schemas.run import RunContext
from schemas.tables import OVERRIDES
from tasks.publication.product_names import described
from tasks.publication.workbook import Sheet, write_workbook
from tasks.report.exceptions import exceptions
from tasks.report.language import Language, message
from tasks.storage.row_order import row_order

REJECTED = message("rejected")
_NAMES = (c.PRODUCT_NAME, c.SIZE, c.COLOR)
_PROBLEM = "problem"
_ROW = "row"
_COST_MONEY = (c.TRANSPORT, c.LOST_SALES, c.HOLDING, c.OVER_CAPACITY, c.TOTAL, c.LOWER_BOUND, c.TOTAL_P95)


def write_planner_workbook(folder: Path, outputs: RunOutputs, facts: RunFacts, run: RunContext) -> None:
    """Write ``replenishment.xlsx``.

    Args:
        folder: local folder of the run.
        outputs: tables of the run with quantities to send.
        facts: other facts of the run.
        run: settings and run date.
    """
    settings, say = run.settings, Language.of(run.settings)
    sheets = (
        _send(outputs),
        _targets(outputs, say),
        Sheet("Exceptions", _translated(exceptions(outputs, facts, run, say), c.KIND, say), money=(c.MONEY,)),
        _forecast(outputs, run),
        Sheet("Costs", _costs(outputs.costs), COSTS.file, money=_COST_MONEY, percent=(c.FILL_RATE, c.GAP)),
        Sheet("Overrides", _translated(_overrides(outputs, facts, run), c.STATUS, say), general=(c.VALUE,)),
        Sheet("Rejected rows", _rejected(outputs.quarantine), "quarantine.csv"),
    )
    write_workbook(folder / WORKBOOK, sheets, run.as_of, settings.currency or "", settings.output.columns)


def _send(outputs: RunOutputs) -> Sheet:
    """Everything to send now, with the stock and the value of the goods."""
    transfers = pd.DataFrame(columns=TRANSFERS.columns) if outputs.transfers is None else outputs.transfers
    rows = transfers.iloc[row_order(transfers, PAIR)].merge(_pairs(outputs), on=list(PAIR), how="left")
    price = None if outputs.products is None else outputs.products.set_index(c.SKU)[c.UNIT_PRICE]
    value = float("nan") if price is None else rows[c.QUANTITY].to_numpy() * price.reindex(rows[c.SKU]).to_numpy()
    rows = rows.assign(**{c.MONEY: value})
    wanted = (c.FROM, *PAIR, *_NAMES, c.CATEGORY, c.QUANTITY, c.DELIVERY_DATE, c.ON_HAND, c.IN_TRANSIT)
    columns = [name for name in (*wanted, c.TARGET_QUANTITY, c.MONEY) if name in rows.columns]
    return Sheet("Send", rows[columns], TRANSFERS.file, largest=c.QUANTITY, money=(c.MONEY,))


def _translated(frame: pd.DataFrame, column: str, say: Language) -> pd.DataFrame:
    """The frame with the words of a column in the language of the reader."""
    return frame.assign(**{column: [say.known(str(text)) for text in frame[column]]})


def _targets(outputs: RunOutputs, say: Language) -> Sheet:
    """Every published target, with stock, forecast and binding constraint."""
    wanted = (*PAIR, *_NAMES, c.CATEGORY, c.TARGET_QUANTITY, c.TO_SEND, c.ON_HAND, c.IN_TRANSIT)
    rows = _pairs(outputs)
    columns = [name for name in (*wanted, c.SKU_FORECAST, c.VISIT_DATE, c.NEXT_VISIT, c.LIMIT) if name in rows.columns]
    rows = _translated(rows, c.LIMIT, say) if c.LIMIT in columns else rows
    return Sheet("Targets", rows[columns], TARGETS.file, largest=c.TARGET_QUANTITY)


def _pairs(outputs: RunOutputs) -> pd.DataFrame:
    """The published targets with names and, if there are explanations, stock, forecast, dates and constraint."""
    targets = outputs.replenishment.astype(dict.fromkeys(PAIR, str))
    rows = described(targets.iloc[row_order(targets, PAIR)], outputs.products)
    known = outputs.explanations
    if known is None:
        return rows.reset_index(drop=True)
    columns = [c.CATEGORY, c.ON_HAND, c.IN_TRANSIT, c.SKU_FORECAST, c.VISIT_DATE, c.NEXT_VISIT, c.LIMIT]
    added = known[[*PAIR, *(name for name in columns if name not in rows.columns)]].astype(dict.fromkeys(PAIR, str))
    return rows.merge(added, on=list(PAIR), how="left")


def _forecast(outputs: RunOutputs, run: RunContext) -> Sheet:
    """Expected units of every series by the champion: per 7 days from the run date, or per week or month."""
    labels = run.settings.period.range(run.as_of, run.settings.horizon + 1)
    step = run.settings.period.periods_per_week
    starts = labels[:-1:step]
    ends = [labels[min(at + step, len(labels) - 1)] - pd.Timedelta(days=1) for at in range(0, len(labels) - 1, step)]
    rows = outputs.forecast[outputs.forecast[c.CHAMPION].to_numpy(dtype=bool)]
    # Sums of floats depend on the order of the rows.
    rows = rows.iloc[row_order(rows, [c.STORE_ID, c.CATEGORY, c.DATE])]
    block = starts.searchsorted(pd.to_datetime(rows[c.DATE]), side="right") - 1
    keys = [c.STORE_ID, c.CATEGORY, c.MODEL]
    units = rows[c.MEAN].groupby([*(rows[name].astype(str) for name in keys), pd.Series(block, rows.index)]).sum()
    found = units.rename(c.UNITS).rename_axis([*keys, c.DATE_FROM]).reset_index()
    blocks = found[c.DATE_FROM].to_numpy()
    dated = found.assign(**{c.DATE_FROM: starts[blocks], c.DATE_TO: pd.DatetimeIndex(ends)[blocks]})
    columns = [c.STORE_ID, c.CATEGORY, c.DATE_FROM, c.DATE_TO, c.MODEL, c.UNITS]
    ordered = dated.iloc[row_order(dated, columns[:3])]
    return Sheet("Forecast", ordered[columns], "forecast.parquet", largest=c.UNITS)


def _overrides(outputs: RunOutputs, facts: RunFacts, run: RunContext) -> pd.DataFrame:
    """Every override: an accepted one with its effect, a rejected one with the problem."""
    fields = (c.STORE_ID, c.SKU, c.CATEGORY, c.DATE_FROM, c.DATE_TO, c.ACTION, c.VALUE, c.REASON, c.AUTHOR)
    columns = ["number", *fields, c.STATUS, "pairs", "changed_pairs", c.UNITS, _PROBLEM]
    source = run.settings.sources.named().get(OVERRIDES.name)
    written: Mapping[str, str] = {} if source is None else source.columns
    rejected = outputs.quarantine[outputs.quarantine[c.TABLE].astype(str) == OVERRIDES.name]
    rows: list[dict[str, Any]] = [{**row, **_dates(row)} for row in facts.overrides]
    for found in rejected.iloc[row_order(rejected, [c.FILE, c.ROW_NUMBER])].to_dict("records"):
        given = {name: found.get(_in_file(written.get(name, name), found)) for name in fields}
        rows.append({**given, c.STATUS: REJECTED, _PROBLEM: f"row {found[c.ROW_NUMBER]}: {found[c.REASON]}"})
    frame = pd.DataFrame(rows, columns=columns).astype(object)
    frame = described(frame.assign(**{c.SKU: frame[c.SKU].fillna("")}), outputs.products)
    names = [name for name in _NAMES if name in frame.columns]
    return frame[[*columns[:3], *names, *columns[3:]]]


def _in_file(name: str, row: Mapping[str, Any]) -> str:
    """Name of a file's column in the quarantine; the file's own column ``reason`` gets another name."""
    other = f"{name} (in the file)"
    return other if other in row else name


def _dates(row: Mapping[str, Any]) -> dict[str, pd.Timestamp]:
    return {name: pd.Timestamp(row[name]) for name in (c.DATE_FROM, c.DATE_TO) if row.get(name)}


def _rejected(quarantine: pd.DataFrame) -> pd.DataFrame:
    """Rejected rows with their file (without its folder), row number and reason, and the row as text."""
    rows = quarantine.iloc[row_order(quarantine, [c.TABLE, c.FILE, c.ROW_NUMBER])]
    facts = (c.TABLE, c.FILE, c.ROW_NUMBER, c.REASON)
    written = [
        "; ".join(f"{name}={value}" for name, value in row.items() if pd.notna(value) and value != "")
        for row in rows.drop(columns=list(facts)).to_dict("records")
    ]
    names = [str(path).replace("\\", "/").rsplit("/", 1)[-1] for path in rows[c.FILE]]
    return rows[list(facts)].assign(**{c.FILE: names, _ROW: written})


def _costs(costs: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns of ``costs.csv``."""
    known = [name for name in COSTS.columns if name in costs.columns]
    further = sorted(str(name) for name in costs.columns if name not in known)
    return costs.iloc[row_order(costs, COSTS.key)][[*known, *further]]
