"""Table of what changed: drift of inputs and of forecast errors, in the report and in the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas import columns as c
from tasks.report.formats import Table
from tasks.report.language import Language, message

ROWS_SHOWN = 30
_FEATURES = {
    "units": message("units sold per series"),
    "zero_share": message("share of periods without sales"),
    "price": message("price"),
    "promoted_share": message("share of SKUs in promotion"),
    "new_series": message("series that are new"),
    "vanished_series": message("series that stopped selling"),
    "new_stores": message("stores that are new"),
    "vanished_stores": message("stores that stopped selling"),
    "planned_promotions": message("planned promotions"),
    "forecast_error": message("forecast error"),
    "forecast_bias": message("forecast bias"),
}
_WINDOWS = {
    "training": message("all earlier data"),
    "last_year": message("the same weeks of last year"),
    "expected": message("what the forecasts imply"),
}


def drift_table(found: Sequence[Mapping[str, Any]], say: Language) -> Table:
    """Return one row per input and store whose drift was found.

    Args:
        found: rows of the performance table ``drift`` that are above their limit.
        say: language of the table.
    """
    # One input can be found by two tests: the change of the mean says more than a distance of distributions.
    keyed = {}
    for row in sorted(found, key=lambda one: str(one[c.TEST]), reverse=True):
        keyed[tuple(str(row[name]) for name in (c.LEVEL, c.STORE_ID, c.FEATURE, c.WINDOW))] = row
    chosen = [keyed[key] for key in sorted(keyed)]
    rows = [
        (
            say.known(_FEATURES.get(str(row[c.FEATURE]), str(row[c.FEATURE]))),
            str(row[c.STORE_ID]) or say("all stores"),
            say.known(_WINDOWS.get(str(row[c.WINDOW]), str(row[c.WINDOW]))),
            *_size(row, say),
        )
        for row in chosen[:ROWS_SHOWN]
    ]
    note = say.first(ROWS_SHOWN, len(chosen), "performance/drift")
    return Table(say.headers("Input", "Store", "Compared with", "#Change", "#Limit"), rows, note=note)


def _size(row: Mapping[str, Any], say: Language) -> tuple[str, str]:
    limit, statistic = float(row[c.LIMIT_VALUE]), float(row[c.STATISTIC])
    if row[c.TEST] == "change":
        return say.percent(statistic, 0, signed=True), say.percent(limit, 0)
    if row[c.TEST] == "set":
        share = say.percent(row[c.EFFECT], 0)
        return say("{count} ({share})", count=say.number(statistic), share=share), say.percent(limit, 0)
    if row[c.TEST] == "ks":
        return say("distribution, distance {size}", size=say.number(statistic, 2)), say.number(limit, 2)
    return say("{change} compared with usual", change=say.percent(row[c.EFFECT], 0, signed=True)), ""
