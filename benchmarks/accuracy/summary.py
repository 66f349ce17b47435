"""Champions against the best peer, per set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

CHAMPIONS = "champions"
PEER = "peer:"
FIGURES = ("wape", "wql")


def summary(rows: pd.DataFrame, figures: Sequence[str] = FIGURES) -> pd.DataFrame:
    """Means over the cutoffs of each set: the champions, the peer with the lowest mean, and the margin.

    Args:
        rows: one per set, cutoff and model, with the figures; the lower, the better.
        figures: columns to compare by. The best peer may be another one for each of them.

    Returns:
        One row per set in the order of ``rows``: set, cutoffs, and per figure ``champions FIGURE``,
        ``best peer by FIGURE``, ``peer FIGURE``, and ``margin FIGURE``: by what share of the peer's figure the
        champions are lower, negative where the peer is better. Empty if there are no champions or no peers.
    """
    found = []
    for name, of_set in rows.groupby("set", sort=False):
        row: dict[str, object] = {"set": name, "cutoffs": of_set["cutoff"].nunique()}
        means = of_set.groupby("model", sort=False)[list(figures)].mean()
        peers = means[means.index.str.startswith(PEER)]
        for figure in figures:
            own = float(means[figure].get(CHAMPIONS, np.nan))
            best = None if peers[figure].isna().all() else str(peers[figure].idxmin())
            peer = float("nan") if best is None else float(peers[figure].min())
            row[f"champions {figure}"] = own
            row[f"best peer by {figure}"] = "" if best is None else best.removeprefix(PEER)
            row[f"peer {figure}"] = peer
            row[f"margin {figure}"] = (peer - own) / peer if peer else float("nan")
        found.append(row)
    return pd.DataFrame(found)
