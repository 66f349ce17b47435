"""Figures of stock, capacity and sales by period, for every store under two policies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.report.drawing import COLORS, Backdrop, Drawing, axis_top, edges_of, panels, report_style, set_axis_top
from tasks.report.language import ENGLISH, Language

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]

# A capacity above this multiple of the largest stock is written as text: drawing it would flatten the stock line.
_LARGEST_DRAWN_CAPACITY = 2.5
_NOTICEABLE_SHARE = 0.05
STORES_DRAWN = 120
_WIDTH, _HEIGHT = 560, 150


@dataclass(frozen=True)
class StoreCard:
    """One store's figure.

    Attributes:
        store: store id.
        facts: a line of text next to the id.
        over_capacity: True if more than 5 % of the outcomes of a period exceed the capacity under the chosen policy.
        drawing: one panel per policy shown.
    """

    store: str
    facts: str
    over_capacity: bool
    drawing: Drawing


class StockFigures:
    """Stock, capacity and sales of every store by period.

    Attributes:
        policies: the policies shown, the chosen one first.
    """

    def __init__(self, stock_by_day: pd.DataFrame, policies: Sequence[str], say: Language = ENGLISH) -> None:
        """Arrange the rows of ``stock_by_day`` as arrays; policies without rows are left out."""
        self._say = say
        found = set(stock_by_day[c.POLICY].astype(object))
        self.policies = [policy for policy in policies if policy in found]
        self._stores = sorted(stock_by_day[c.STORE_ID].astype(object).unique(), key=natural_order)
        dates = pd.to_datetime(stock_by_day[c.DATE])
        self._periods = pd.DatetimeIndex(np.sort(dates.unique()))
        policy = pd.Index(self.policies).get_indexer(stock_by_day[c.POLICY].astype(object))
        store = pd.Index(self._stores).get_indexer(stock_by_day[c.STORE_ID].astype(object))
        cell = (policy, store, self._periods.get_indexer(dates))
        shown = policy >= 0
        shape = (len(self.policies), len(self._stores), len(self._periods))
        self._at = tuple(part[shown] for part in cell)
        self._stock, self._sales, self._over, capacity = (
            self._grid(stock_by_day.loc[shown, column], shape) for column in (c.STOCK, c.SALES, c.OVER, c.CAPACITY)
        )
        self._capacity = np.where(np.isfinite(capacity), capacity, -np.inf).max(axis=(0, 2), initial=-np.inf)

    @property
    def left_out(self) -> int:
        """Number of stores without a card."""
        return max(0, len(self._stores) - STORES_DRAWN)

    def cards(self) -> list[StoreCard]:
        """Return one card per store, in the natural order of the ids.

        A large network has cards for the :data:`STORES_DRAWN` stores that are over capacity longest under the chosen
        policy, so that the page does not grow with the network.
        """
        if not self.policies:
            return []
        with report_style():
            # All stores share one figure because creating a figure takes as long as drawing it.
            figure, axes = panels(self._periods, _WIDTH, _HEIGHT, self.policies, self._say)
            shown = [_Panel(one, self._periods) for one in axes]
            backdrop = Backdrop(figure, [(panel.axes, panel.changing) for panel in shown])
            cards = []
            for store in self._drawn():
                name = self._stores[store]
                self._show(store, shown)
                drawing = backdrop.draw(self._alt(store))
                over = bool((np.nan_to_num(self._over[0, store]) > _NOTICEABLE_SHARE).any())
                cards.append(StoreCard(str(name), self._facts(store), over, drawing))
        return cards

    def _drawn(self) -> list[int]:
        longest = np.argsort(-np.nansum(self._over[0], axis=1), kind="stable")
        return sorted(longest[:STORES_DRAWN].tolist())

    def _grid(self, values: pd.Series, shape: tuple[int, int, int]) -> FloatArray:
        grid = np.full(shape, np.nan)
        grid[self._at] = values.to_numpy(dtype=np.float64)
        return grid

    def _show(self, store: int, shown: Sequence[_Panel]) -> None:
        capacity = float(self._capacity[store]) if self._draws_capacity(store) else None
        for policy, panel in enumerate(shown):
            panel.show(self._stock[policy, store], self._sales[policy, store], self._over[policy, store], capacity)
        set_axis_top(shown[0].axes, max(self._top(store), capacity or 0.0))

    def _alt(self, store: int) -> str:
        return self._say(
            "Store {store}: stock, sales and capacity by period, {policies}",
            store=self._stores[store],
            policies=" + ".join(self.policies),
        )

    def _facts(self, store: int) -> str:
        say, capacity = self._say, self._capacity[store]
        words = [say("capacity unlimited")]
        if np.isfinite(capacity):
            words = [say("capacity {units} units", units=say.number(capacity))]
            if not self._draws_capacity(store):
                words[0] += f" ({say('above the chart')})"
        sales = np.nansum(self._sales[0, store])
        words.append(say("expected sales {units} units", units=say.number(float(sales))))
        days = np.nansum(self._over[0, store])
        if days >= _NOTICEABLE_SHARE:
            words.append(say("{periods} periods over capacity", periods=say.expected(float(days))))
        return " · ".join(words)

    def _top(self, store: int) -> float:
        return axis_top(self._stock[:, store], self._sales[:, store])

    def _draws_capacity(self, store: int) -> bool:
        capacity = self._capacity[store]
        return bool(np.isfinite(capacity) and capacity <= self._top(store) * _LARGEST_DRAWN_CAPACITY)


class _Panel:
    """The panel of one policy. Lines are straight and not antialiased, so that images are small."""

    def __init__(self, axes: Axes, periods: pd.DatetimeIndex) -> None:
        self.axes = axes
        nothing, edges = np.zeros(len(periods)), edges_of(periods)
        self._over = axes.stairs(nothing, edges, fill=True, color=COLORS["alarm"], antialiased=False)
        self._over.set(transform=axes.get_xaxis_transform(), zorder=0.4)
        self._sales = axes.stairs(nothing, edges, fill=True, color=COLORS["sales"], antialiased=False)
        self._stock = axes.stairs(nothing, edges, baseline=None, color=COLORS["live"], antialiased=False)
        self._stock.set(linewidth=1.5)
        self._capacity = axes.axhline(0.0, color=COLORS["red"], dashes=(4, 3), antialiased=False)
        self._capacity.set(linewidth=1.5, zorder=3)
        bars = [self._over, axes.yaxis, self._sales, self._stock, axes.spines["bottom"], self._capacity]
        self.changing = sorted(bars, key=lambda artist: artist.get_zorder())

    def show(self, stock: FloatArray, sales: FloatArray, over: FloatArray, capacity: float | None) -> None:
        """Show the periods of another store; ``over`` is a fraction of the panel's height."""
        self._over.set_data(np.where(over >= _NOTICEABLE_SHARE, over, np.nan))
        self._sales.set_data(sales)
        self._stock.set_data(stock, baseline=None)
        self._capacity.set_visible(capacity is not None)
        self._capacity.set_ydata([capacity or 0.0] * 2)


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key that sorts store 2 before store 10.

    >>> sorted(["10", "2", "B1"], key=natural_order)
    ['2', '10', 'B1']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", str(text))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]
