"""``restock explain``: explain what raised or lowered the forecast of one series and date."""

from __future__ import annotations

import io
from datetime import date

import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError, first_few
from schemas.panel import Panel
from schemas.run import RunContext
from schemas.settings import Settings, XgboostSettings
from schemas.settings.slices import IngestSlice, PanelSlice
from tasks.demand.cleaning.prepared import prepare
from tasks.demand.ingest.validation import validate_tables
from tasks.demand.panel import build_panel
from tasks.forecasting.registry import threads_per_shard
from tasks.forecasting.trees.booster import FEATURE, GAIN
from tasks.forecasting.trees.contributions import VALUE, explain
from tasks.forecasting.trees.direct import XgboostForecaster
from tasks.publication.earlier_runs import preview_key, run_key
from tasks.storage.lake import Lake, open_lake
from tasks.storage.source_files import expand_sources, read_tables

# Parts smaller than this (in units), and parts after the first PARTS_SHOWN, are summed into one line.
SMALLEST_PART, PARTS_SHOWN = 0.005, 14
FEATURES_SHOWN = 10
FORECAST_FILE = "forecast.parquet"


def explain_forecast(run: RunContext, store: str, category: str, on: date) -> list[str]:
    """Explain one forecast: the parts of XGBoost's median, and the most important features over all series.

    Refits XGBoost on the data before the run date, which takes up to a minute on the largest data sets.

    Args:
        run: Settings and run date of the finished run.
        store: Store ID of the series.
        category: Category of the series.
        on: First day of a period of the horizon.

    Returns:
        The explanation, as lines of text.

    Raises:
        ConfigError: The series or the period does not exist.
        DataContractError: An input table cannot be read.
    """
    settings, day = run.settings, pd.Timestamp(on)
    raw = read_tables(expand_sources(settings.sources), settings.sources)
    tables = validate_tables(raw, IngestSlice.of(settings)).tables
    panel = build_panel(prepare(tables, PanelSlice.of(settings), run.as_of)).panel
    _check(panel, store, category, day)
    forecaster = XgboostForecaster(
        settings.models.xgboost or XgboostSettings(), settings.quantiles, threads_per_shard(settings)
    )
    fitted = forecaster.fit(panel, settings.seed)
    parts = explain(fitted, panel, store, category, day)
    if parts.empty:
        return ["XGBoost was not trained: too few observed periods across all series."]
    lines = [
        f"Store {store}, {category}, {day.date()}: XGBoost's median is {parts[c.UNITS].sum():,.2f} units, the sum of",
        "",
        *_part_lines(parts),
        "",
        *_published(open_lake(settings.storage), settings, run, (store, category, day)),
        "",
        "Most important features of XGBoost over all series (mean gain of the splits):",
    ]
    gains = fitted.feature_importance().head(FEATURES_SHOWN)
    return [*lines, *(f"{gain:14,.1f}  {name}" for name, gain in zip(gains[FEATURE], gains[GAIN], strict=True))]


def _check(panel: Panel, store: str, category: str, day: pd.Timestamp) -> None:
    stores, categories = (panel.series[name].astype(str) for name in (c.STORE_ID, c.CATEGORY))
    if not (stores == store).any():
        raise ConfigError(
            f"--store {store}: no sales before the run date. Known stores: {first_few(sorted(set(stores)))}"
        )
    own = categories[stores == store]
    if category not in set(own):
        raise ConfigError(
            f"--category {category}: no sales in store {store}. Its categories: {first_few(sorted(set(own)))}"
        )
    if day not in panel.horizon_periods:
        labels = [str(label.date()) for label in panel.horizon_periods]
        raise ConfigError(f"--date {day.date()}: not in the horizon. Periods of the horizon: {first_few(labels)}")


def _part_lines(parts: pd.DataFrame) -> list[str]:
    """Return one line per part, with the value of its feature, and one line for all small parts."""
    large = parts[(parts[c.UNITS].abs() >= SMALLEST_PART)].head(PARTS_SHOWN)
    lines = [
        f"{units:+12,.2f}  {name}" + ("" if pd.isna(value) else f" = {value:,.4g}")
        for name, value, units in zip(large[FEATURE], large[VALUE], large[c.UNITS], strict=True)
    ]
    rest = parts.drop(large.index)[c.UNITS]
    return [*lines, f"{rest.sum():+12,.2f}  {len(rest)} other parts"] if len(rest) else lines


def _published(lake: Lake, settings: Settings, run: RunContext, asked: tuple[str, str, pd.Timestamp]) -> list[str]:
    """Return a line with the published forecast of the champion, or a line that says that no run has this date."""
    for folder in (run_key(run.as_of), preview_key(run.as_of)):
        if lake.exists(f"{folder}/{FORECAST_FILE}"):
            table = pd.read_parquet(io.BytesIO(lake.read_bytes(f"{folder}/{FORECAST_FILE}")))
            same = table[c.CHAMPION] & table[c.DATE].eq(asked[2])
            same &= table[c.STORE_ID].astype(str).eq(asked[0]) & table[c.CATEGORY].astype(str).eq(asked[1])
            return [
                f"The run's champion for this series is {model}: median {median:,.2f}, mean {mean:,.2f}."
                for model, median, mean in table.loc[same, [c.MODEL, c.MEDIAN, c.MEAN]].itertuples(index=False)
            ]
    return [f"{settings.name} has no run of {run.as_of}, so the champion's forecast is not known."]
