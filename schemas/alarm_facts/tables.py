"""Facts about the alarms on publications, series and the reading of tables."""

from __future__ import annotations

from schemas.facts import AlarmFacts, Severity

TABLES = (
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
        "Series have less than a year of sales. Their season comes from comparable stores, if any.",
        "Check their targets until they have a year of sales.",
    ),
    AlarmFacts(
        "first_christmas",
        Severity.INFO,
        "The history has no Christmas. The forecasts before Christmas are multiplied by an average of retail.",
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
        "row_limit",
        Severity.WARNING,
        "A file has exactly as many rows as programs export at most, so rows may be missing.",
        "Export in smaller parts, or do nothing if the file is complete.",
    ),
    AlarmFacts(
        "mixed_ids",
        Severity.WARNING,
        "A column has ids that differ only in leading zeros or case, such as 123 and 00123; they count as different.",
        "Write the ids in the same way in all files, as text.",
    ),
    AlarmFacts(
        "id_spelling",
        Severity.WARNING,
        "Ids differ from those they refer to only in spaces, .0, case or leading zeros; they count as the same ids.",
        "Write the ids in the same way in all files, as text.",
    ),
    AlarmFacts(
        "category_spelling",
        Severity.WARNING,
        "Values of the category differ in case, accents or punctuation only; they count as different categories.",
        "Write the values in the same way in the products table.",
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
        "A capacity or price is 0, or it or a pack size is not a number; it counts as not stated.",
        "Leave the cell empty if the value is unknown, or enter it.",
    ),
    AlarmFacts(
        "thousands_mark",
        Severity.WARNING,
        "A few numbers have a mark and three digits after it, such as 1.051 among whole numbers; it counts as decimal.",
        "Set `thousands` and `decimal` in the table's source.",
    ),
    AlarmFacts(
        "unmapped_column",
        Severity.INFO,
        "By its name, a column is an optional column of its table, but it is not mapped and not used.",
        "Map the column in the table's source if its content is what the name says.",
    ),
    AlarmFacts(
        "columns_differ",
        Severity.WARNING,
        "Files of a table do not have a column that is used in the others; it is empty in their rows.",
        "Export all files with the same columns.",
    ),
    AlarmFacts(
        "unknown_successor",
        Severity.WARNING,
        "The SKU that a product names as successor or predecessor is not in the products, or they form a circle.",
        "Correct `replaced_by` or `replaces`, or add the SKU to the products.",
    ),
    AlarmFacts(
        "not_goods",
        Severity.INFO,
        "By their names, SKUs are bags, gift cards, deposits or services; they get forecasts and targets as goods do.",
        "Leave them out with `sources.products.ignore` and `sources.sales.ignore`.",
    ),
    AlarmFacts(
        "several_companies",
        Severity.WARNING,
        "Sales of several companies have the same store ids; their sales are added.",
        "Run each company with its own settings (`sources.sales.only`), or make the store ids different.",
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
        "The frequency is daily, but all sales, or those of a store or time, have dates a week or a month apart.",
        "Set `frequency` to weeks or months if the rows are weekly or monthly sales.",
    ),
    AlarmFacts(
        "period_labels",
        Severity.WARNING,
        "The dates of the sales are the last days of their weeks or months, and are read as such.",
        "Set `period_label` to end to confirm, or to start.",
    ),
    AlarmFacts(
        "sales_end_early",
        Severity.WARNING,
        "The last periods before the run date have no sales of any store; they are unknown.",
        "Deliver the newer sales, or set an earlier run date.",
    ),
    AlarmFacts(
        "promotions_missing",
        Severity.WARNING,
        "No promotion is planned in the horizon, although there always was one before; the forecast assumes none.",
        "Deliver the planned promotions.",
    ),
    AlarmFacts(
        "promotion_ends",
        Severity.INFO,
        "Promotions end on the day on which the next one begins, or their dates do not fit the sales by a day or more.",
        "Correct the dates: `date_from` and `date_to` are the first and last day. Many exports have the day after.",
    ),
    AlarmFacts(
        "calendar_incomplete",
        Severity.WARNING,
        "The calendar does not cover all stores, the whole history or the whole horizon.",
        "Extend the calendar.",
    ),
)
