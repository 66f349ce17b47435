"""Changes since an earlier replenishment file, and the limit on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm
from schemas.errors import PublicationHeldError
from schemas.outputs import AFTER, BEFORE, CHANGE, Change
from tasks.publication.erp_file import KEY
from tasks.storage.row_order import row_order


def compare_targets(previous: pd.DataFrame, new: pd.DataFrame, against: date, scoped: bool = False) -> Change:
    """Compare the targets of two files; a pair that is missing in a file has the target 0.

    Args:
        previous: store_id, sku, target_quantity of the earlier file.
        new: the same columns of the new file.
        against: ``as_of`` of the earlier file.
        scoped: compare only the pairs of the new file, because it covers a part of the network.

    Returns:
        Number of pairs and the changed rows, the largest change first. Example: {a: 1, b: 2} compared with
        {b: 2, c: 0, d: 4} has 4 pairs; a and d changed, so the share is 0.5.
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
    """Return the share of (store, SKU) pairs whose target changed, 0 to 1; a missing pair has the target 0."""
    return compare_targets(previous, new, date.min).share


def held_by_alarms(alarms: Sequence[Alarm], as_of: date, preview: str) -> PublicationHeldError | None:
    """Return an error if alarms hold a publication back.

    Args:
        alarms: those that the settings do not accept.
        as_of: run date.
        preview: address of the files that were not published.
    """
    if not alarms:
        return None
    found = "; ".join(f"{alarm.name}: {alarm.message}" for alarm in alarms)
    names = ",".join(dict.fromkeys(f"{alarm.name}@{as_of}" for alarm in alarms))
    return PublicationHeldError(
        f"Publication held back by {len(alarms)} alarm{'s' if len(alarms) > 1 else ''}. {found}. "
        f"The previous file is kept. Review {preview}. If the file is correct, run again with "
        f"--set 'publication.accept=[{names}]' (in the Prefect UI: overrides, without --set)."
    )
