"""The ensemble: the weighted mean of the fitted models' forecasts, quantile by quantile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.settings import FLOORS

NAME = "ensemble"
FEWEST_MEMBERS = 2
_WEIGHT = "weight"


def combine(
    forecasts: Sequence[pd.DataFrame],
    members: Sequence[str] | None = None,
    weights: Mapping[pd.Timestamp, Mapping[str, float]] | None = None,
) -> pd.DataFrame:
    """Forecast rows of the ensemble.

    Averaging quantiles keeps their order and is the linear opinion pool's sharper relative (Vincent's
    average; Lichtendahl, Grushka-Cockayne and Winkler 2013).

    Args:
        forecasts: tables with cutoff, store_id, category, date, model, mean and one column per quantile.
        members: models to combine, all alike; all but the floors where None.
        weights: instead of members, the weight of each model by cutoff; a model without one is left out.

    Returns:
        Rows of the same columns with model ``ensemble``: one per cutoff, series and date for which at
        least two members have a forecast. Weights count among the members that have one. Example: two
        members with mean 4 and 8 give mean 6, with weights 3 and 1 mean 5.
    """
    stacked = [_weighted(frame, members, weights) for frame in forecasts]
    used = [frame for frame in stacked if len(frame)]
    if not used:
        return forecasts[0].iloc[:0]
    rows = pd.concat(used, ignore_index=True)
    keys = [c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE]
    values = [column for column in rows.columns if column not in (*keys, c.MODEL, _WEIGHT)]
    # A model's name decides the order of summation: floating point sums must not depend on shards.
    ordered = rows.sort_values([*keys, c.MODEL], kind="stable")
    share = ordered[_WEIGHT].to_numpy()
    parts = ordered.assign(**{name: ordered[name].to_numpy(np.float64) * share for name in values})
    grouped = parts.groupby(keys, observed=True, sort=True)
    total = grouped[[*values, _WEIGHT]].sum()
    mean = total[values].div(total[_WEIGHT], axis=0)[grouped.size().to_numpy() >= FEWEST_MEMBERS].reset_index()
    # A weighted mean may pass the common value of its parts by one bit: quantiles must not cross for that.
    mean[values[1:]] = np.maximum.accumulate(mean[values[1:]].to_numpy(), axis=1)
    return mean.assign(**{c.MODEL: np.full(len(mean), NAME, dtype=object)})[list(forecasts[0].columns)]


def _weighted(
    frame: pd.DataFrame, members: Sequence[str] | None, weights: Mapping[pd.Timestamp, Mapping[str, float]] | None
) -> pd.DataFrame:
    """Members' rows with their weights, above 0."""
    model = frame[c.MODEL].astype(str)
    if weights is None:
        chosen = ~model.isin([*FLOORS, NAME]) if members is None else model.isin(members)
        weight = chosen.to_numpy().astype(np.float64)
    else:
        table = pd.Series({(at, name): value for at, of in weights.items() for name, value in of.items()})
        asked = pd.MultiIndex.from_arrays([frame[c.CUTOFF], model])
        weight = table.reindex(asked).fillna(0.0).to_numpy(np.float64)
    text = {name: object for name in (c.STORE_ID, c.CATEGORY, c.MODEL)}
    return frame.assign(**{_WEIGHT: weight})[weight > 0].astype(text)
