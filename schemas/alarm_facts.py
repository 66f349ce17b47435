"""Registry of the alarms: name, severity, meaning and remedy (docs/reference/alarms.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What an alarm does to the publication."""

    INFO = "info"
    """Worth knowing; nothing to do."""
    WARNING = "warning"
    """Somebody should look at it; the file is published."""
    HOLD = "hold"
    """The file is held back until `publication.accept` names the alarm."""


@dataclass(frozen=True)
class AlarmFacts:
    """Facts about one alarm.

    Attributes:
        name: stable name; settings, tests and notices refer to it.
        severity: what it does to the publication.
        meaning: what was found, in one sentence.
        remedy: what the reader can do.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str


_FACTS = (
    AlarmFacts(
        "rejected_rows",
        Severity.WARNING,
        "More rows of a table were rejected than `expert.quality.alarm_share` allows.",
        "Read the reasons in quarantine.csv and correct the source.",
    ),
    AlarmFacts(
        "stale_sales",
        Severity.HOLD,
        "The latest sales are older than `quality.max_age_days` before the run date.",
        "Deliver the newer sales and run again.",
    ),
    AlarmFacts(
        "changed_targets",
        Severity.HOLD,
        "A larger share of the targets differs from the previous file than `publication.max_change` allows.",
        "Compare the files (report, section What changed). If the changes are right, accept the alarm for this date.",
    ),
    AlarmFacts(
        "changed_total",
        Severity.HOLD,
        "The sum of targets or the units to send changed by more than `publication.max_total_change`.",
        "Look for missing or repeated input rows. If the change is right, accept the alarm for this date.",
    ),
    AlarmFacts(
        "short_history",
        Severity.INFO,
        "Series have less than a year of sales. Their season comes from comparable stores where there are any.",
        "Look at their targets until a year is known.",
    ),
    AlarmFacts(
        "first_christmas",
        Severity.INFO,
        "The history has no Christmas. The forecasts before it are multiplied by an average of retail.",
        "State the expected uplift in the table `events`.",
    ),
    AlarmFacts(
        "new_store",
        Severity.INFO,
        "Stores of the stores table have no sales yet. Forecasts and targets come from comparable stores.",
        "Check the targets. State `closed_on`, or remove a row that is not a store.",
    ),
    AlarmFacts(
        "new_article",
        Severity.INFO,
        "SKUs that may be sent have no sales yet. Their share comes from comparable SKUs.",
        "Check the targets. Name the SKU that it resembles in the column `like` of the products.",
    ),
    AlarmFacts(
        "formula_ids",
        Severity.WARNING,
        "Ids begin with =, +, - or @, which spreadsheets read as a formula. The ERP's files contain them unchanged.",
        "Open replenishment.xlsx, where ids are text, instead of replenishment.csv and transfers.csv.",
    ),
    AlarmFacts(
        "duplicate_file",
        Severity.WARNING,
        "A file has the same rows as another file of its table; its rows are counted once.",
        "Remove the copy, or make the pattern in `sources` more specific.",
    ),
    AlarmFacts(
        "mixed_ids",
        Severity.WARNING,
        "A column has ids that differ only in leading zeros, such as 123 and 00123; they count as different ids.",
        "Write the ids in the same way in all files, as text.",
    ),
    AlarmFacts(
        "id_spelling",
        Severity.WARNING,
        "Ids have spaces around them or end in .0, unlike in the table they refer to; they count as the same ids.",
        "Write the ids in the same way in all files, as text.",
    ),
    AlarmFacts(
        "unknown_category",
        Severity.WARNING,
        "Events or overrides name a category that no product has; they have no effect.",
        "Correct the category: its parts in the order of the setting, joined by _.",
    ),
    AlarmFacts(
        "mixed_units",
        Severity.WARNING,
        "Quantities are in several units, such as pairs and boxes.",
        "Map the column to `unit` and set `conversion` in the table's source.",
    ),
    AlarmFacts(
        "time_zone",
        Severity.WARNING,
        "Time stamps have an offset from UTC, and no time zone is set: the date as written counts.",
        "Set `timezone` in the table's source.",
    ),
    AlarmFacts(
        "not_stated",
        Severity.WARNING,
        "A capacity, pack size or price is 0 or not a number; it counts as not stated.",
        "Leave the cell empty if the value is unknown, or enter it.",
    ),
    AlarmFacts(
        "missing_category",
        Severity.WARNING,
        "Products have no value in a column of the category; the value counts as (none).",
        "Complete the column in the products table.",
    ),
    AlarmFacts(
        "negative_stock",
        Severity.WARNING,
        "Stock is negative; it counts as 0.",
        "Correct the stock of these SKUs in the ERP.",
    ),
    AlarmFacts(
        "superseded_sku",
        Severity.INFO,
        "The products name a successor that has sold or is in stock. It inherits the sales; the old SKU gets target 0.",
        "Correct `replaces`, `replaced_by` or `replaced_on` of the products if the old SKU is still to be sent.",
    ),
    AlarmFacts(
        "run_inside_period",
        Severity.WARNING,
        "The run date is inside a week or month, which counts as finished.",
        "Run on the first day of a week or month.",
    ),
    AlarmFacts(
        "coarse_dates",
        Severity.WARNING,
        "The frequency is daily, but all sales have dates of one weekday or of one day of the month.",
        "Set `frequency` to weeks or months if the rows are weekly or monthly sales.",
    ),
    AlarmFacts(
        "period_labels",
        Severity.WARNING,
        "The dates of the sales are the last days of their weeks or months, and are read so.",
        "Set `period_label` to end to confirm, or to start.",
    ),
    AlarmFacts(
        "sales_end_early",
        Severity.WARNING,
        "The last periods before the run date have no sales of any store; they are unknown.",
        "Deliver the newer sales, or set an earlier run date.",
    ),
    AlarmFacts(
        "calendar_incomplete",
        Severity.WARNING,
        "The calendar does not cover all stores, the whole history or the whole horizon.",
        "Extend the calendar.",
    ),
    AlarmFacts(
        "overlapping_files",
        Severity.WARNING,
        "Files overlap and contain the same sale lines; on every store and day, the newer file counts.",
        "Nothing, or deliver files whose dates do not overlap.",
    ),
    AlarmFacts(
        "repeated_lines",
        Severity.HOLD,
        "A sales file contains the same block of rows twice, in the same order; all rows count.",
        "Remove the repeated rows from the file, or accept the alarm if they are separate sales.",
    ),
    AlarmFacts(
        "similar_files",
        Severity.WARNING,
        "Files overlap and many of their lines are the same; all rows count.",
        "Keep one of the files if they are exports of the same sales.",
    ),
    AlarmFacts(
        "isolated_dates",
        Severity.WARNING,
        "A few sales rows are more than a year from all others, such as a mistyped year; they are left out.",
        "Correct the dates in the source.",
    ),
    AlarmFacts(
        "dates_after_run",
        Severity.WARNING,
        "Sales rows of few stores, or only a few, are dated after the run date; they are not read.",
        "Correct the dates in the source.",
    ),
    AlarmFacts(
        "day_month_swapped",
        Severity.HOLD,
        "Dates suggest that day and month are swapped in a part of the sales.",
        "Set `sources.sales.date_format`, or correct the export.",
    ),
    AlarmFacts(
        "negative_sales",
        Severity.WARNING,
        "Almost all sales have negative units, as in a stock ledger; the sign of all rows is reversed.",
        "Check that sales, not goods receipts, were exported.",
    ),
    AlarmFacts(
        "many_returns",
        Severity.HOLD,
        "In some stores and months, more than half of the sales rows have negative units.",
        "Correct the sign in the export if they are sales.",
    ),
    AlarmFacts(
        "voided_lines",
        Severity.INFO,
        "Sales rows that cancel each other make up a part of all units; they do not count as demand.",
        "Nothing; reduce typing errors at the till.",
    ),
    AlarmFacts(
        "units_in_boxes",
        Severity.WARNING,
        "By their price, a part of the rows of a SKU counts boxes; they were converted to pieces.",
        "Export all quantities in one unit of measure, or map the column with the unit.",
    ),
    AlarmFacts(
        "price_per_unit_jumps",
        Severity.WARNING,
        "The price per unit of a SKU differs by a large factor between its rows.",
        "Check the unit of measure of these rows.",
    ),
    AlarmFacts(
        "unit_change",
        Severity.HOLD,
        "All SKUs of a brand or store sell many times as much, or a fraction, from one date on.",
        "Convert the quantities to one unit of measure.",
    ),
    AlarmFacts(
        "sku_unit_change",
        Severity.WARNING,
        "The quantities of a SKU change by a large factor on one date. Its price or the quantities show another unit.",
        "Convert the quantities to one unit of measure.",
    ),
    AlarmFacts(
        "huge_lines",
        Severity.WARNING,
        "Sale lines have a quantity that is a thousand times as large as usual, such as a scanned code.",
        "Correct the quantity of these lines in the source.",
    ),
    AlarmFacts(
        "calendar_contradicted",
        Severity.HOLD,
        "A store sells on most of the days on which the calendar closes it.",
        "Correct `open` in the calendar: 0 for closed days, 1 for open days.",
    ),
    AlarmFacts(
        "availability_contradicted",
        Severity.HOLD,
        "Most sales are on days on which the table of availability says out of stock.",
        "Correct `in_stock`: 1 for in stock, 0 for out of stock.",
    ),
    AlarmFacts(
        "skus_vanished",
        Severity.WARNING,
        "Many SKUs that sold regularly have no row after the same date, everywhere or in one store.",
        "Name the old codes in `products.replaces` if codes changed, or deliver the missing rows.",
    ),
    AlarmFacts(
        "incomplete_last_days",
        Severity.WARNING,
        "Most stores sold far less than usual on the last days: late postings; these periods are unknown.",
        "Deliver these days again when all sales are posted.",
    ),
    AlarmFacts(
        "partial_period",
        Severity.WARNING,
        "The first or last week or month is not complete in the files; it is unknown.",
        "Deliver whole weeks or months, or run on the first day of one.",
    ),
    AlarmFacts(
        "missing_sales",
        Severity.WARNING,
        "A store has no sales in periods in which its usual rate of sales makes that implausible; they are unknown.",
        "Deliver the missing rows, or mark closed days in the calendar.",
    ),
    AlarmFacts(
        "sku_gaps",
        Severity.INFO,
        "SKUs have no sales in a store for some time while other stores sell them; these periods are unknown.",
        "Deliver the table `availability`.",
    ),
    AlarmFacts(
        "category_closed",
        Severity.INFO,
        "No store sold a category for some time, although it sold in that season of another year; it is unknown then.",
        "Nothing if the category was closed or not supplied; else deliver the missing rows.",
    ),
    AlarmFacts(
        "store_closed",
        Severity.WARNING,
        "A store has had no sales for long, or its closing date has passed; it gets no target.",
        "Deliver its sales if it is open.",
    ),
    AlarmFacts(
        "closed_weekdays",
        Severity.INFO,
        "A store hardly ever sells on a weekday; it is forecast as closed on it.",
        "Set `open` in the calendar if that changes.",
    ),
    AlarmFacts(
        "unlisted_store",
        Severity.WARNING,
        "Sales belong to a store that is not in the stores table and has not sold lately; it gets no target.",
        "Nothing if the store is closed.",
    ),
    AlarmFacts(
        "unlisted_store_sells",
        Severity.HOLD,
        "A store that is not in the stores table still sells; it gets no target.",
        "Add the store to the stores table, or ignore its rows (`sources.sales.ignore`).",
    ),
    AlarmFacts(
        "stock_not_counted",
        Severity.WARNING,
        "The stock table has no count on or before the run date; stock is taken as 0.",
        "Deliver a count, or correct its date.",
    ),
    AlarmFacts(
        "stock_undated",
        Severity.WARNING,
        "Stock has no date, and sales reach past the run date: the count is not that of the run date.",
        "Add a date column to the stock table.",
    ),
    AlarmFacts(
        "stock_outdated",
        Severity.WARNING,
        "The last count of a store is older than its last sales.",
        "Deliver a newer count.",
    ),
    AlarmFacts(
        "stock_rows_missing",
        Severity.WARNING,
        "Many stores and SKUs that sold lately have no stock row; they count as 0.",
        "Export rows with a stock of 0 too.",
    ),
    AlarmFacts(
        "stock_zero",
        Severity.WARNING,
        "Most SKUs that a store sold lately have a stock of 0.",
        "Check the count of the store.",
    ),
    AlarmFacts(
        "capacity_below_stock",
        Severity.INFO,
        "A store holds more units than its storage capacity.",
        "Correct `stores.storage_capacity` or the stock.",
    ),
    AlarmFacts(
        "input_drift",
        Severity.INFO,
        "Sales, prices, stores, series or planned promotions differ from the past by more than the limits.",
        "Look for missing or wrong rows. If the change is real, do nothing: models are trained again after a drift.",
    ),
    AlarmFacts(
        "forecast_drift",
        Severity.WARNING,
        "Forecast errors are larger than the forecasts imply, by a test with at most one false alarm a year.",
        "Check the latest sales and promotions. Train the models again: `restock weekly --force`.",
    ),
    AlarmFacts(
        "deepar_failed",
        Severity.WARNING,
        "DeepAR failed. It takes no part in this run; the other models forecast its series.",
        "Correct what the message names and run again. `models.deepar.required` stops the run instead.",
    ),
    AlarmFacts(
        "low_fill_rate",
        Severity.WARNING,
        "The published plan serves less of the expected demand than the service level.",
        "Read the shortages: DC stock, storage capacity or deliveries are too low. A holding cost also lowers it.",
    ),
    AlarmFacts(
        "plan_far_above_bound",
        Severity.WARNING,
        "The cost of the published plan is more than 15 % above what is attainable with uncertain demand.",
        "Add policies to `inventory.policies`, or raise `expert.inventory.genetic.generations`, and run again.",
    ),
)
ALARMS = {facts.name: facts for facts in _FACTS}
