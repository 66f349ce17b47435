"""The exceptions of a week with their status, by money."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.outputs import AFTER, BEFORE, CHANGE
from tasks.app.data.grid import with_search
from tasks.app.data.statuses import OPEN, Decision, exception_id
from tasks.app.data.week import PAIR, RunWeek
from tasks.report.exceptions import COLUMNS
from tasks.report.language import message

FALLBACK = message("fallback forecast")
LARGE_CHANGE = message("large change")
# The largest changes of targets by money that the page lists.
LARGE_CHANGES = 50
# The stock of a SKU with almost no sales lasts for an unlimited number of weeks.
LONGEST_COVER = 999.0
ID, BY, AT = "id", "by", "at"
_TEXTS = [c.KIND, c.STORE_ID, c.SKU, c.PRODUCT_NAME, c.CATEGORY, c.REASON]


def exception_table(week: RunWeek, decisions: Mapping[str, Decision]) -> pd.DataFrame:
    """Return the exceptions of a week, the largest amount of money first.

    Args:
        week: a published week or a preview.
        decisions: statuses by id.

    Returns:
        id, status, kind (in the language of the settings), store_id, sku, product_name, category, units, money,
        weeks_of_cover, reason, by, at and the search column.
    """
    if "exceptions" not in week.cache:
        week.cache["exceptions"] = _exceptions(week)
    frame: pd.DataFrame = week.cache["exceptions"]
    known = [decisions.get(one) for one in frame[ID]]
    return frame.assign(
        **{
            c.STATUS: [OPEN if one is None else one.status for one in known],
            BY: ["" if one is None else one.by for one in known],
            AT: ["" if one is None else one.at.replace("T", " ")[:16] for one in known],
        }
    )


def _exceptions(week: RunWeek) -> pd.DataFrame:
    parts = [week.figures.exceptions, _fallbacks(week), _large_changes(week)]
    frame = pd.concat([part for part in parts if len(part)] or [parts[0]], ignore_index=True)
    keys = frame[[c.KIND, c.STORE_ID, c.SKU, c.CATEGORY]].astype(str)
    unclear = keys.duplicated(keep=False).to_numpy()
    reasons = np.where(unclear, frame[c.REASON].astype(str), "")
    ids = [
        exception_id(kind, store, sku, category, reason)
        for (kind, store, sku, category), reason in zip(keys.to_numpy().tolist(), reasons, strict=True)
    ]
    order = np.lexsort((ids, -frame[c.UNITS].abs().fillna(0).to_numpy(), -frame[c.MONEY].abs().fillna(0).to_numpy()))
    cover = frame[c.WEEKS_OF_COVER].clip(upper=LONGEST_COVER)
    frame = frame.assign(
        **{ID: ids, c.WEEKS_OF_COVER: cover, c.KIND: [week.say.known(str(kind)) for kind in frame[c.KIND]]}
    )
    frame = frame.drop_duplicates(ID).reset_index(drop=True) if frame[ID].duplicated().any() else frame
    order = order[order < len(frame)]
    return with_search(frame.iloc[order].reset_index(drop=True), _TEXTS)


def _fallbacks(week: RunWeek) -> pd.DataFrame:
    """Series whose chosen model failed, with the demand that is covered by the fallback forecast."""
    champions = week.outputs.champions
    if champions.empty or not week.facts.failures:
        return pd.DataFrame(columns=list(COLUMNS))
    chosen = {
        (str(store), str(category)): str(model)
        for store, category, model in champions[[c.STORE_ID, c.CATEGORY, c.MODEL]].itertuples(index=False)
    }
    pairs = week.pairs
    price = week.prices.reindex(pairs[c.SKU]).to_numpy(dtype=float)
    demand = pairs.assign(**{c.UNITS: pairs[c.SKU_FORECAST], c.MONEY: pairs[c.SKU_FORECAST] * price})
    sums = demand.groupby([demand[c.STORE_ID].astype(str), demand[c.CATEGORY].astype(str)])[[c.UNITS, c.MONEY]].sum()
    rows = []
    for failure in week.facts.failures:
        series = (failure.store_id, failure.category)
        if chosen.get(series) != failure.stage:
            continue
        units, money = sums.loc[series].tolist() if series in sums.index else (np.nan, np.nan)
        reason = week.say(
            "{model} could not forecast this series ({reason}); {fallback} is used",
            model=failure.stage,
            reason=failure.reason,
            fallback=failure.fallback,
        )
        rows.append((FALLBACK, series[0], "", "", series[1], units, money, np.nan, reason))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _large_changes(week: RunWeek) -> pd.DataFrame:
    """The largest changes of targets against the last earlier publication, by money."""
    if week.change is None or week.change.rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    rows = week.change.rows.astype(dict.fromkeys(PAIR, str))
    price = week.prices.reindex(rows[c.SKU]).to_numpy(dtype=float)
    money = (rows[CHANGE] * price).to_numpy(dtype=float)
    order = np.argsort(-np.abs(np.where(np.isfinite(money), money, rows[CHANGE])), kind="stable")[:LARGE_CHANGES]
    rows, money = rows.iloc[order].reset_index(drop=True), money[order]
    known = week.pairs.set_index(pd.MultiIndex.from_frame(week.pairs[PAIR].astype(str)))
    known = known.reindex(pd.MultiIndex.from_frame(rows[PAIR]))
    say, found = week.say, []
    names = known[c.PRODUCT_NAME] if c.PRODUCT_NAME in known.columns else pd.Series("", known.index)
    for row, name, category, amount in zip(
        rows.to_dict("records"), names.fillna("").astype(str), known[c.CATEGORY].fillna("").astype(str), money,
        strict=True,
    ):  # fmt: skip
        reason = say(
            "target {before} in the run of {date}, now {after}",
            before=say.number(row[BEFORE]),
            date=say.day(week.change.against),
            after=say.number(row[AFTER]),
        )
        key = (LARGE_CHANGE, row[c.STORE_ID], row[c.SKU], name, category)
        found.append((*key, float(row[CHANGE]), amount, np.nan, reason))
    return pd.DataFrame(found, columns=list(COLUMNS))
