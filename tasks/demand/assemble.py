"""The panel of one run in the lake, with the SKU facts and planned prices that the plan reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.panel import Panel
from schemas.records import PanelRecord, PanelRef, Record, Summary, TableRef
from schemas.settings.slices import PanelSlice
from tasks.demand.cleaning.prepared import Prepared, prepare
from tasks.demand.new_series import NewPairs, new_alarms, new_pairs, new_series, superseded_alarm
from tasks.demand.panel import JudgedSales, PanelBuild, judge_sales, panel_of, to_frames
from tasks.demand.profile import profile
from tasks.demand.sku_facts import planned_sku_prices, sku_facts
from tasks.demand.stored import scoped
from tasks.storage.lake import Lake

# Finds alarms and summary rows in a panel.
Watch = Callable[[Panel], tuple[list[Alarm], Summary]]


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
    prepared = prepare(_tables(lake, inputs), use, inputs.as_of)
    judged = judge_sales(prepared)
    new = new_pairs(prepared)
    facts = _without(sku_facts(prepared, new.pairs), judged.ended)
    prices = planned_sku_prices(prepared)
    prepared = prepared.without_lines()
    panel = scoped(panel_of(prepared, judged), inputs.stores, inputs.categories, inputs.as_of)
    alarms, summary = watch(panel) if watch and not (inputs.stores or inputs.categories) else ([], {})
    added = _in_scope(new_series(prepared, facts, new), inputs.stores, inputs.categories)
    frames = {name: lake.write_table(f"features/{name}", frame) for name, frame in to_frames(panel).items()}
    return PanelRecord(
        as_of=inputs.as_of,
        panel=PanelRef(frames=frames, horizon=panel.horizon),
        series=panel.n,
        periods=panel.history,
        cleaning_log=lake.write_table("features/cleaning_log", judged.cleaning_log),
        sku_facts=lake.write_table("features/sku_facts", _in_scope(facts, inputs.stores, inputs.categories)),
        new_series=lake.write_table("features/new_series", added) if len(added) else None,
        planned_prices=lake.write_table("features/planned_prices", prices),
        stock_counted=bool(facts[c.ON_HAND].notna().any()),
        alarms=[*panel_alarms(prepared, judged, new), *alarms],
        summary={**_summary(judged, panel), **summary},
    )


def _tables(lake: Lake, inputs: PanelInputs) -> dict[str, pd.DataFrame]:
    """The input tables; ids of sale lines as categories, because these rows decide how much memory a run needs."""
    ids = {"sales": (c.STORE_ID, c.SKU)}
    return {name: lake.read_table(ref, categories=ids.get(name, ())) for name, ref in inputs.tables.items()}


def panel_alarms(prepared: Prepared, judged: JudgedSales | PanelBuild, new: NewPairs) -> list[Alarm]:
    """Return all alarms of the panel."""
    return [*judged.alarms, *new_alarms(new), *superseded_alarm(prepared)]


def _without(facts: pd.DataFrame, stores: Sequence[str]) -> pd.DataFrame:
    return facts[~facts[c.STORE_ID].astype(str).isin(stores)].reset_index(drop=True)


def _in_scope(facts: pd.DataFrame, stores: Sequence[str], categories: Sequence[str]) -> pd.DataFrame:
    kept = pd.Series(True, index=facts.index)
    for wanted, column in ((stores, c.STORE_ID), (categories, c.CATEGORY)):
        if wanted:
            kept &= facts[column].astype(str).isin(wanted)
    return facts[kept].reset_index(drop=True)


def _summary(judged: JudgedSales, panel: Panel) -> Summary:
    kinds = profile(panel).groupby(c.DEMAND_CLASS, observed=True)
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
        + [{"feature": name, "kind": "past covariate"} for name in panel.observed]
        + [{"feature": name, "kind": "planned event"} for name in panel.events],
    }
