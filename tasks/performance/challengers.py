"""Champion and challenger: forecasts in shadow, their weekly losses, and the paired test."""

from __future__ import annotations

import hashlib
import io
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.panel import FloatArray
from schemas.performance import CHALLENGERS, CHAMPION, FOLDER, Decision
from schemas.records import TableRef
from schemas.settings.challenger import ChallengerSettings
from tasks.performance.promotion import Promotion, promote, revert
from tasks.performance.published_week import FORECAST, ForecastGrid, ModelForecast, PublishedWeek
from tasks.performance.read import read_table
from tasks.performance.replay import Replay, cycle_cost, forecast_levels
from tasks.performance.sequential import paired_evidence
from tasks.publication.earlier_runs import RUNS, preview_key, run_key
from tasks.publication.versions import dates_of
from tasks.storage.lake import Lake

SHADOW = f"{FOLDER}/shadow"
COST = c.COST
DECISION = "decision"
# The error rate is divided among two measures and two directions.
PARTS = 2


def keep_shadow_forecast(lake: Lake, name: str, as_of: date, forecast: TableRef) -> bool:
    """Store the forecast of a challenger: store_id, category, date, mean and quantiles of its champions.

    Only the first forecast of a run date is stored, because a later one could use newer data.

    Args:
        lake: receives the forecast.
        name: name of the challenger.
        as_of: run date.
        forecast: live forecasts of the challenger with their champion flag.

    Returns:
        False if a forecast was already stored.
    """
    return not lake.exists(_key(name, as_of)) and _keep(lake, name, as_of, lake.read_table(forecast))


def take_forecasts(lake: Lake, other: Lake, name: str, first: date) -> list[date]:
    """Store another installation's forecasts as those of a challenger, for the run dates of both installations.

    Args:
        lake: lake of the publications; receives the forecasts.
        other: lake of the other installation; a publication counts before a preview.
        name: name of the challenger.
        first: first run date.

    Returns:
        Run dates whose forecast was not stored before.
    """
    taken = []
    for day in dates_of(lake, RUNS):
        if day < first or lake.exists(_key(name, day)):
            continue
        for folder in (run_key(day), preview_key(day)):
            if other.exists(f"{folder}/{FORECAST}"):
                _keep(lake, name, day, pd.read_parquet(io.BytesIO(other.read_bytes(f"{folder}/{FORECAST}"))))
                taken.append(day)
                break
    return taken


def _keep(lake: Lake, name: str, as_of: date, rows: pd.DataFrame) -> bool:
    key = _key(name, as_of)
    rows = rows[rows[c.CHAMPION].to_numpy(dtype=bool)].assign(**{c.CHALLENGER: name})
    buffer = io.BytesIO()
    rows.reset_index(drop=True).to_parquet(buffer, index=False, compression="zstd")
    lake.write_bytes(key, buffer.getvalue())
    return True


def _key(name: str, as_of: date) -> str:
    """A name may hold any text, so the file is named by its checksum."""
    return f"{SHADOW}/{as_of}/{hashlib.sha256(name.encode()).hexdigest()[:12]}.parquet"


def shadow_keys(lake: Lake, as_of: date) -> list[str]:
    """Return the keys of the challengers' forecasts of a run date."""
    return lake.keys(f"{SHADOW}/{as_of}")


def challenger_weeks(lake: Lake, week: PublishedWeek, replay: Replay, demand: FloatArray) -> pd.DataFrame:
    """Compare the challengers of a week with its champions: table ``challenger_weeks``.

    Both losses are over the series and periods that both forecast: the WAPE at lag 1, and the replayed cost of the
    first delivery cycle per unit of demand.

    Args:
        lake: has the forecasts.
        week: published files.
        replay: plan problem of n series.
        demand: shape (n, K), units; NaN = unknown.
    """
    rows = []
    for key in shadow_keys(lake, week.as_of):
        frame = pd.read_parquet(io.BytesIO(lake.read_bytes(key)))
        name = str(frame[c.CHALLENGER].iloc[0])
        ahead = min(week.lag_length, demand.shape[1])
        own = [_placed(grid, replay) for grid in (week.forecast, ForecastGrid.of(frame))]
        known = np.isfinite(demand) & np.all([np.isfinite(one.mean[:, : demand.shape[1]]) for one in own], axis=0)
        first = known & (np.arange(demand.shape[1]) < ahead)
        actual = np.nan_to_num(demand)
        sold = float(actual[first].sum())
        errors = [float(np.abs(one.median[:, : demand.shape[1]] - actual)[first].sum()) for one in own]
        cycle = replay.first_cycle(demand.shape[1])
        inside = known & cycle.window(replay.problem.series_store)
        filled = np.where(np.isfinite(demand), demand, np.nan_to_num(own[0].median[:, : demand.shape[1]]))
        costs = [
            cycle_cost(replay.problem, cycle, forecast_levels(replay, cycle, one), filled, replay.holding).total[inside]
            for one in own
        ]
        money = [float(cost.sum()) for cost in costs]
        for measure, (champion, challenger), units, count in (
            (c.WAPE, errors, sold, first.sum()),
            (COST, money, float(actual[inside].sum()), inside.sum()),
        ):
            if units > 0:
                rows.append((name, measure, champion / units, challenger / units, int(count)))
    names = [c.CHALLENGER, c.MEASURE, c.CHAMPION_LOSS, c.CHALLENGER_LOSS, c.N]
    return pd.DataFrame(rows, columns=names)


