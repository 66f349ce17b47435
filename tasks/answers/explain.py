"""``restock explain``: split a published forecast into its parts, which are read from the run's files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, StorageError, first_few
from schemas.run import RunContext
from tasks.forecasting.combine.ensemble import NAME as ENSEMBLE
from tasks.publication.earlier_runs import plan_inputs_of, preview_key, run_key
from tasks.report.language import Language, message
from tasks.storage.lake import Lake, open_lake

FORECAST_FILE, BACKTEST_FILE, CHAMPIONS_FILE = "forecast.parquet", "backtest.parquet", "champions.parquet"
# The recent level is the mean of at most this many periods before the run date.
RECENT_PERIODS = 28
WEEKDAYS = 7
# Smaller parts, in units, are not shown.
SMALLEST = 0.005
_PARTS = {
    "level": message("recent level of sales"),
    "season": message("season of earlier years"),
    "calendar": message("weekday, holidays and other calendar"),
    "promotions": message("promotions"),
    "price": message("price"),
    "stock": message("stock"),
    "store and product": message("store and product"),
    "events": message("planned events"),
}


def explain_forecast(run: RunContext, store: str, category: str, on: date) -> list[str]:
    """Explain the published forecast of one series and period: parts that add up to the expected units.

    Everything is read from the run's folder and from the parts that its models stored. No model is fitted again. The
    forecast of XGBoost is split into the parts of level, season, calendar, promotions and price. A model without such
    parts is split into the recent level, the change of the whole horizon, the weekday and the period itself. The
    ensemble is split into its members, and each member into its parts.

    Args:
        run: Settings and run date of the finished run.
        store: Store ID of the series.
        category: Category of the series.
        on: First day of a period of the horizon.

    Returns:
        The explanation, as lines of text.

    Raises:
        ConfigError: No run has this date, another version wrote its manifest, or the series or the period does not
            exist in it.
    """
    lake, say = open_lake(run.settings.storage), Language.of(run.settings)
    folder = _folder(lake, run)
    day = pd.Timestamp(on)
    own = _series(_table(lake, f"{folder}/{FORECAST_FILE}"), store, category)
    _check_period(own, day)
    name = str(own.loc[own[c.CHAMPION].astype(bool), c.MODEL].iloc[0])
    chosen = own[own[c.MODEL].eq(name) & own[c.DATE].eq(day)].iloc[0]
    past = _past(_series(_table(lake, f"{folder}/{BACKTEST_FILE}"), store, category, missing_ok=True), day, own)
    parts = _model_parts(lake, folder, store, category, day)
    champions = _series(_table(lake, f"{folder}/{CHAMPIONS_FILE}"), store, category, missing_ok=True)
    low, high = _outer_quantiles(chosen)
    lines = [
        say(
            "Store {store}, {category}, {date}: {units} units are expected. Median {median}; "
            "{low} to {high} in {share} of all cases.",
            store=store,
            category=category,
            date=say.day(on),
            units=say.number(chosen[c.MEAN], 2),
            median=say.number(chosen[c.MEDIAN], 2),
            low=say.number(chosen[low], 2),
            high=say.number(chosen[high], 2),
            share=say.percent(_level(high) - _level(low), 0),
        ),
        say("Model: {model}. {reason}", model=name, reason="; ".join(champions[c.WHY].astype(str))),
        "",
    ]
    if name == ENSEMBLE and c.WEIGHT in own.columns:
        lines += _ensemble_lines(own, day, chosen, past, parts, say)
    else:
        lines += _lines(_parts_of(own, name, day, past, parts), float(chosen[c.MEAN]), say)
    return [*lines, "", say("Stock-outs: demand is unknown, not low, in periods in which the SKUs were out of stock.")]


def _ensemble_lines(
    own: pd.DataFrame, day: pd.Timestamp, chosen: pd.Series, past: pd.Series, parts: Mapping[str, Any], say: Language
) -> list[str]:
    """The members with their weights; then the parts of every member."""
    members = own[own[c.DATE].eq(day) & (own[c.WEIGHT] > 0)].sort_values(c.WEIGHT, ascending=False, kind="stable")
    total, lines, after = 0.0, [say("The ensemble is the weighted mean of its members:")], []
    for model, weight, mean in members[[c.MODEL, c.WEIGHT, c.MEAN]].itertuples(index=False):
        total += float(weight) * float(mean)
        words = say(
            "{share} of {model}: {units} units", share=say.percent(weight), model=model, units=say.number(mean, 2)
        )
        lines.append(_line(float(weight) * float(mean), words, say))
        after += ["", say("Parts of {model}:", model=model)]
        after += _lines(_parts_of(own, str(model), day, past, parts), float(mean), say)
    lines += _closing(float(chosen[c.MEAN]), total, say)
    return [*lines, *after]


def _parts_of(
    own: pd.DataFrame, model: str, day: pd.Timestamp, past: pd.Series, parts: Mapping[str, Any]
) -> list[tuple[str, float]]:
    """Named parts of a model's forecast, in units: those that it stored, or the pattern of the horizon."""
    rows = own[own[c.MODEL].eq(model)]
    at = rows[rows[c.DATE].eq(day)].iloc[0]
    if model in parts:
        stored = parts[model]
        found = [(_PARTS.get(str(name), str(name)), float(units)) for name, units in stored.items()]
        return [
            *found,
            (message("expected value above the median, as sales are uneven"), float(at[c.MEAN] - at[c.MEDIAN])),
        ]
    means = rows.set_index(c.DATE)[c.MEAN].astype(float)
    whole, level = float(means.mean()), float(past.mean()) if len(past) else float("nan")
    found = [(message("mean of the forecast's horizon"), whole)]
    if np.isfinite(level):
        found = [
            (message("sold per period in the last periods"), level),
            (message("change of the whole horizon: trend and season"), whole - level),
        ]
    weekday = whole
    if len(means) > WEEKDAYS and bool((means.index.to_series().diff().dropna() == pd.Timedelta(days=1)).all()):
        weekday = float(means[means.index.dayofweek == day.dayofweek].mean())
        found.append((message("weekday"), weekday - whole))
    return [*found, (message("this period compared with similar ones"), float(at[c.MEAN]) - weekday)]


