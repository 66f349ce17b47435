"""Rolling-origin folds: cutoffs at which the past is replayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.panel import BoolArray, Fold, Panel
from tasks.storage.mapped import row_blocks

# With fewer known periods no model can be fitted, and no fold is made.
FEWEST_PERIODS = 4


@dataclass(frozen=True)
class FoldPlan:
    """Folds, and what differs from the settings.

    Attributes:
        folds: by rising cutoff.
        notes: why there are fewer or shorter folds than the settings require; empty otherwise.
    """

    folds: tuple[Fold, ...]
    notes: tuple[str, ...]


def rolling_folds(
    panel: Panel, windows: int, step: int, extra_folds: int = 0, some_known: BoolArray | None = None
) -> list[Fold]:
    """The folds of :func:`plan_folds`, by rising cutoff."""
    return list(plan_folds(panel, windows, step, extra_folds, some_known).folds)


def minimum_history(panel: Panel) -> int:
    """Known periods that a fold should have: a season (7, 52 or 12), and no fewer than the horizon."""
    return max(panel.frequency.season, panel.horizon)


def extra_cutoffs(panel: Panel, first: int) -> list[int]:
    """Known periods at cutoffs that cover other times of the year than the last weeks, the most informative first.

    First the season of the horizon a year ago, if a year and a horizon lie before it; then the horizon that ends
    where the first fold begins, if the history before it is long enough for a fold.

    Args:
        panel: T known periods, H to forecast.
        first: known periods of the first fold.
    """
    year = panel.frequency.periods_per_year
    season, before = panel.history - year, first - panel.horizon
    found = [season] if season >= year + panel.horizon and season + panel.horizon <= first else []
    apart = not found or abs(before - season) >= panel.horizon
    return [*found, *([before] if before >= minimum_history(panel) and apart else [])]


def plan_folds(
    panel: Panel, windows: int, step: int, extra_folds: int = 0, some_known: BoolArray | None = None
) -> FoldPlan:
    """Folds that end just before ``as_of`` and step back from there.

    The last fold knows T - H periods, the one before T - H - step, and so on. Every fold knows at least
    :func:`minimum_history` periods. If not even the last one does, a single fold is tested on the last half of a
    horizon, if it then knows that many periods: seasonal models need a season of history. Otherwise the last fold is
    kept if it knows 4 periods. Else a fold that knows half of the history is tested on the other half, so that means
    and intervals are calibrated from 8 periods on. A note reports each case. A fold whose horizon has no known demand
    is replaced by an earlier one (sales that end long before ``as_of``).

    Args:
        panel: T known periods, H to forecast.
        windows: number of folds, at least 1.
        step: periods between two cutoffs, at least 1.
        extra_folds: add this many folds of :func:`extra_cutoffs`, if some demand is known in them.
        some_known: shape (T,); a series of the network has known demand in the period; None = of this panel.

    Example:
        T = 100 weeks, H = 26, windows = 3, step = 1: the folds know 72, 73 and 74 weeks. With T = 74 the only
        fold knows 61 weeks and is tested on 13.
    """
    last, least = panel.history - panel.horizon, minimum_history(panel)
    reach = [known for known in range(last, 0, -step) if known >= least]
    if some_known is None:
        some_known = np.zeros(panel.history, dtype=bool)
        for series in row_blocks(panel.n, panel.history):
            some_known |= ~np.isnan(panel.demand[series]).all(axis=0)
    tested = [known for known in reach if some_known[known : known + panel.horizon].any()]
    chosen = sorted(tested[:windows])
    notes = []
    if tested and tested[0] != last:
        notes.append(
            f"No demand is known in the {panel.horizon} periods before as_of: the last fold ends "
            f"{last - tested[0]} periods earlier"
        )
    short = -(-panel.horizon // 2)
    halfway = panel.history - short
    if not chosen and halfway >= least and some_known[halfway:].any():
        chosen = [halfway]
        notes.append(f"The only fold is tested on {short} of {panel.horizon} periods, so that it knows {halfway}")
    if not chosen and last >= FEWEST_PERIODS and some_known[last:].any():
        chosen = [last]
        notes.append(f"The only fold knows {last} periods; at least {least} are recommended")
    half = panel.history // 2
    if not chosen and half >= FEWEST_PERIODS and some_known[half:].any():
        chosen = [half]
        notes.append(f"The only fold knows {half} periods and is tested on {panel.history - half} of {panel.horizon}")
    if len(chosen) < windows:
        notes.append(
            f"{len(chosen)} of {windows} folds: {panel.history} known periods with a horizon of {panel.horizon} "
            f"allow no other fold that knows {least} periods"
        )
    if chosen:
        on_top = [known for known in extra_cutoffs(panel, chosen[0]) if some_known[known : known + panel.horizon].any()]
        chosen = sorted({*chosen, *on_top[:extra_folds]})
    return FoldPlan(tuple(Fold(panel.periods[known], known) for known in chosen), tuple(notes))
