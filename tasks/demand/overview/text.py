"""The result of a check as lines of at most 80 characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from textwrap import wrap

from schemas.alarms import Alarm
from schemas.errors import numbered
from schemas.frequency import Frequency
from schemas.settings import Settings
from tasks.demand.ingest.validation import ValidatedTables
from tasks.demand.overview.check import Checked
from tasks.demand.overview.gaps import Gap
from tasks.demand.overview.sales_figures import SalesFigures
from tasks.demand.overview.stock_figures import RECENT_WEEKS, StockFigures

_WIDTH = 80
_BAR = 50
_MONTHS = 24
_SHOWN = 5
_REASONS = 4
_OLD_STOCK_DAYS = 7
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def check_lines(checked: Checked, settings: Settings, as_of: date, command: str) -> list[str]:
    """Describe the tables: files and rows, sales, gaps, stores, SKUs, stock, alarms, verdict.

    Args:
        checked: what the check found.
        settings: the effective settings.
        as_of: run date.
        command: options of the next command, such as ``--settings x.yaml --as-of 2024-01-31``.
    """
    lines = [f"{settings.name}: data before the run date {as_of}", "", *_tables(checked.valid)]
    if checked.sales:
        frequency = settings.frequency
        lines += ["", *_sales(checked.sales, frequency, as_of), "", *_months(checked.sales)]
        lines += ["", *_gaps(checked.sales, Frequency(frequency).kind), "", *_stores_and_skus(checked.sales)]
        lines += ["", *_stock(checked.stock, checked.sales, as_of)]
    lines += ["", *_alarms(checked.alarms)]
    return [*lines, "", *_verdict(checked, settings, as_of, command)]


def _tables(valid: ValidatedTables) -> list[str]:
    head = f"{'Tables':<14}{'files':>6}{'rows read':>13}{'accepted':>13}{'rejected':>12}{'ignored':>12}"
    lines = [head]
    for table in valid.tables:
        files = [file for file in valid.files if file.table == table]
        read, accepted = sum(file.rows_read for file in files), sum(file.rows_accepted for file in files)
        rejected = sum(file.rows_quarantined for file in files)
        ignored = sum(file.rows_ignored for file in files)
        lines.append(f"  {table:<12}{len(files):>6,}{read:>13,}{accepted:>13,}{rejected:>12,}{ignored:>12,}")
        for what, reasons in (("rejected", valid.reasons), ("ignored", valid.ignored)):
            of_table = [(reason, count) for name, reason, count in reasons if name == table]
            for reason, count in of_table[:_REASONS]:
                lines += _wrapped(f"{count:,} {what}: {reason}", 6)
            if len(of_table) > _REASONS:
                lines.append(f"      and {len(of_table) - _REASONS} further reasons")
    return lines


def _sales(sales: SalesFigures, frequency: str, as_of: date) -> list[str]:
    days = (sales.last - sales.first).days + 1
    age = (as_of - sales.last).days
    lines = [f"Sales from {sales.first} to {sales.last} ({numbered(days, '# day[s]')}), frequency {frequency}"]
    lines += _wrapped(
        f"{numbered(sales.lines, '# line[s]')}, {numbered(round(sales.units), '# unit[s]')}, "
        f"{numbered(sales.returns, '# line[s]')} with returns ({sales.returns / sales.lines:.1%}; they count as 0 "
        "units)",
        2,
    )
    lines.append(
        f"  {numbered(sales.stores, '# store[s]')}, {numbered(sales.skus, '# SKU[s]')}, "
        f"{numbered(sales.categories, '# categor[y|ies]')} with sales"
    )
    lines += _wrapped(f"last sales: {numbered(age, '# day[s]')} before the run date", 2)
    if sales.later:
        lines += _wrapped(numbered(sales.later, "# accepted line[s] on or after the run date [is|are] not used"), 2)
    return lines


def _months(sales: SalesFigures) -> list[str]:
    shown = dict(list(sales.months.items())[-_MONTHS:])
    largest = max([*shown.values(), 1.0])
    title = "Units per month"
    if len(shown) < len(sales.months):
        title += f" (the last {len(shown)} of {len(sales.months)})"
    return [title, *(_bar(month, units, largest) for month, units in shown.items())]


def _bar(label: str, value: float, largest: float) -> str:
    return f"  {label} {value:>14,.0f}  {'#' * round(_BAR * value / largest)}".rstrip()


def _gaps(sales: SalesFigures, kind: str) -> list[str]:
    unit = {"D": "days", "W": "weeks", "MS": "months"}[kind]
    lines = [f"Missing {unit}"]
    if sales.never_open:
        names = " and ".join(_WEEKDAYS[day] for day in sales.never_open)
        lines += _wrapped(f"no store sells on {names}", 2)
    network = sum(gap.periods for gap in sales.network_gaps)
    if network:
        longest = sorted(sales.network_gaps, key=lambda gap: -gap.periods)
        lines += _wrapped(f"whole network: {network:,} {unit}: {_spans(longest)}", 2)
    else:
        lines.append("  whole network: none")
    missing = list(sales.store_gaps.items())
    if not missing:
        lines.append("  single stores: none")
    for store, (count, longest_gap) in missing[:_SHOWN]:
        lines += _wrapped(f"store {store}: {count:,} {unit}; the longest gap is {_span(longest_gap)}", 2)
    if len(missing) > _SHOWN:
        lines.append(numbered(len(missing) - _SHOWN, "  and # store[s] with fewer"))
    return lines


def _stores_and_skus(sales: SalesFigures) -> list[str]:
    lines = ["Stores and SKUs"]
    for what, stores in (("first sale later than the network's", sales.opened), ("no sale since", sales.closed)):
        if stores:
            named = [
                f"{store} ({day})" for store, day in sorted(stores.items(), key=lambda item: item[1], reverse=True)
            ]
            lines += _wrapped(f"{numbered(len(stores), '# store[s]')}, {what}: {_few(named)}", 2)
    if sales.silent_stores:
        silent = numbered(len(sales.silent_stores), "# listed store[s]")
        lines += _wrapped(f"{silent} without sales: {_few(sales.silent_stores)}", 2)
    if sales.unsold:
        listed = sales.skus + len(sales.unsold)
        share = len(sales.unsold) / listed
        lines += _wrapped(
            f"{len(sales.unsold):,} of {listed:,} SKUs ({share:.0%}) have no sales: {_few(sales.unsold)}", 2
        )
    return lines if len(lines) > 1 else [*lines, "  every listed store and SKU has sales over the whole period"]


def _stock(stock: StockFigures | None, sales: SalesFigures, as_of: date) -> list[str]:
    if stock is None:
        return ["Stock", "  no table: the plan assumes empty stores"]
    lines = ["Stock"]
    weeks = f", {stock.weeks:.1f} weeks of sales" if stock.weeks is not None else ""
    lines += _wrapped(f"{stock.units:,.0f} units in {stock.rows:,} store-SKU pairs{weeks}", 2)
    if stock.counted:
        age = (as_of - stock.counted).days
        late = "; sold since then: not deducted" if sales.last > stock.counted else ""
        lines += _wrapped(f"counted on {stock.counted}, {numbered(age, '# day[s]')} before the run date{late}", 2)
    else:
        lines += _wrapped(f"the file has no date: it is taken as the count before opening on {as_of}", 2)
    missing, examples = stock.sold_without_row
    recent = f"of the {stock.sold_pairs:,} pairs that sold in the last {RECENT_WEEKS} weeks"
    if missing:
        lines += _wrapped(f"{recent}, {missing:,} have no stock row (taken as 0): {_few(examples, missing)}", 2)
    lines += _wrapped(f"{recent}, {stock.empty:,} have nothing on hand", 2)
    pairs, units = stock.stock_without_sale
    if pairs:
        unsold = numbered(pairs, "# pair[s] [has|have] stock and never sold")
        lines += _wrapped(f"{unsold}: {numbered(round(units), '# unit[s]')}", 2)
    if stock.dc_units is not None:
        lines.append(f"  distribution center: {stock.dc_units:,.0f} units")
    return lines


def _alarms(alarms: Sequence[Alarm]) -> list[str]:
    if not alarms:
        return ["Alarms: none"]
    lines = ["Alarms"]
    for alarm in alarms:
        lines += _wrapped(f"{alarm.severity.value} {alarm.name}: {alarm.message}", 2)
    return lines


def _verdict(checked: Checked, settings: Settings, as_of: date, command: str) -> list[str]:
    if checked.error:
        return ["Result: a run would stop. Correct what the error below names, and check again."]
    holds = list(_holds(checked, settings, as_of))
    if holds:
        lines = ["Result: a run would compute everything, and hold the file back:"]
        lines += [line for text in holds for line in _wrapped(text, 2, "- ")]
    elif checked.alarms:
        lines = ["Result: the tables can be used. Read the alarms above first."]
    else:
        lines = ["Result: the tables can be used."]
    return [*lines, f"Next:   restock weekly{command} --dry-run"]


def _holds(checked: Checked, settings: Settings, as_of: date) -> Iterator[str]:
    for alarm in settings.publication.holding(checked.alarms, as_of):
        yield f"alarm {alarm.name} (see above). If the data are right: publication.accept: [{alarm.name}]"
    limit = settings.quality.max_age_days
    if checked.sales and (as_of - checked.sales.last).days > limit:
        yield (
            f"the latest sales are {(as_of - checked.sales.last).days} days old; quality.max_age_days is {limit}. "
            f"Deliver newer sales, or use --as-of {checked.sales.last + timedelta(1)}, the day after the last sales"
        )


def _spans(gaps: Sequence[Gap]) -> str:
    return _few([_span(gap) for gap in gaps])


def _span(gap: Gap) -> str:
    return str(gap.first) if gap.first == gap.last else f"{gap.first} to {gap.last}"


def _few(items: Sequence[str], count: int | None = None) -> str:
    count = len(items) if count is None else count
    more = count - min(len(items), _SHOWN)
    return ", ".join(items[:_SHOWN]) + (f" and {more:,} more" if more else "")


def _wrapped(text: str, indent: int, mark: str = "") -> list[str]:
    start = " " * indent
    return wrap(text, _WIDTH, initial_indent=start + mark, subsequent_indent=start + "  ", break_long_words=False)
