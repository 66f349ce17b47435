"""An alarm on bundles whose components are booked as sales, too, although `bundles` says what they consist of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few
from tasks.demand.checks.limits import LIMITS

_ROWS, _SAME, _ENOUGH, _LEAST = "rows", "same", "enough", "least"


def booked_components(lines: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Compare the sales of bundles with the sales of their components, by store and date.

    Args:
        lines: all lines of some bundles and of their components, before bundles are replaced by components.
        parts: bundles with their components (:func:`tasks.demand.cleaning.bundles.components`).

    Returns:
        Bundle, component, the number of stores and dates with the bundle (``rows``), how many of them have exactly
        (``same``) and at least (``enough``) the units of the component that the bundles contain, and how many stores
        and dates without the bundle have as many as bundles usually contain (``least``), as a fraction.
    """
    if parts.empty:
        return pd.DataFrame()
    chosen = lines[c.SKU].isin({*parts[c.SKU], *parts[c.COMPONENT_SKU]}) & (lines[c.UNITS] > 0)
    if not chosen.any():
        return pd.DataFrame()
    keys = [c.STORE_ID, c.DATE]
    sold = lines.loc[chosen, [*keys, c.SKU, c.UNITS]].astype({c.STORE_ID: str, c.SKU: str})
    sold = sold.groupby([c.SKU, *keys])[c.UNITS].sum()
    names, found = set(sold.index.unique(c.SKU)), []
    for bundle, component, quantity in parts[[c.SKU, c.COMPONENT_SKU, c.QUANTITY]].itertuples(index=False):
        if bundle not in names or component not in names:
            continue
        contained, own = sold.loc[bundle] * quantity, sold.loc[component]
        there = own.reindex(contained.index, fill_value=0.0)
        # Dates without the bundle, in the stores that sell it.
        stores = contained.index.unique(c.STORE_ID)
        others = own[own.index.isin(stores, level=c.STORE_ID)].drop(contained.index, errors="ignore")
        days = len(stores) * lines[c.DATE].nunique() - len(contained)
        found.append(
            {
                c.SKU: bundle,
                c.COMPONENT_SKU: component,
                _ROWS: len(contained),
                _SAME: int(np.isclose(there, contained).sum()),
                _ENOUGH: int((there >= contained - 1e-9).sum()),
                _LEAST: (others >= contained.median()).sum() / days if days else 1.0,
            }
        )
    return pd.DataFrame(found)


def booked_twice_alarm(found: Sequence[pd.DataFrame]) -> list[Alarm]:
    """Return an alarm for bundles all of whose components are booked, too, with almost every sale of the bundle.

    Args:
        found: results of :func:`booked_components`.
    """
    rows = pd.concat(found) if found else pd.DataFrame()
    if rows.empty:
        return []
    same = rows[_SAME] >= LIMITS.same_lines * rows[_ROWS]
    always = (rows[_ENOUGH] >= LIMITS.same_export * rows[_ROWS]) & (rows[_LEAST] <= LIMITS.contradicted)
    twice = (rows[_ROWS] >= LIMITS.fewest_lines) & (same | always)
    bundles = twice.groupby(rows[c.SKU]).all()
    named = sorted(bundles.index[bundles])
    if not named:
        return []
    count = int(rows[rows[c.SKU].isin(named)].groupby(c.SKU)[_ROWS].max().sum())
    return [
        raise_alarm(
            "repeated_lines",
            f"sales: whenever a store sells {first_few(named)}, it almost always sells as many units of the components "
            f"in the table bundles ({count:,} stores and dates). The components seem to be booked already and count "
            "twice. Leave the lines of the bundles out with sources.sales.ignore",
            skus=named,
            count=count,
        )
    ]
