"""Read and validate all tables as `ingest` does, and describe what they hold. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pandas as pd

from schemas.alarms import Alarm
from schemas.errors import DataContractError
from schemas.panel import BoolArray
from schemas.settings import Settings
from schemas.settings.slices import IngestSlice, PanelSlice
from tasks.demand.assemble import panel_alarms
from tasks.demand.cleaning.prepared import Prepared, prepare
from tasks.demand.ingest.ingest import ingest_alarms
from tasks.demand.ingest.table_checks import with_arrays
from tasks.demand.ingest.validation import ValidatedTables, validate_tables
from tasks.demand.new_series import new_pairs
from tasks.demand.overview.sales_figures import SaleLines, SalesFigures, sales_figures
from tasks.demand.overview.stock_figures import StockFigures, stock_figures
from tasks.demand.panel import build_panel
from tasks.storage.source_files import expand_sources, read_table

Show = Callable[[str], None] | None


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    Attributes:
        valid: the validated tables.
        sales: figures on sales; None without sales before the run date.
        stock: figures on stock; None without a stock table.
        alarms: what ingestion and the panel report.
        error: why a run would stop; None if it would not.
    """

    valid: ValidatedTables
    sales: SalesFigures | None
    stock: StockFigures | None
    alarms: list[Alarm]
    error: DataContractError | None


def check_tables(settings: Settings, as_of: date, show: Show = None) -> Checked:
    """Read, validate and describe the tables of the settings.

    Too many rejected rows do not end the check: the figures describe the accepted rows, and ``error`` has the reason.

    Args:
        settings: the effective settings.
        as_of: run date.
        show: shows a text in the terminal while the check works.

    Raises:
        ConfigError: a source is a folder or in an unknown format.
        DataContractError: a file is missing or unreadable, or a table's structure is wrong.
    """
    files = expand_sources(settings.sources)
    named = settings.sources.named()
    raw = {}
    for table, of_table in files.items():
        _tell(show, f"reading {table} ({len(of_table)} file{'s' if len(of_table) > 1 else ''}) ...")
        raw[table] = read_table(table, of_table, named[table])
    _tell(show, "validating ...")
    use = IngestSlice.of(settings)
    error: DataContractError | None = None
    try:
        valid = validate_tables(raw, use, with_arrays)
    except DataContractError as found:
        error = found
        valid = validate_tables(raw, _without_limit(use), with_arrays)
    raw.clear()
    _tell(show, "comparing sales and stock ...")
    alarms = ingest_alarms(valid, use)
    period = use.period
    lines = SaleLines.of(valid.tables["sales"], period, as_of)
    if lines is None:
        return Checked(valid, None, None, alarms, error or _no_sales(valid, as_of))
    prepared = prepare(valid.tables, PanelSlice.of(settings), as_of)
    build = build_panel(prepared)
    closed = _closed(prepared, lines)
    return Checked(
        valid=valid,
        sales=sales_figures(lines, valid.tables, prepared.products, closed, period.kind == "D"),
        stock=stock_figures(valid.tables, lines, period, as_of),
        alarms=[*alarms, *panel_alarms(prepared, build, new_pairs(prepared))],
        error=error,
    )


def _closed(prepared: Prepared, lines: SaleLines) -> BoolArray:
    """Shape (stores, periods): closed by the calendar, for the stores and periods of the sale lines."""
    closed = pd.DataFrame(prepared.calendar.closed, prepared.cells.stores, prepared.axis.periods)
    return closed.reindex(index=lines.stores, columns=lines.labels, fill_value=False).to_numpy(dtype=bool)


def _without_limit(use: IngestSlice) -> IngestSlice:
    return use.model_copy(update={"quality": use.quality.model_copy(update={"max_quarantined_share": 1.0})})


def _no_sales(valid: ValidatedTables, as_of: date) -> DataContractError:
    dates = valid.tables["sales"]["date"]
    found = (
        f"the accepted sales are from {dates.min().date()} to {dates.max().date()}" if len(dates) else "no sales row"
    )
    return DataContractError(
        f"sales: no accepted row before the run date {as_of}; {found}. Set --as-of to the day after the last sales."
    )


def _tell(show: Show, text: str) -> None:
    if show:
        show(text)
