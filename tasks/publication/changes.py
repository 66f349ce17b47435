"""What changed against an earlier replenishment file, and the limit on it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import EXAMPLES_SHOWN, PublicationHeldError
from schemas.outputs import AFTER, BEFORE, CHANGE, Change
from tasks.publication.erp_file import KEY
from tasks.storage.row_order import row_order


def compare_targets(previous: pd.DataFrame, new: pd.DataFrame, against: date, scoped: bool = False) -> Change:
    """Compare two files pair by pair; a pair that a file lacks has the target 0 there.

    Args:
        previous: store_id, sku, target_quantity of the earlier file.
        new: the same of the new one.
        against: ``as_of`` of the earlier file.
        scoped: the new file covers a part of the network only: compare the pairs that it has.

    Returns:
        Pairs and changed rows. Example: {a: 1, b: 2} against {b: 2, c: 0, d: 4} has 4 pairs, of which a
        and d changed: a share of 0.5.
    """
    index = list(KEY)
    before = previous.set_index(index)[c.TARGET_QUANTITY].rename(BEFORE)
    after = new.set_index(index)[c.TARGET_QUANTITY].rename(AFTER)
    both = pd.concat([before, after], axis=1, join="outer").fillna(0).astype(np.int64)
    if scoped:
        both = both.loc[both.index.isin(after.index)]
    rows = both[both[BEFORE] != both[AFTER]].reset_index()
    rows[CHANGE] = rows[AFTER] - rows[BEFORE]
    rows = rows.iloc[row_order(rows, index)]
    largest = np.argsort(-rows[CHANGE].abs().to_numpy(), kind="stable")
    return Change(against, len(both), rows.iloc[largest].reset_index(drop=True))


def changed_share(previous: pd.DataFrame, new: pd.DataFrame) -> float:
    """Share of (store, SKU) pairs of either file whose target changed; a fraction, an absent pair is 0."""
    return compare_targets(previous, new, date.min).share


def held_back(change: Change, limit: float | None, preview: str) -> PublicationHeldError | None:
    """The error that holds a publication back, where it changes too much.

    Args:
        change: against the file that the ERP has now.
        limit: largest share of changed targets, a fraction; None never holds.
        preview: where the operator finds the held files.

    Returns:
        None within the limit; otherwise an error that names share, limit, the five largest changes and
        what to do.
    """
    if limit is None or change.share <= limit:
        return None
    named = "; ".join(
        f"store {store}, SKU {sku}: {before} -> {after}"
        for store, sku, before, after in change.rows[[*KEY, BEFORE, AFTER]].head(EXAMPLES_SHOWN).itertuples(index=False)
    )
    return PublicationHeldError(
        f"Publication held back: {change.share:.1%} of the targets ({len(change.rows):,} of {change.pairs:,}) differ "
        f"from the file of {change.against}, publication.max_change allows {limit:.1%}. Largest changes: {named}. "
        f"The last good file stands. Review {preview}; if the changes are right, run again with "
        "--set publication.max_change=null or a higher limit."
    )