def _lines(parts: list[tuple[str, float]], published: float, say: Language) -> list[str]:
    """One line per part, and the sum."""
    lines = [_line(units, say.known(name), say) for name, units in parts if abs(units) >= SMALLEST]
    return [*lines, *_closing(published, sum(units for _, units in parts), say)]


def _closing(published: float, total: float, say: Language) -> list[str]:
    rest = published - total
    small = abs(rest) < SMALLEST
    words = say("calibration on past weeks, closed periods and agreement with totals")
    return [*([] if small else [_line(rest, words, say)]), f"= {say.number(published, 2):>10}  {say('expected units')}"]


def _line(units: float, words: str, say: Language) -> str:
    return f"{'+' if units >= 0 else '−'} {say.number(abs(units), 2):>10}  {words}"


def _past(backtest: pd.DataFrame, day: pd.Timestamp, own: pd.DataFrame) -> pd.Series:
    """Known sales of the last periods before the horizon, one value per period."""
    first = own[c.DATE].min()
    known = backtest[backtest[c.DATE] < min(first, day)].drop_duplicates(c.DATE).dropna(subset=[c.ACTUAL])
    return known.sort_values(c.DATE)[c.ACTUAL].astype(float).tail(RECENT_PERIODS)


def _model_parts(lake: Lake, folder: str, store: str, category: str, day: pd.Timestamp) -> dict[str, Any]:
    """Model to its stored parts of this forecast (part to units); models without parts are absent."""
    found: dict[str, Any] = {}
    for ref in plan_inputs_of(lake, folder).parts:
        try:
            table = lake.read_table(ref)
        except StorageError:
            continue
        same = table[c.STORE_ID].astype(str).eq(store) & table[c.CATEGORY].astype(str).eq(category)
        for model, rows in table[same & table[c.DATE].eq(day)].groupby(c.MODEL, observed=True, sort=False):
            found[str(model)] = dict(zip(rows[c.PART].astype(str), rows[c.UNITS], strict=True))
    return found


def _folder(lake: Lake, run: RunContext) -> str:
    for folder in (run_key(run.as_of), preview_key(run.as_of)):
        if lake.exists(f"{folder}/{FORECAST_FILE}"):
            return folder
    raise ConfigError(
        f"--as-of {run.as_of}: {lake.uri(run_key(run.as_of))} does not contain {FORECAST_FILE}. To create it: restock "
        f"weekly --settings FILE --as-of {run.as_of}"
    )


def _table(lake: Lake, key: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(lake.read_bytes(key)))


def _series(table: pd.DataFrame, store: str, category: str, missing_ok: bool = False) -> pd.DataFrame:
    """The rows of one series.

    Raises:
        ConfigError: the table has no such rows. The message names the known IDs.
    """
    stores, categories = (table[name].astype(str) for name in (c.STORE_ID, c.CATEGORY))
    own = table[stores.eq(store) & categories.eq(category)]
    if len(own) or missing_ok:
        return own.astype({c.MODEL: str})
    if not stores.eq(store).any():
        raise ConfigError(f"--store {store}: no forecast in this run. Known stores: {first_few(sorted(set(stores)))}")
    known = sorted(set(categories[stores.eq(store)]))
    raise ConfigError(f"--category {category}: no forecast for store {store}. Its categories: {first_few(known)}")


def _check_period(own: pd.DataFrame, day: pd.Timestamp) -> None:
    periods = [str(label.date()) for label in sorted(own[c.DATE].unique())]
    if str(day.date()) not in periods:
        raise ConfigError(f"--date {day.date()}: not in the horizon. Periods of the horizon: {first_few(periods)}")


def _outer_quantiles(row: pd.Series) -> tuple[str, str]:
    names = sorted((name for name in row.index if name.startswith("q") and name[1:2].isdigit()), key=_level)
    return names[0], names[-1]


def _level(name: str) -> float:
    return float(name.removeprefix("q"))
