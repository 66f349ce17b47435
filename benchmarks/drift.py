"""False alarms and detection delays of the drift tests: ``python -m benchmarks.drift``.

Prints the table of docs/benchmarks.md. Forecast errors: weekly losses of a chain whose forecasts are right, from
several distributions, and the same with a jump after a year. Inputs: three years of daily sales of 100 series with a
season, without a drift and with one in the last four weeks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.frequency import Frequency
from schemas.panel import FloatArray, Panel
from tasks.performance.drift import FORECAST_BIAS, FORECAST_ERROR, YEARS_PER_FALSE_ALARM, input_drift
from tasks.performance.sequential import detect

YEARS, WEEKS = 3, 52
CHAINS = 200
SHIFTS = (1.1, 1.25, 1.5, 2.0)
PANELS, SERIES, DAYS = 40, 100, 3 * 364
FACTORS = (1.0, 1.2, 1.4, 1.7)
Losses = Callable[[np.random.Generator, int], FloatArray]


def gamma(rng: np.random.Generator, count: int) -> FloatArray:
    """Independent losses, coefficient of variation 0.25."""
    return rng.gamma(16, 1 / 16, size=count)


def heavy(rng: np.random.Generator, count: int) -> FloatArray:
    """Independent losses with a heavy tail."""
    return np.exp(0.5 * rng.standard_t(3, size=count))


def related(rng: np.random.Generator, count: int) -> FloatArray:
    """Losses whose logarithms follow an AR(1) process with coefficient 0.3."""
    logs = np.zeros(count)
    for week in range(1, count):
        logs[week] = 0.3 * logs[week - 1] + 0.25 * rng.normal()
    return np.exp(logs)


def errors_table() -> pd.DataFrame:
    """Alarms a year and chain without a drift, and weeks until the alarm after a jump of the error."""
    rows = []
    for losses in (gamma, heavy, related):
        rng = np.random.default_rng(1)
        alarms = 0
        for _ in range(CHAINS):
            # As in the weekly run: two detectors, of error and bias.
            for _name in (FORECAST_ERROR, FORECAST_BIAS):
                alarms += len(detect(losses(rng, YEARS * WEEKS).tolist(), YEARS_PER_FALSE_ALARM * WEEKS).alarms)
        row: dict[str, object] = {"losses": losses.__name__, "alarms a year": round(alarms / CHAINS / YEARS, 2)}
        for shift in SHIFTS:
            row[f"weeks to x{shift:g}"] = _delay(losses, shift)
        rows.append(row)
    return pd.DataFrame(rows)


def _delay(losses: Losses, shift: float) -> str:
    """Median weeks from the jump to the alarm, and the share of the chains with an alarm within a year."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(CHAINS // 2):
        values = losses(rng, 2 * WEEKS)
        values[WEEKS:] *= shift
        alarms = detect(values.tolist(), YEARS_PER_FALSE_ALARM * WEEKS).alarms
        found.append(next((at - WEEKS + 1 for at in alarms if at >= WEEKS), np.inf))
    share = float(np.isfinite(found).mean())
    return f"{np.median(found):.0f} ({share:.0%})" if share >= 0.5 else f"> {WEEKS} ({share:.0%})"


def inputs_table() -> pd.DataFrame:
    """Share of the evaluations that report a drift, by the factor of the sales of the last four weeks."""
    rng = np.random.default_rng(3)
    rows = []
    for factor in FACTORS:
        found = [input_drift(panel(rng, factor)).drift for _ in range(PANELS)]
        units = [bool(rows_[c.DRIFTED].astype(bool).any()) for rows_ in found]
        rows.append({"sales of the last four weeks": f"x {factor:g}", "evaluations with a drift": np.mean(units)})
    return pd.DataFrame(rows)


def panel(rng: np.random.Generator, factor: float) -> Panel:
    """Daily sales of ten stores with a season and a weekly noise of all stores of 8 percent."""
    labels = Frequency("D").range(date(2022, 1, 3), DAYS + 28)
    season = 1 + 0.5 * np.sin(2 * np.pi * np.arange(DAYS) / 364)
    common = np.repeat(np.exp(0.08 * rng.normal(size=DAYS // 7)), 7)
    rate = rng.gamma(1.0, 3.0, size=SERIES)[:, None] * season * common
    rate[:, -28:] *= factor
    demand = rng.poisson(rate).astype(np.float64)
    stores = [f"{number // 10}" for number in range(SERIES)]
    return Panel(
        frequency=Frequency("D"),
        series=pd.DataFrame({c.STORE_ID: stores, c.CATEGORY: [f"c{number % 10}" for number in range(SERIES)]}),
        periods=labels,
        demand=demand,
        closed=np.zeros((SERIES, DAYS + 28), dtype=bool),
        horizon=28,
    )


if __name__ == "__main__":
    print(errors_table().to_string(index=False))
    print(inputs_table().to_string(index=False))
