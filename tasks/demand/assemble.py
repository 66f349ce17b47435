"""The panel of one run in the lake, with the SKU facts and planned prices that the plan reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.panel import Panel
from schemas.records import PanelRecord, PanelRef, Record, Summary, TableRef
from schemas.settings.slices import PanelSlice
from schemas.tables import SALES, STOCK
from tasks.demand.cleaning.cleaning_log import TEXT_COLUMNS, CleaningLog
from tasks.demand.cleaning.lines import LINE_COLUMNS, SHARD_LINES, LineBlocks
from tasks.demand.cleaning.prepared import Prepared, prepare
from tasks.demand.new_series import NewPairs, new_alarms, new_pairs, new_series, superseded_alarm
from tasks.demand.panel import JudgedSales, PanelBuild, judge_sales, panel_parts
from tasks.demand.panel_frames import panel_tables
from tasks.demand.panel_parts import PanelParts
from tasks.demand.profile import profile
from tasks.demand.sku_facts import fact_parts, planned_sku_prices
from tasks.demand.stored import series_in_scope, stored_table
from tasks.storage.arrow_tables import PART_ROWS, of_size
from tasks.storage.lake import Lake

_PROFILE = [c.DEMAND_CLASS, c.SHARE_ZERO, c.MEAN]


class Watch(Protocol):
    """Finds alarms and summary rows in a panel that comes in parts."""

    def add(self, panel: Panel) -> None:
        """Read the next series."""

    def found(self) -> tuple[list[Alarm], Summary]:
        """Return the alarms and summary rows of all series."""


class PanelInputs(Record):
    """Inputs of a panel.

    Attributes:
        tables: the validated input tables that it reads.
        as_of: run date: data before it are used.
        stores: only these stores; empty = all.
        categories: only these categories; empty = all.
    """

    tables: Mapping[str, TableRef]
    as_of: date
    stores: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def assemble_panel(lake: Lake, inputs: PanelInputs, use: PanelSlice, watch: Watch | None = None) -> PanelRecord:
    """Build the panel and store its frames, the SKU facts and the planned prices.

    Args:
        lake: has the tables and receives the frames.
        inputs: tables, run date and scope.
        use: settings of the panel.
        watch: finds further alarms and summary rows in the panel of the whole network.

    Raises:
        DataContractError: no sales before ``as_of``.
        ConfigError: the scope names a store or category without sales.
    """
    tables = {
        name: stored_table(lake, ref) if name == STOCK.name else lake.read_table(ref)
        for name, ref in inputs.tables.items()
        if name != SALES.name
    }
    prepared = prepare(tables, use, inputs.as_of, sale_lines(lake, inputs.tables[SALES.name]))
    judged = judge_sales(prepared)
    new = new_pairs(prepared)
    facts_of_new: list[pd.DataFrame] = []
    stock_counted = False

    def facts() -> Iterator[pd.DataFrame]:
        nonlocal stock_counted
        for every in fact_parts(prepared, new.pairs, judged.stock_outs):
            part = _without(every, judged.ended)
            facts_of_new.append(part.merge(new.pairs[[c.STORE_ID, c.SKU]], on=[c.STORE_ID, c.SKU]))
            stock_counted |= bool(part[c.ON_HAND].notna().any())
            yield _in_scope(part, inputs.stores, inputs.categories)

    stored_facts = lake.write_parts("features/sku_facts", of_size(facts(), PART_ROWS))
    added = new_series(prepared, pd.concat(facts_of_new, ignore_index=True))
    added = _in_scope(added, inputs.stores, inputs.categories)
    prices = planned_sku_prices(prepared)
    panel = panel_parts(prepared, judged)
    scope = bool(inputs.stores or inputs.categories)
    panel = (
        panel.take(series_in_scope(panel.series, inputs.stores, inputs.categories, inputs.as_of)) if scope else panel
    )
    profiles = []

    def read(part: Panel) -> None:
        profiles.append(profile(part)[_PROFILE])
        if watch and not scope:
            watch.add(part)

    frames = {
        name: lake.write_table(f"features/{name}", frame)
        if isinstance(frame, pd.DataFrame)
        else lake.write_parts(f"features/{name}", of_size(frame, PART_ROWS))
        for name, frame in panel_tables(panel, read)
    }
    alarms, summary = watch.found() if watch and not scope else ([], {})
    return PanelRecord(
        as_of=inputs.as_of,
        panel=PanelRef(frames=frames, horizon=use.horizon),
        series=panel.n,
        periods=prepared.axis.history,
        cleaning_log=_stored_log(lake, judged.cleaning_log),
        sku_facts=stored_facts,
        new_series=lake.write_table("features/new_series", added) if len(added) else None,
        planned_prices=lake.write_table("features/planned_prices", prices),
        stock_counted=stock_counted,
        alarms=[*panel_alarms(prepared, judged, new), *alarms],
        summary={**_summary(judged, panel, pd.concat(profiles, ignore_index=True)), **summary},
    )


def _stored_log(lake: Lake, log: CleaningLog) -> TableRef:
    empty = () if log.counts else TEXT_COLUMNS
    return lake.write_parts("features/cleaning_log", of_size(log.parts(), PART_ROWS), empty)


def sale_lines(lake: Lake, ref: TableRef) -> LineBlocks:
    """The sale lines of a stored table, block by block."""
    return LineBlocks(ref.rows, lambda: lake.read_blocks(ref, LINE_COLUMNS, (c.STORE_ID, c.SKU), SHARD_LINES))


def panel_alarms(prepared: Prepared, judged: JudgedSales | PanelBuild, new: NewPairs) -> list[Alarm]:
    """Return all alarms of the panel."""
    return [*judged.alarms, *new_alarms(new), *superseded_alarm(prepared)]


def _without(facts: pd.DataFrame, stores: Sequence[str]) -> pd.DataFrame:
    return facts[~facts[c.STORE_ID].astype(str).isin(stores)].reset_index(drop=True) if len(stores) else facts


def _in_scope(facts: pd.DataFrame, stores: Sequence[str], categories: Sequence[str]) -> pd.DataFrame:
    for wanted, column in ((stores, c.STORE_ID), (categories, c.CATEGORY)):
        if wanted:
            facts = facts[facts[column].astype(str).isin(wanted)].reset_index(drop=True)
    return facts


def _summary(judged: JudgedSales, panel: PanelParts, profiles: pd.DataFrame) -> Summary:
    kinds = profiles.groupby(c.DEMAND_CLASS, observed=True)
    return {
        "series-profile": [
            {
                "kind": str(kind),
                "series": len(group),
                "share of zeros": round(float(group[c.SHARE_ZERO].mean()), 3),
                "mean units": round(float(group[c.MEAN].mean()), 2),
            }
            for kind, group in kinds
        ],
        "cleaning-log": [{"treatment": name, "cases": count} for name, count in judged.treatment_counts.items()],
        "features": [{"feature": name, "kind": "known future covariate"} for name in panel.known]
        + ([{"feature": c.UNIT_PRICE, "kind": "past covariate"}] if panel.priced else [])
        + [{"feature": name, "kind": "planned event"} for name in panel.events],
    }
