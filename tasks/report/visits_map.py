"""Map of deliveries: one row per store, one column per period, a box for each delivery."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.drawing import COLORS, Drawing, date_ticks, draw, report_style
from tasks.report.language import ENGLISH, Language
from tasks.report.stock_figures import natural_order

STORES_PER_MAP = 60
_WIDTH, _ROW, _TOP, _BOTTOM, _LEFT, _RIGHT = 1120, 13, 6, 21, 132, 6
_POINTS_PER_INCH = 72
_PIXELS_PER_DATE = 62
_LONGEST_NAME = 16
_BOX = 0.7


def visits_maps(
    visits: pd.DataFrame, stores: list[str], periods: pd.DatetimeIndex, say: Language = ENGLISH
) -> Iterator[Drawing]:
    """Draw one map per sixty stores.

    Args:
        visits: store_id and date of the deliveries in the chosen plan.
        stores: all stores of the network, including those without a delivery.
        periods: labels of the horizon.
        say: language of dates and descriptions.
    """
    ordered = sorted({*stores, *visits[c.STORE_ID].astype(str)}, key=natural_order)
    row = pd.Index(ordered).get_indexer(visits[c.STORE_ID].astype(str))
    column = periods.get_indexer(pd.to_datetime(visits[c.DATE]))
    visited = np.zeros((len(ordered), len(periods)), dtype=np.bool_)
    visited[row[column >= 0], column[column >= 0]] = True
    for start in range(0, len(ordered), STORES_PER_MAP):
        yield _map(visited[start : start + STORES_PER_MAP], ordered[start : start + STORES_PER_MAP], periods, say)


def _map(visited: np.ndarray, stores: list[str], periods: pd.DatetimeIndex, say: Language) -> Drawing:
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    height = _TOP + _BOTTOM + _ROW * len(stores)
    with report_style():
        figure = Figure(figsize=(_WIDTH / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
        axes = figure.add_axes(
            (_LEFT / _WIDTH, _BOTTOM / height, 1 - (_LEFT + _RIGHT) / _WIDTH, _ROW * len(stores) / height)
        )
        axes.set_xlim(-0.5, max(len(periods), 1) - 0.5)
        axes.set_ylim(len(stores) - 0.5, -0.5)
        ticks = date_ticks(periods, max(2, (_WIDTH - _LEFT) // _PIXELS_PER_DATE), say)
        axes.set_xticks([position for position, _ in ticks], [label for _, label in ticks])
        axes.set_yticks(np.arange(len(stores)), [_short(store) for store in stores])
        boxes = [Rectangle((x - _BOX / 2, y - _BOX / 2), _BOX, _BOX) for y, x in np.argwhere(visited)]
        axes.add_collection(PatchCollection(boxes, color=COLORS["visits"], linewidth=0, antialiased=False))
        return draw(figure, say("Map of deliveries, stores {first} to {last}", first=stores[0], last=stores[-1]))


def _short(store: str) -> str:
    return store if len(store) <= _LONGEST_NAME else f"{store[: _LONGEST_NAME - 1]}…"
