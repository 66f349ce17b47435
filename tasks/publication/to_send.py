"""What to send now: the targets minus the stock, as transfers and as firm deliveries.

``to_send = max(0, target − on hand − in transit)`` in whole units, after planners' overrides. It is the quantity of the
store's next delivery; quantities of later deliveries are expected values.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from schemas.errors import first_few
from schemas.outputs import EXPECTED, FIRM, PAIR, RunOutputs
from tasks.report.sending import units_to_send

_STOCK = (c.ON_HAND, c.IN_TRANSIT)


def with_quantities_to_send(outputs: RunOutputs, dc_name: str) -> RunOutputs:
    """Add ``to_send`` to the targets, make the transfers, and mark deliveries as firm or expected.

    Args:
        outputs: tables of a run. Stock and next delivery of a (store, SKU) are those of the explanations; without
            explanations, those of the deliveries.
        dc_name: name of the distribution center in the transfers.

    Returns:
        The same tables with other targets, deliveries and transfers. With fractional stock the quantity is rounded
        down. A store without a delivery within the horizon has transfers without a date and no deliveries.
    """
    known = _stock_and_delivery(outputs)
    targets = outputs.replenishment.drop(columns=c.TO_SEND, errors="ignore")
    found = known.reindex(pd.MultiIndex.from_frame(targets[list(PAIR)].astype(str)))
    stock = known[list(_STOCK)].rename_axis(list(PAIR)).reset_index()
    units = units_to_send(targets, stock)[c.TO_SEND].to_numpy()
    targets = targets.assign(**{c.TO_SEND: units})
    sent = np.flatnonzero(units > 0)
    firm = targets[list(PAIR)].iloc[sent].reset_index(drop=True)
    dates = _next_delivery(found[c.VISIT_DATE], targets[c.STORE_ID], outputs.visits)[sent]
    transfers = firm.assign(**{c.FROM: dc_name, c.QUANTITY: units[sent], c.DELIVERY_DATE: dates})
    held = {name: found[name].to_numpy()[sent] for name in _STOCK}
    firm = firm.assign(**{c.VISIT_DATE: dates, c.QUANTITY: units[sent].astype(float), **held, c.STATUS: FIRM})
    deliveries = _joined(firm[firm[c.VISIT_DATE].notna()], _later(outputs.deliveries, known))
    return replace(outputs, replenishment=targets, transfers=transfers, deliveries=deliveries)


def _next_delivery(known: pd.Series, stores: pd.Series, visits: pd.DataFrame) -> NDArray[np.datetime64]:
    """Date of the next delivery of each pair; a pair that the plan does not explain has its store's first delivery."""
    first = pd.to_datetime(visits[c.DATE]).groupby(visits[c.STORE_ID].astype(str)).min()
    of_store = first.reindex(stores.astype(str)).to_numpy()
    dates: NDArray[np.datetime64] = np.where(known.isna(), of_store, known.to_numpy())
    return dates


def _joined(firm: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    parts = [part for part in (firm, expected) if len(part)]
    frame = pd.concat(parts, ignore_index=True) if parts else firm
    return frame.sort_values([*PAIR, c.VISIT_DATE], ignore_index=True)


def _stock_and_delivery(outputs: RunOutputs) -> pd.DataFrame:
    """Stock and date of the next delivery of each (store, SKU): on_hand, in_transit, visit_date."""
    source = outputs.deliveries if outputs.explanations is None else outputs.explanations
    columns = [*PAIR, *_STOCK, c.VISIT_DATE]
    rows = source[columns].sort_values([*PAIR, c.VISIT_DATE]).drop_duplicates(list(PAIR))
    keys = pd.MultiIndex.from_frame(rows[list(PAIR)].astype(str))
    dates = pd.to_datetime(rows[c.VISIT_DATE]).to_numpy()
    return rows[list(_STOCK)].set_index(keys).assign(**{c.VISIT_DATE: dates})


def _later(deliveries: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Deliveries after the next one of their (store, SKU)."""
    if c.STATUS in deliveries.columns:
        return deliveries[deliveries[c.STATUS] == EXPECTED]
    pairs = pd.MultiIndex.from_frame(deliveries[list(PAIR)].astype(str))
    first = known[c.VISIT_DATE].reindex(pairs).to_numpy()
    later = pd.to_datetime(deliveries[c.VISIT_DATE]).to_numpy() > first
    return deliveries[later | pd.isna(first)].assign(**{c.STATUS: EXPECTED})


def broken_packs(outputs: RunOutputs) -> list[str]:
    """Return a warning if quantities to send are not whole packs."""
    known, transfers = outputs.explanations, outputs.transfers
    if known is None or transfers is None or c.PACK_SIZE not in known.columns:
        return []
    keys = pd.MultiIndex.from_frame(known[list(PAIR)].astype(str))
    pairs = pd.MultiIndex.from_frame(transfers[list(PAIR)].astype(str))
    pack = pd.Series(known[c.PACK_SIZE].to_numpy(dtype=np.float64), keys).reindex(pairs).fillna(1.0).clip(lower=1.0)
    rows = transfers.assign(**{c.PACK_SIZE: pack.to_numpy()})
    rows = rows[rows[c.QUANTITY].to_numpy() % rows[c.PACK_SIZE].to_numpy() != 0]
    if rows.empty:
        return []
    named = [
        f"{store} / {sku} ({units} units, pack of {size:g})"
        for store, sku, units, size in rows[[*PAIR, c.QUANTITY, c.PACK_SIZE]].itertuples(index=False)
    ]
    return [f"transfers.csv: quantities that are not whole packs: {first_few(named)}"]
