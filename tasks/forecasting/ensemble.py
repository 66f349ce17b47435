"""The ensemble: the mean of the fitted models' forecasts, quantile by quantile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.settings import FLOORS

NAME = "ensemble"
FEWEST_MEMBERS = 2


def combine(forecasts: Sequence[pd.DataFrame], members: Sequence[str] | None = None) -> pd.DataFrame:
    """Forecast rows of the ensemble.

    Averaging quantiles keeps their order and is the linear opinion pool's sharper relative (Vincent's
    average; Lichtendahl, Grushka-Cockayne and Winkler 2013).

    Args:
        forecasts: tables with cutoff, store_id, category, date, model, mean and one column per quantile.
        members: models to combine; all but the floors where None.

    Returns:
        Rows of the same columns with model ``ensemble``: one per cutoff, series and date for which at
        least two members have a forecast. Example: two members with mean 4 and 8 give mean 6.
    """
    stacked = [_rows_of(frame, members) for frame in forecasts]
    used = [frame for frame in stacked if len(frame)]
    if not used:
        return forecasts[0].iloc[:0]
    rows = pd.concat(used, ignore_index=True)
    keys = [c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE]
    values = [column for column in rows.columns if column not in (*keys, c.MODEL)]
    # A model's name decides the order of summation: floating point sums must not depend on shards.
    ordered = rows.sort_values([*keys, c.MODEL], kind="stable")
    grouped = ordered.groupby(keys, observed=True, sort=True)
    mean = grouped[values].mean()
    mean = mean[grouped.size().to_numpy() >= FEWEST_MEMBERS].reset_index()
    return mean.assign(**{c.MODEL: np.full(len(mean), NAME, dtype=object)})[list(rows.columns)]


def _rows_of(frame: pd.DataFrame, members: Sequence[str] | None) -> pd.DataFrame:
    model = frame[c.MODEL].astype(str)
    chosen = ~model.isin([*FLOORS, NAME]) if members is None else model.isin(members)
    rows = frame[chosen.to_numpy()]
    text = {name: object for name in (c.STORE_ID, c.CATEGORY, c.MODEL)}
    return rows.astype(text)
