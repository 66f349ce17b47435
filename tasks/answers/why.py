"""``restock why``: how the target of one store and SKU came about, from the published run. Starts no server."""

from __future__ import annotations

import difflib
import io

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.outputs import EXPLANATIONS, OVERRIDDEN
from schemas.run import RunContext
from tasks.publication.earlier_runs import RUNS, preview_key, run_key
from tasks.report.reasons import reason_lines
from tasks.storage.lake import Lake, open_lake

NEAR_SHOWN = 5


def why(run: RunContext, store: str, sku: str) -> list[str]:
    """Lines that answer "why this many units?".

    Args:
        run: settings and date of the run that is asked about.
        store: id as in the replenishment file.
        sku: id as in the replenishment file.

    Raises:
        ConfigError: the date has no run, or the run has no such store or SKU; near matches are named.
    """
    lake = open_lake(run.settings.storage)
    table = explanations_of(lake, run)
    stores = table[c.STORE_ID].astype(str)
    if not (stores == store).any():
        raise ConfigError(f"--store {store}: the run of {run.as_of} has no such store. {_near(store, stores)}")
    own = table[stores == store]
    skus = own[c.SKU].astype(str)
    if not (skus == sku).any():
        elsewhere = (table[c.SKU].astype(str) == sku).sum()
        known = f"It is known in {elsewhere} other stores. " if elsewhere else ""
        raise ConfigError(
            f"--sku {sku}: store {store} has no such SKU in the run of {run.as_of}: it was neither sold nor counted "
            f"there, and an absent pair means 0. {known}{_near(sku, skus)}"
        )
    row = own[skus == sku].iloc[0].to_dict()
    return [*reason_lines(row), *_override(lake, run, store, sku)]


def explanations_of(lake: Lake, run: RunContext) -> pd.DataFrame:
    """The explanations of the published run, or of the preview of a run that was not published.

    Raises:
        ConfigError: there is none; the dates that have one are named.
    """
    for folder in (run_key(run.as_of), preview_key(run.as_of)):
        if lake.exists(f"{folder}/{EXPLANATIONS}"):
            return pd.read_parquet(io.BytesIO(lake.read_bytes(f"{folder}/{EXPLANATIONS}")))
    days = sorted({key.split("/")[1] for key in lake.keys(RUNS) if key.endswith(f"/{EXPLANATIONS}")}, reverse=True)
    found = f"Runs that can be asked about: {first_few(days)}." if days else "There is no run to ask about yet."
    raise ConfigError(
        f"--as-of {run.as_of}: {lake.uri(run_key(run.as_of))} holds no {EXPLANATIONS}. {found} "
        f"Make it with: restock weekly --settings FILE --as-of {run.as_of}"
    )


def _override(lake: Lake, run: RunContext, store: str, sku: str) -> list[str]:
    """What a planner changed after the plan, where the published run says so."""
    key = f"{run_key(run.as_of)}/{OVERRIDDEN.file}"
    if not lake.exists(key):
        return []
    table = pd.read_csv(io.BytesIO(lake.read_bytes(key)), dtype={c.STORE_ID: str, c.SKU: str})
    own = table[(table[c.STORE_ID] == store) & (table[c.SKU] == sku)]
    return [f"A planner's override made it {target} in the published file." for target in own[c.TARGET_QUANTITY]]


def _near(text: str, known: pd.Series) -> str:
    names = sorted(set(known))
    near = difflib.get_close_matches(text, names, NEAR_SHOWN, cutoff=0.5) or [
        name for name in names if text.casefold() in name.casefold()
    ]
    return f"Near to it: {', '.join(near[:NEAR_SHOWN])}." if near else f"It has {first_few(names)}."
