"""Units to send: the target minus the stock."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c

KEY = [c.STORE_ID, c.SKU]
# A quantity that is whole up to the precision of a sum counts as whole.
_TOLERANCE = 1e-6


def units_to_send(targets: pd.DataFrame, stock: pd.DataFrame | None) -> pd.DataFrame:
    """Return the units to send of every pair of a replenishment file.

    Args:
        targets: store_id, sku, target_quantity.
        stock: store_id, sku, on_hand, in_transit (NaN = not counted, taken as 0); None = no stock is known.

    Returns:
        store_id, sku (text), target_quantity and to_send = max(0, target - on hand - in transit), in the order of
        the targets; whole units, fractions are rounded down. Example: target 24, on hand 5, in transit 2: to_send is
        17.
    """
    frame = targets[[*KEY, c.TARGET_QUANTITY]].astype(dict.fromkeys(KEY, str)).reset_index(drop=True)
    held = np.zeros(len(frame))
    if stock is not None and len(stock):
        counted = stock[[c.ON_HAND, c.IN_TRANSIT]].astype(np.float64).fillna(0.0).sum(axis=1).to_numpy()
        index = pd.MultiIndex.from_frame(stock[KEY].astype(str))
        held = pd.Series(counted, index=index).reindex(pd.MultiIndex.from_frame(frame[KEY])).fillna(0.0).to_numpy()
    missing = np.maximum(frame[c.TARGET_QUANTITY].to_numpy(dtype=np.float64) - held, 0.0)
    return frame.assign(**{c.TO_SEND: np.floor(missing + _TOLERANCE).astype(np.int64)})
