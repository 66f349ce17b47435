"""The week's work in the report: what to send, what changed, and the exceptions by money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import REPLENISHMENT, WORKBOOK, Change, EarlierWeek, RunFacts, RunOutputs
from schemas.run import RunContext
from tasks.report.exceptions import OVERRIDE, exceptions
from tasks.report.formats import Table
from tasks.report.language import UNKNOWN, Language, message
from tasks.report.reasons import UNCONSTRAINED
from tasks.report.sending import KEY, units_to_send
from tasks.report.stock_figures import natural_order
from tasks.report.tables import moved_stores_table, movers_table, overrides_table

LINES_SHOWN = 300
EXCEPTIONS_SHOWN = 300
STORES_SHOWN = 200
# Price of a SKU without any known price (docs/reference/contract.md#input-tables).
_NO_PRICE = 1.0
_BEFORE, _MONEY_BEFORE, _PAIRS = "before", "money_before", "pairs"


@dataclass(frozen=True)
class Card:
    """A key figure at the top of the page: label, value and explanation; red if it is a problem."""

    label: str
    figure: str
    detail: str
    red: bool = False


class Week:
    """What to send this week, compared with the last earlier publication.

    Attributes:
        names: SKU to product name.
        lines: one row per (store, SKU): target_quantity, to_send, money, before (units to send of the earlier week,
            NaN if none exists), category, on_hand, in_transit.
        priced: False if no SKU has a price; amounts of money are unknown then.
    """

    def __init__(
        self, run: RunContext, outputs: RunOutputs, facts: RunFacts, change: Change | None, earlier: EarlierWeek | None
    ) -> None:
        """Compute the lines; amounts of money are units times the SKU's price."""
        self._run, self._outputs, self._facts, self._change = run, outputs, facts, change
        self._say = Language.of(run.settings)
        products = outputs.products
        self.names: dict[str, str] = {}
        prices = pd.Series(dtype=np.float64)
        if products is not None and len(products):
            skus = products[c.SKU].astype(str)
            if c.PRODUCT_NAME in products.columns:
                self.names = dict(zip(skus, products[c.PRODUCT_NAME].fillna("").astype(str), strict=True))
            prices = pd.Series(products[c.UNIT_PRICE].to_numpy(dtype=np.float64), index=skus)
        self.priced = bool((prices.dropna() != _NO_PRICE).any())
        self._prices = prices if self.priced else pd.Series(dtype=np.float64)
        self.against = earlier.as_of if earlier is not None and earlier.to_send is not None else None
        self.lines = self._lines(None if earlier is None else earlier.to_send)

    @cached_property
    def exceptions(self) -> pd.DataFrame:
        """The exceptions of the week, the largest amount of money first."""
        found = exceptions(self._outputs, self._facts, self._run, self._say)
        return found if self.priced else found.assign(**{c.MONEY: np.nan})

    @property
    def cards(self) -> list[Card]:
        """Units to send, change against the earlier week, target stock, and exceptions."""
        say, sent = self._say, self.lines[self.lines[c.TO_SEND] > 0]
        stores = say.counted(sent[c.STORE_ID].nunique(), "{count} store", "{count} stores")
        pairs = say.counted(len(sent), "{count} line (store and SKU)", "{count} lines (store and SKU)")
        parts = [self._money(sent[c.MONEY].sum(min_count=1)), stores, pairs]
        send = Card(
            say("To send this week"),
            self._units(float(sent[c.TO_SEND].sum())),
            "; ".join(part for part in parts if part),
        )
        return [send, self._change_card(), self._target_card(), self._exceptions_card()]

    @property
    def stores_table(self) -> Table:
        """What to send by store."""
        say, frame = self._say, self.lines
        sent = frame[c.TO_SEND] > 0
        grouped = frame.assign(**{_PAIRS: sent}).groupby(c.STORE_ID)
        numbers = [c.TO_SEND, c.MONEY, _BEFORE, _MONEY_BEFORE, _PAIRS]
        sums = grouped[numbers].sum(min_count=1).to_dict("index")
        count = self.exceptions[c.STORE_ID].value_counts()
        dates = self._deliveries()
        order = sorted(sums, key=lambda store: (-sums[store][c.TO_SEND], natural_order(store)))
        rows = [
            (
                store,
                dates.get(store, UNKNOWN),
                say.number(sums[store][_PAIRS]),
                say.number(sums[store][c.TO_SEND]),
                say.signed(sums[store][c.TO_SEND] - sums[store][_BEFORE]),
                say.number(sums[store][c.MONEY]),
                say.signed(sums[store][c.MONEY] - sums[store][_MONEY_BEFORE]),
                say.number(count.get(store, 0)),
            )
            for store in order[:STORES_SHOWN]
        ]
        headers = say.headers(
            *("Store", "Next delivery", "#Lines", "#Units to send", "#Change, units"),
            *("#Value", "#Change, value", "#Exceptions"),
        )
        return Table(headers, rows, note=say.first(STORES_SHOWN, len(order), WORKBOOK))

    @property
    def lines_table(self) -> Table:
        """What to send by store and SKU, the largest value first."""
        say = self._say
        sent = self.lines[self.lines[c.TO_SEND] > 0]
        order = np.lexsort((sent[c.SKU], sent[c.STORE_ID], -sent[c.TO_SEND], -sent[c.MONEY].fillna(0.0)))
        rows = [
            (
                str(row[c.STORE_ID]),
                str(row[c.SKU]),
                self.names.get(str(row[c.SKU]), ""),
                str(row[c.CATEGORY]),
                say.number(row[c.ON_HAND]),
                say.number(row[c.IN_TRANSIT]),
                say.number(row[c.TARGET_QUANTITY]),
                say.number(row[c.TO_SEND]),
                say.number(row[_BEFORE]),
                say.number(row[c.MONEY]),
            )
            for row in sent.iloc[order[:LINES_SHOWN]].to_dict("records")
        ]
        headers = say.headers(
            *("Store", "SKU", "Product", "Category", "#On hand", "#In transit", "#Target", "#To send"),
            *("#Last week", "#Value"),
        )
        note = say.first(LINES_SHOWN, len(sent), f"{WORKBOOK}, {REPLENISHMENT}")
        return Table(headers, rows, note=note, filters=frozenset({0, 3}))

    @property
    def kinds_table(self) -> Table:
        """Number, units and money of the exceptions by kind."""
        say = self._say
        kinds = self.exceptions.groupby(c.KIND, sort=True)
        sums = kinds[[c.UNITS, c.MONEY]].sum(min_count=1).assign(**{c.N: kinds.size()})
        order = np.lexsort((sums.index.to_numpy(dtype=str), -sums[c.N].to_numpy(), -sums[c.MONEY].fillna(0).to_numpy()))
        rows = [
            (say.known(str(kind)), say.number(row[c.N]), say.expected(row[c.UNITS]), say.number(row[c.MONEY]))
            for kind, row in sums.iloc[order].iterrows()
        ]
        return Table(say.headers("Exception", "#Count", "#Units", "#Value"), rows)

    @property
    def exceptions_table(self) -> Table:
        """The exceptions, the largest amount of money first; overrides that do not apply are red and come first."""
        say = self._say
        refused = (self.exceptions[c.KIND] == OVERRIDE).to_numpy()
        order = np.argsort(~refused, kind="stable")[:EXCEPTIONS_SHOWN]
        rows = [
            (
                say.known(str(row[c.KIND])),
                str(row[c.STORE_ID]),
                str(row[c.SKU]),
                str(row[c.PRODUCT_NAME]),
                str(row[c.CATEGORY]),
                say.expected(row[c.UNITS]),
                say.number(row[c.MONEY]),
                say.expected(row[c.WEEKS_OF_COVER]),
                str(row[c.REASON]),
            )
            for row in self.exceptions.iloc[order].to_dict("records")
        ]
        headers = say.headers(
            *("Exception", "Store", "SKU", "Product", "Category", "#Units", "#Value", "#Weeks of cover", "Reason")
        )
        note = say.first(EXCEPTIONS_SHOWN, len(self.exceptions), WORKBOOK)
        red = frozenset(range(min(int(refused.sum()), EXCEPTIONS_SHOWN)))
        return Table(headers, rows, note=note, filters=frozenset({0, 1, 4}), red=red)

    @property
    def change_tables(self) -> tuple[Table, Table] | None:
        """Largest changes of targets, and changes by store; None without an earlier file or without changes."""
        if self._change is None or self._change.rows.empty:
            return None
        movers = movers_table(self._change, self._deciding(), self.names, self._say)
        return movers, moved_stores_table(self._change, self._say)

    @property
    def overrides_table(self) -> Table | None:
        """Planners' overrides, rejected ones included; None without overrides."""
        listed = {str(row["number"]) for row in self._facts.overrides}
        rejected = self.exceptions[self.exceptions[c.KIND] == OVERRIDE]
        # Overrides that expired or match no target are in the facts as well, with their number.
        rejected = rejected[[not _numbered(str(reason), listed, self._say) for reason in rejected[c.REASON]]]
        if not len(self._facts.overrides) and rejected.empty:
            return None
        return overrides_table(self._facts.overrides, rejected, self._say)

    def _lines(self, earlier: pd.DataFrame | None) -> pd.DataFrame:
        targets, explanations = self._outputs.replenishment, self._outputs.explanations
        lines = units_to_send(targets, explanations)
        if c.TO_SEND in targets.columns:
            lines = lines.assign(**{c.TO_SEND: targets[c.TO_SEND].to_numpy(dtype=np.float64)})
        facts = [c.CATEGORY, c.ON_HAND, c.IN_TRANSIT]
        if explanations is None:
            lines = lines.assign(**{c.CATEGORY: "", c.ON_HAND: np.nan, c.IN_TRANSIT: np.nan})
        else:
            lines = lines.merge(explanations[[*KEY, *facts]].astype(dict.fromkeys(KEY, str)), on=KEY, how="left")
            lines[c.CATEGORY] = lines[c.CATEGORY].astype(object).fillna("")
        before = None if earlier is None else earlier[[*KEY, c.TO_SEND]].rename(columns={c.TO_SEND: _BEFORE})
        if before is None:
            lines = lines.assign(**{_BEFORE: np.nan})
        else:
            lines = lines.merge(before, on=KEY, how="left" if self._run.scoped else "outer")
            numbers = [c.TARGET_QUANTITY, c.TO_SEND, _BEFORE]
            lines[numbers] = lines[numbers].fillna(0.0)
        lines = lines.sort_values(KEY, ignore_index=True)
        price = self._prices.reindex(lines[c.SKU]).to_numpy(dtype=np.float64)
        return lines.assign(**{c.MONEY: lines[c.TO_SEND] * price, _MONEY_BEFORE: lines[_BEFORE] * price})

    def _change_card(self) -> Card:
        say, label = self._say, self._say("Change against the week before")
        if self.against is None:
            return Card(label, UNKNOWN, say("no earlier publication to compare with"))
        now, before = float(self.lines[c.TO_SEND].sum()), float(self.lines[_BEFORE].sum())
        share = say.percent(now / before - 1, signed=True) if before else ""
        money = self.lines[c.MONEY].sum(min_count=1) - self.lines[_MONEY_BEFORE].sum(min_count=1)
        parts = [
            share,
            say.money(money, signed=True) if self.priced else "",
            say("{units} units to send in the run of {date}", units=say.number(before), date=say.day(self.against)),
        ]
        return Card(label, self._units(now - before, signed=True), "; ".join(part for part in parts if part))

    def _target_card(self) -> Card:
        say, targets = self._say, self._outputs.replenishment
        pairs = say.counted(len(targets), "{count} store-SKU pair", "{count} store-SKU pairs")
        stores = say.counted(targets[c.STORE_ID].nunique(), "{count} store", "{count} stores")
        change = self._change
        moved = (
            say("first file")
            if change is None
            else say("{share} changed since {date}", share=say.percent(change.share), date=say.day(change.against))
        )
        units = self._units(float(targets[c.TARGET_QUANTITY].sum()))
        return Card(say("Target stock"), units, f"{pairs}, {stores}; {moved}")

    def _exceptions_card(self) -> Card:
        say, counts = self._say, self.exceptions[c.KIND].value_counts()
        named = [f"{say.known(str(kind))} {say.number(count)}" for kind, count in sorted(counts.items())]
        detail = "; ".join(named) or say("nothing needs attention")
        return Card(say("Exceptions"), say.number(len(self.exceptions)), detail)

    def _deliveries(self) -> dict[str, str]:
        visits = self._outputs.visits
        if visits.empty:
            return {}
        first = pd.to_datetime(visits[c.DATE]).groupby(visits[c.STORE_ID].astype(str)).min()
        return {str(store): self._say.day(date.date()) for store, date in first.items()}

    def _deciding(self) -> dict[tuple[str, str], str]:
        """The reason for each target: a planner's override, a constraint, or forecast and stock."""
        say, table = self._say, self._outputs.explanations
        found: dict[tuple[str, str], str] = {}
        if table is not None:
            for store, sku, limit in table[[*KEY, c.LIMIT]].astype(str).itertuples(index=False):
                found[store, sku] = say("forecast and stock") if limit == UNCONSTRAINED else say.known(limit)
        overridden = self._outputs.overridden
        if overridden is not None:
            for store, sku in overridden[KEY].astype(str).itertuples(index=False):
                found[store, sku] = say("planner's override")
        return found

    def _units(self, units: float, signed: bool = False) -> str:
        say = self._say
        amount = say.signed(units) if signed else say.number(units)
        return say("{units} unit", units=amount) if abs(units) == 1 else say("{units} units", units=amount)

    def _money(self, amount: float) -> str:
        return self._say.money(amount) if self.priced and np.isfinite(amount) else ""


def _numbered(reason: str, numbers: set[str], say: Language) -> bool:
    """Return True if the reason of an exception refers to an accepted override by its number."""
    prefix = say.known(message("override {number}: {status}")).split("{number}")[0]
    return reason.startswith(prefix) and reason.removeprefix(prefix).split(":")[0] in numbers
