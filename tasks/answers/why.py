"""``restock why``: explain how the target of one store and SKU was computed, from the published run."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.outputs import EXPLANATIONS, OVERRIDDEN, OVERRIDES_COLUMN, PLANNED
from schemas.run import RunContext
from tasks.publication.earlier_runs import RUNS, preview_key, published, run_key
from tasks.report.language import Language
from tasks.report.reasons import reason_lines
from tasks.storage.lake import Lake, open_lake

MATCHES_SHOWN = 5


def why(run: RunContext, store: str, sku: str) -> list[str]:
    """Explain the target of one store and SKU.

    Args:
        run: Settings and run date of the finished run.
        store: Store ID, as in the replenishment file.
        sku: SKU, as in the replenishment file.

    Returns:
        The explanation, as lines of text.

    Raises:
        ConfigError: No run has this date, or the run does not contain the store or the SKU. The message names similar
            IDs.
    """
    lake = open_lake(run.settings.storage)
    table = explanations_of(lake, run)
    stores = table[c.STORE_ID].astype(str)
    if not (stores == store).any():
        raise ConfigError(f"--store {store}: unknown store in the run of {run.as_of}. {_similar(store, stores)}")
    own = table[stores == store]
    skus = own[c.SKU].astype(str)
    if not (skus == sku).any():
        elsewhere = (table[c.SKU].astype(str) == sku).sum()
        known = f"Other stores with this SKU: {elsewhere}. " if elsewhere else ""
        raise ConfigError(
            f"--sku {sku}: store {store} has no target for this SKU in the run of {run.as_of}, because the SKU was "
            f"neither sold nor counted there. Its target is 0. {known}{_similar(sku, skus)}"
        )
    row = own[skus == sku].iloc[0].to_dict()
    earlier = published(lake, run.as_of)
    given = None if earlier is None or not earlier.has(OVERRIDDEN) else earlier.table(OVERRIDDEN)
    overrides = [] if earlier is None else earlier.manifest.get("overrides", [])
    say = Language.of(run.settings)
    lines = target_lines(row, given, overrides, say)
    if earlier is None:
        return [say("No file of {date} is in force. This is the target of the preview.", date=run.as_of), *lines]
    return lines


def explanations_of(lake: Lake, run: RunContext) -> pd.DataFrame:
    """Read the explanations of the published run, or of its preview if it was not published.

    Raises:
        ConfigError: No run has this date. The message names the dates that have one.
    """
    for folder in (run_key(run.as_of), preview_key(run.as_of)):
        if lake.exists(f"{folder}/{EXPLANATIONS}"):
            return pd.read_parquet(io.BytesIO(lake.read_bytes(f"{folder}/{EXPLANATIONS}")))
    days = sorted({key.split("/")[1] for key in lake.keys(RUNS) if key.endswith(f"/{EXPLANATIONS}")}, reverse=True)
    found = f"Runs with explanations: {first_few(days)}." if days else "No run has been published yet."
    raise ConfigError(
        f"--as-of {run.as_of}: {lake.uri(run_key(run.as_of))} does not contain {EXPLANATIONS}. "
        f"{found} To create it: restock weekly --settings FILE --as-of {run.as_of}"
    )


def target_lines(
    row: Mapping[str, Any], overridden: pd.DataFrame | None, overrides: Sequence[Mapping[str, Any]], say: Language
) -> list[str]:
    """Explain a target: the plan's steps, followed by the changes of planners' overrides.

    Args:
        row: explanation of the store and SKU.
        overridden: targets that overrides changed: store_id, sku, planned, target_quantity, overrides; None = none.
        overrides: overrides of the manifest.
        say: language of the lines.
    """
    if overridden is None:
        return reason_lines(row, say)
    keys = overridden[[c.STORE_ID, c.SKU]].astype(str)
    own = overridden[keys[c.STORE_ID].eq(str(row[c.STORE_ID])) & keys[c.SKU].eq(str(row[c.SKU]))]
    if own.empty:
        return reason_lines(row, say)
    given = {str(override["number"]): override for override in overrides}
    planned, target, numbers = own[[PLANNED, c.TARGET_QUANTITY, OVERRIDES_COLUMN]].iloc[0]
    change = int(target) - int(planned)
    named = [_authored(number, given[number], say) for number in str(numbers).split(" + ") if number in given]
    sign = "+" if change >= 0 else "−"
    return [
        *reason_lines(row, say, published=int(target)),
        f"  {sign}{say.number(abs(change))}  {'; '.join(named) or say('planner override')}",
        f"  = {say.number(target)}  {say('published target')}",
    ]


def _authored(number: str, row: Mapping[str, Any], say: Language) -> str:
    return say(
        "planner override {number} ({action} {value}) by {author}: {reason}",
        number=number,
        action=row[c.ACTION],
        value=say.number(float(row[c.VALUE]), 2 if float(row[c.VALUE]) % 1 else 0),
        author=row[c.AUTHOR],
        reason=row[c.REASON],
    )


def _similar(text: str, known: pd.Series) -> str:
    """Suggest known IDs that are similar to a text; all IDs if none is similar."""
    names = sorted(set(known))
    similar = difflib.get_close_matches(text, names, MATCHES_SHOWN, cutoff=0.5) or [
        name for name in names if text.casefold() in name.casefold()
    ]
    return f"Did you mean {' or '.join(similar[:MATCHES_SHOWN])}?" if similar else f"Known IDs: {first_few(names)}."
