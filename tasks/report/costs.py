"""Costs in the report: money that is spent, sales that are lost, and the fill rate against the service level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.report.formats import Table
from tasks.report.language import Language, message
from tasks.report.tables import Bar

# A fill rate from here on is shown as 100.0 %.
ALL_DEMAND = 0.9995
_SPENT = (c.TRANSPORT, c.HOLDING)
_PARTS = (*_SPENT, c.OVER_CAPACITY, c.LOST_SALES)
_SPENT_SUM = "spent"
_HEADERS = {
    c.TRANSPORT: message("#Transport"),
    c.HOLDING: message("#Holding"),
    _SPENT_SUM: message("#Money spent"),
    c.LOST_SALES: message("#Lost sales"),
    c.OVER_CAPACITY: message("#Penalty, over capacity"),
    c.TOTAL: message("#Total"),
    c.TOTAL_P95: message("#95 % quantile of total"),
    c.FILL_RATE: message("#Fill rate"),
    c.OVER_CAPACITY_STORE_DAYS: message("#Store-days over capacity"),
    c.VISITS: message("#Deliveries"),
    c.LOWER_BOUND: message("#Lower bound"),
    c.GAP: message("#Gap to lower bound"),
    c.LIMIT_BREACHES: message("Violated constraints"),
}


class Costs:
    """Expected costs of the chosen plan and of the other policies."""

    def __init__(self, costs: pd.DataFrame, service_level: float, say: Language) -> None:
        """Sort the policies by total cost.

        Args:
            costs: ``costs.csv``; optional columns (fill rate, 95 % quantile, violated constraints) may be missing.
            service_level: the cycle service level of the settings, a fraction.
            say: language and currency.
        """
        ordered = costs.sort_values([c.TOTAL, c.CHOSEN, c.POLICY], ascending=[True, False, True], ignore_index=True)
        self._costs = ordered.assign(**{_SPENT_SUM: ordered[list(_SPENT)].sum(axis=1)})
        self._level, self._say = service_level, say

    @property
    def chosen(self) -> pd.Series:
        """The row of the chosen policy."""
        return self._costs[self._costs[c.CHOSEN].astype(bool)].iloc[0]

    @property
    def fill_rate(self) -> float:
        """Expected share of the demand that is met, 0 to 1; NaN if unknown."""
        return float(self.chosen[c.FILL_RATE]) if c.FILL_RATE in self._costs.columns else float("nan")

    @property
    def meets_all_demand(self) -> bool:
        """True if the fill rate is 100.0 %."""
        return self.fill_rate >= ALL_DEMAND

    @property
    def below_service_level(self) -> bool:
        """True if the fill rate is below the service level."""
        return self.fill_rate < self._level

    @property
    def figure(self) -> tuple[str, str]:
        """Fill rate, and what it is compared with."""
        say, level = self._say, self._say.percent(self._level)
        detail = (
            say("below the service level of {level}", level=level)
            if self.below_service_level
            else say("service level of the settings: {level}", level=level)
        )
        lost = say("expected lost sales {money} over the horizon", money=say.money(float(self.chosen[c.LOST_SALES])))
        return say.percent(self.fill_rate), f"{detail}; {lost}"

    @property
    def sentences(self) -> list[str]:
        """The costs of the chosen plan in words."""
        say, row = self._say, self.chosen
        money = {name: say.money(float(row[name])) for name in (*_PARTS, _SPENT_SUM)}
        spent = say(
            "The chosen plan (policy {policy}) spends {spent}: transport {transport}, holding {holding}.",
            policy=row[c.POLICY],
            spent=money[_SPENT_SUM],
            transport=money[c.TRANSPORT],
            holding=money[c.HOLDING],
        )
        lost = say(
            "Expected lost sales: {lost}. This is revenue that is not earned, not money that is spent. Expected fill "
            "rate (share of the demand that is met): {rate}.",
            lost=money[c.LOST_SALES],
            rate=say.percent(self.fill_rate),
        )
        if not row[c.OVER_CAPACITY] > 0:
            return [spent, lost]
        over = say(
            "Stock above the storage capacity: {days} store-days. The total counts a penalty of {penalty} for it, "
            "which is not money that is spent.",
            days=say.expected(float(row[c.OVER_CAPACITY_STORE_DAYS])),
            penalty=money[c.OVER_CAPACITY],
        )
        return [spent, lost, over]

    @property
    def service_note(self) -> str:
        """Compare the fill rate with the cycle service level of the settings, in a sentence; empty if it is unknown."""
        say = self._say
        if np.isnan(self.fill_rate):
            return ""
        values = {"rate": say.percent(self.fill_rate), "level": say.percent(self._level)}
        if self.below_service_level:
            return say("The fill rate {rate} is below the service level {level} of the settings.", **values)
        return say("The fill rate {rate} reaches the service level {level} of the settings.", **values)

    @property
    def table(self) -> Table:
        """Expected costs by policy, the cheapest first, the chosen one before equal ones; it is highlighted."""
        say, costs = self._say, self._costs
        shown = [column for column in _HEADERS if column in costs.columns]
        if c.LIMIT_BREACHES in shown and not costs[c.LIMIT_BREACHES].any():
            shown.remove(c.LIMIT_BREACHES)
        rows = [
            (
                say("{policy} (chosen)", policy=row[c.POLICY]) if row[c.CHOSEN] else str(row[c.POLICY]),
                *(self._cell(column, row[column]) for column in shown),
            )
            for row in costs.to_dict("records")
        ]
        chosen = frozenset(np.flatnonzero(costs[c.CHOSEN].to_numpy(dtype=bool)).tolist())
        headers = say.headers("Policy", *(_HEADERS[name] for name in shown))
        return Table(headers, rows, chosen)

    @property
    def bars(self) -> list[Bar]:
        """Costs by policy as stacked bars; the most expensive policy has the full width."""
        widest = float(self._costs[c.TOTAL].max())
        if not widest > 0:
            return []
        return [
            Bar(
                str(row[c.POLICY]),
                [max(float(row[name]), 0.0) / widest for name in _PARTS],
                self._say.number(float(row[c.TOTAL])),
                bool(row[c.CHOSEN]),
            )
            for row in self._costs.to_dict("records")
        ]

    def shortage_text(self, shortages: bool) -> str:
        """Return the report's sentences about demand that is not met.

        Args:
            shortages: a constraint allocates less than requested somewhere.
        """
        say = self._say
        if shortages:
            return say("A constraint allocates less than requested in the rows of the table.")
        if self.meets_all_demand:
            return say("No constraint is binding; all demand is met.")
        if np.isnan(self.fill_rate):
            return say("No constraint allocates less than requested.")
        return say(
            "No constraint allocates less than requested. The plan is expected to meet {rate} of the demand; the rest "
            "is lost because demand varies between two deliveries, or because more stock would cost more than "
            "it earns.",
            rate=say.percent(self.fill_rate),
        )

    def _cell(self, column: str, value: float | str) -> str:
        if isinstance(value, str):
            return value or self._say("none")
        if column in (c.FILL_RATE, c.GAP):
            return self._say.percent(float(value))
        if column == c.OVER_CAPACITY_STORE_DAYS:
            return self._say.expected(float(value))
        return self._say.number(float(value))


def policies_shown(costs: pd.DataFrame, reference: str) -> Sequence[str]:
    """Return the chosen policy and the reference policy, or the chosen policy and the cheapest other one."""
    ordered = costs.sort_values([c.TOTAL, c.POLICY], kind="stable")
    names = [str(name) for name in ordered[c.POLICY]]
    chosen = [name for name, flag in zip(names, ordered[c.CHOSEN].astype(bool), strict=True) if flag]
    others = sorted((name for name in names if name not in chosen), key=lambda name: name != reference)
    return [*chosen, *others][:2]