def _placed(grid: ForecastGrid, replay: Replay) -> ModelForecast:
    """Forecast of the champions in the order of the problem's series; NaN for series without one."""
    at = replay.places(grid.series)
    found = grid.of_model(CHAMPION)
    mean, quantiles = found.mean[at], found.quantiles[at]
    mean[at < 0], quantiles[at < 0] = np.nan, np.nan
    return ModelForecast(mean, quantiles, found.levels)


def decide(weeks: pd.DataFrame, settings: ChallengerSettings) -> pd.DataFrame:
    """Test every challenger over all its weeks: table ``challengers``.

    A difference is (champion loss - challenger loss) / champion loss of one week. Evidence of 2 / error rate is
    significant: each of the two measures may use half of the error rate. The challenger is promoted if one measure is
    significantly better and none is significantly worse, and the champion is kept in the opposite case.

    Args:
        weeks: rows of ``challenger_weeks``, current versions.
        settings: error rate and fewest weeks.
    """
    limit = PARTS / settings.error_rate
    rows = []
    for name, own in weeks.sort_values(c.AS_OF).groupby(c.CHALLENGER):
        found = {}
        for measure, losses in own.groupby(c.MEASURE):
            champion = losses[c.CHAMPION_LOSS].to_numpy(dtype=np.float64)
            gain = champion - losses[c.CHALLENGER_LOSS].to_numpy(dtype=np.float64)
            relative = np.divide(gain, champion, out=np.zeros(len(gain)), where=champion > 0)
            better, worse = paired_evidence(relative.tolist())
            enough = len(relative) >= settings.weeks
            found[str(measure)] = verdict(better >= limit and enough, worse >= limit and enough)
            rows.append((name, measure, len(relative), relative.mean(), better, worse, found[str(measure)]))
        both = verdict(Decision.PROMOTE in found.values(), Decision.KEEP in found.values())
        rows.append((name, DECISION, own[c.AS_OF].nunique(), np.nan, np.nan, np.nan, both))
    names = [c.CHALLENGER, c.MEASURE, c.WEEKS, c.DIFFERENCE, c.EVIDENCE_FOR, c.EVIDENCE_AGAINST, c.DECISION]
    return pd.DataFrame(rows, columns=names).assign(**{c.ERROR_RATE: settings.error_rate})


def verdict(better: bool, worse: bool) -> Decision:
    """Promote if better, keep if worse, undecided if neither or both.

    >>> str(verdict(True, False)), str(verdict(True, True))
    ('promote', 'undecided')
    """
    if better == worse:
        return Decision.UNDECIDED
    return Decision.PROMOTE if better else Decision.KEEP


def last_decision(lake: Lake, name: str) -> str:
    """Return the last decision on a challenger; ``undecided`` if it was never compared."""
    rows = read_table(lake, CHALLENGERS.name)
    own = rows[rows[c.CHALLENGER].eq(name) & rows[c.MEASURE].eq(DECISION)]
    return str(Decision.UNDECIDED) if own.empty else str(own[c.DECISION].iloc[-1])


def put_in_force(
    lake: Lake, challenger: ChallengerSettings, since: date, by: str, note: str = "", *, undecided: bool = False
) -> Promotion:
    """Promote the challenger of the settings if the comparison supports it. The command and the app call this.

    Args:
        lake: lake of the publications.
        challenger: block of the settings.
        since: first run date.
        by: who promotes.
        note: why.
        undecided: promote regardless of the comparison.

    Raises:
        ConfigError: the decision is not ``promote``, or the settings have no challenger to promote.
    """
    with lake.exclusive():
        decision = last_decision(lake, challenger.name)
        if challenger.settings and decision != Decision.PROMOTE and not undecided:
            raise ConfigError(
                f"The decision on the challenger {challenger.name} is {decision}; expected promote. Wait for "
                "more weeks, or promote it anyway (command line: --undecided)."
            )
        return promote(lake, challenger, since, by, note)


def take_out_of_force(lake: Lake, since: date, by: str, note: str = "") -> Promotion:
    """Revert the promotion in force: runs from a date on use only the settings file.

    Raises:
        ConfigError: nothing is promoted on this date.
    """
    with lake.exclusive():
        return revert(lake, since, by, note)
