"""The limits of all checks of the data's meaning (docs/reference/alarms.md#limits)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def _by_kind(days: int, weeks: int, months: int) -> Mapping[str, int]:
    return {"D": days, "W": weeks, "MS": months}


@dataclass(frozen=True)
class CheckLimits:
    """The limits of the checks. All rates are those of the store or SKU that is checked.

    Attributes:
        window: periods before a gap from which the store's own rate is taken, by frequency; also the periods with
            which the last ones are compared.
        implausible: a gap is implausible if the store's own rate expects fewer than this many gaps of that length in
            the window.
        sometimes_empty: a store without rows in at least this fraction of its open periods is a quiet store. Its
            probability of a period without rows is that fraction. Below it, the probability follows from the mean and
            the variance of its units.
        often_empty: a store that sells much in its other periods is asked about periods without rows if they are at
            most this fraction.
        complete: files state zero sales, so that a period without a row of a store is missing, if at least this
            fraction of the SKUs of a store, between their first and last row, have a row in its periods with sales.
        fewest_zeros: minimum number of rows of 0 units of SKUs in such periods.
        fewest_living: minimum mean number of SKUs per store and period: a single SKU is always complete.
        pattern_share: a store is closed on a weekday or holiday on which it has rows in at most this fraction of the
            cases, and on which its rate on other days makes so few rows less probable than ``pattern_chance``.
        pattern_chance: see ``pattern_share``.
        pattern_cases: minimum number of cases of a weekday for a pattern.
        sku_chance: gaps of one SKU in one store are stock-outs if its own rate and the sales of the other stores make
            as many as improbable ones less probable than this.
        sku_window: periods before such a gap from which the rates of the SKU are taken, by frequency.
        false_gaps: expected fraction of false ones among the stock-outs of a SKU in a store.
        sku_gap: minimum number of periods of such a gap, by frequency.
        missing_units: a category's demand in a store is unknown if its SKUs that are out of stock would have sold at
            least this fraction of its units.
        together: SKUs that vanish in a store within this many periods vanish together, by frequency.
        category_gap: minimum number of periods of a gap in which no store sells a category, by frequency.
        category_sold: the category sold in at least this fraction of the same periods a year before or after the gap.
        ended: a store is permanently closed after an implausible gap of this many periods up to the last sales.
        late: the last periods are incomplete if sales are below this fraction of the usual level in at least
            ``late_stores`` of the stores.
        late_stores: fraction of the stores, see ``late``.
        late_periods: at most this many last periods can be incomplete, by frequency.
        usual_periods: earlier periods (daily: of the same weekday) whose median is the usual level.
        ledger_share: sales are a stock ledger, in which they are negative, from this fraction of negative lines upward.
        returns_share: in a store and month, more negative lines than this fraction need an explanation.
        fewest_lines: minimum number of lines of a store and month, or of a SKU, for a statement about them.
        former_store_dates: a store that is not listed is a former store from this number of dates with sales upward.
        isolated_days: rows that are separated from all others by more than this many days are left out if they are few.
        isolated_share: isolated rows are few if they are less than this fraction of all rows.
        few_rows: rows after the run date are mistakes if they are fewer than this fraction of the usual rows a day.
        few_stores: rows after the run date are also mistakes if they are of less than this fraction of the stores that
            sold in the ``recent_days`` before it.
        recent_days: days before the last sale in which a store that is open has sales.
        void_days: days within which a large line is canceled by a line of the same size.
        void_line: a line that is canceled on its own date has at least this multiple of its SKU's median line; a
            smaller negative line is a return.
        large_line: a line is large from this multiple of its SKU's median line upward.
        void_share: voided lines of more than this fraction of all units raise an alarm.
        same_lines: two files are exports of the same sales if this fraction of the lines of one, on the days that
            both contain, is in the other.
        same_export: the same, for two files that cover the same days.
        some_same_lines: from this fraction upward, an alarm asks whether they are exports of the same sales.
        price_jump: prices per unit of one SKU that differ by this factor or more are prices of different units, if at
            least ``price_lines`` of its lines have such a price.
        price_lines: fraction of the lines of a SKU, see ``price_jump``.
        units_jump: a brand has another unit of measure if the units per line of its SKUs change by this factor or more
            from one day to the next.
        units_skus: at least this fraction of the brand's SKUs must change in that way.
        huge_line: a line is a mistake from this number of units upward, if it is this multiple of its SKU's median
            line.
        contradicted: the calendar or the table of availability is wrong if sales contradict this fraction of it.
        vanished_periods: a SKU vanished if it has no row in this many last periods and that is implausible; by
            frequency.
        vanished_share: fraction of the SKUs that vanish on one date from which an alarm is raised.
        fewest_skus: minimum number of SKUs for a statement about a group of them.
        running_total: sales are totals up to a date if at most this fraction of the changes from one date to the next
            one is downward.
        few_copies: periods with the same sales as earlier ones are copies if they are at most this fraction of all.
        weekday_distance: weekday profiles that differ by more than this (total variation) are different.
        coarse_dates: minimum number of dates of daily sales that show that they are weekly or monthly sales.
        coarse_months: minimum number of such dates in a row that are the beginnings or ends of months.
        label_weeks: minimum number of weeks that show whether dates are first or last days of weeks.
        label_effect: these weeks show it if the median absolute logarithm of their units, relative to other weeks, is
            at least this.
        label_chance: in addition, a rank test must find this effect larger than with the other reading, with a p-value
            of at most this.
        after_midnight: a store sells after midnight if at least this fraction of its time stamps is between midnight
            and four o'clock, and more than in the hours after.
        stock_days: a count is old if it is more than this many days before the last sales.
        stock_years: the stock does not fit the sales if it is for more years of recent sales than this.
        stock_window: last periods whose sales the stock is compared with, by frequency.
        least_stock_days: the stock does not fit the sales if it lasts for fewer days of recent sales than this although
            almost every SKU has some; by frequency. Less is normal for fresh goods with deliveries every day.
        fewest_packs: minimum number of different pack sizes that show whether stock is counted in packs.
        pack_days: days since the first sale of a SKU in a store from which its yearly sales are known.
        odd_amounts: lines with an amount of 0, or with the opposite sign of the units, raise an alarm from this
            fraction of the lines upward.
        price_level: a store has other prices if almost all of its SKUs differ by this factor or more ...
        price_noise: ... and by the same one, up to this fraction.
        promotion_windows: windows of the horizon's length before the run date that show how often promotions are.
        stock_share: fraction of the SKUs that sold lately from which missing or zero stock is reported.
    """

    window: Mapping[str, int] = field(default_factory=lambda: _by_kind(182, 52, 24))
    implausible: float = 0.01
    sometimes_empty: float = 0.05
    often_empty: float = 0.5
    complete: float = 0.95
    fewest_zeros: int = 10
    fewest_living: float = 2.0
    pattern_share: float = 0.1
    pattern_chance: float = 0.0001
    pattern_cases: int = 5
    sku_chance: float = 1e-6
    sku_window: Mapping[str, int] = field(default_factory=lambda: _by_kind(91, 26, 12))
    false_gaps: float = 0.05
    sku_gap: Mapping[str, int] = field(default_factory=lambda: _by_kind(2, 1, 1))
    missing_units: float = 0.25
    together: Mapping[str, int] = field(default_factory=lambda: _by_kind(5, 2, 2))
    category_gap: Mapping[str, int] = field(default_factory=lambda: _by_kind(28, 4, 2))
    category_sold: float = 0.5
    ended: Mapping[str, int] = field(default_factory=lambda: _by_kind(56, 8, 3))
    late: float = 0.5
    late_stores: float = 0.6
    late_periods: Mapping[str, int] = field(default_factory=lambda: _by_kind(7, 2, 1))
    usual_periods: int = 8
    ledger_share: float = 0.8
    returns_share: float = 0.5
    fewest_lines: int = 20
    former_store_dates: int = 20
    isolated_days: int = 365
    isolated_share: float = 0.01
    few_rows: float = 0.1
    few_stores: float = 0.5
    recent_days: int = 28
    void_days: int = 7
    void_line: float = 2.0
    large_line: float = 10.0
    void_share: float = 0.01
    same_lines: float = 0.8
    same_export: float = 0.95
    some_same_lines: float = 0.3
    price_jump: float = 5.0
    price_lines: float = 0.1
    units_jump: float = 6.0
    units_skus: float = 0.8
    huge_line: float = 1000.0
    contradicted: float = 0.5
    vanished_periods: Mapping[str, int] = field(default_factory=lambda: _by_kind(14, 4, 3))
    vanished_share: float = 0.2
    fewest_skus: int = 5
    running_total: float = 0.2
    few_copies: float = 0.2
    weekday_distance: float = 0.1
    coarse_dates: int = 8
    coarse_months: int = 4
    label_weeks: int = 5
    label_effect: float = 0.15
    label_chance: float = 0.005
    odd_amounts: float = 0.01
    price_level: float = 1.08
    price_noise: float = 0.03
    promotion_windows: int = 8
    after_midnight: float = 0.01
    stock_days: int = 7
    stock_share: float = 0.2
    stock_years: float = 2.0
    stock_window: Mapping[str, int] = field(default_factory=lambda: _by_kind(56, 8, 3))
    least_stock_days: Mapping[str, float] = field(default_factory=lambda: _by_kind(1, 3, 3))
    fewest_packs: int = 3
    pack_days: int = 91


LIMITS = CheckLimits()
