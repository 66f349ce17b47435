"""Time and size of the planners' app on a generated lake with 30,000 series: start, pages, filters.

``python -m benchmarks.app [--stores 100] [--categories 300] [--skus 4]`` prints tables in Markdown. The lake is
written to a temporary folder. Pages are measured in headless Chromium where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import yaml

from schemas import columns as c
from schemas.outputs import output_tables
from schemas.performance import TABLES, Kind
from tasks.app.data import exceptions, grid, series
from tasks.app.data.company import Company
from tasks.performance.tables import append
from tasks.publication.output_files import write_output
from tasks.storage.lake import Lake, open_lake
from tests.browser import chromium
from tests.ports import free_port

AS_OF = date(2025, 2, 24)
HORIZON, HISTORY = 28, 365
MODELS = ["xgboost", "theta", "arima", "ensemble", "moving_average", "seasonal_naive"]
# Evaluated weeks.
WEEKS = 13
QUANTILES = {"q0.1": 0.5, "q0.25": 0.75, "q0.5": 0.95, "q0.75": 1.25, "q0.9": 1.6}
SECONDS_TO_START = 120
SECONDS_TO_REST = 3
PAGES = (
    ("/", "To send by store"),
    ("/exceptions", "open, value"),
    ("/series", "Demand and forecast"),
    ("/series?store=S050&category=CATEGORY+0150&sku=0150-2", "Why this target"),
    ("/overrides?store=S050&sku=0150-2", "Rejected rows"),
    ("/what-if", "Storage capacity, %"),
    ("/performance", "What each step added"),
    ("/operations", "Versions of the published files"),
)
SENT = """
performance.getEntriesByType('resource').filter(e => e.name.includes('_dash-update-component'))
    .reduce((sum, e) => sum + e.transferSize, 0)
"""


def write_lake(folder: Path, stores: int, categories: int, skus: int, seed: int = 1) -> Path:
    """Write a settings file and a lake with one published run; return the settings file."""
    rng = np.random.default_rng(seed)
    lake = open_lake(str(folder / "lake"))
    store_ids, names = [f"S{i:03d}" for i in range(stores)], [f"CATEGORY {j:04d}" for j in range(categories)]
    n = stores * categories
    keys = pd.DataFrame({c.STORE_ID: np.repeat(store_ids, categories), c.CATEGORY: np.tile(names, stores)})
    rate = rng.gamma(1.0, 2.0, n)
    days = pd.date_range(AS_OF, periods=HORIZON)
    forecast, metrics = live_forecasts(store_ids, names, rate, days), series_metrics(store_ids, names, rate, rng)
    pairs = keys.loc[keys.index.repeat(skus)].reset_index(drop=True)
    pairs[c.SKU] = pairs[c.CATEGORY].str.removeprefix("CATEGORY ") + np.tile([f"-{k}" for k in range(skus)], n)
    weekly = np.repeat(rate, skus) * 7 / skus
    held, target = rng.poisson(weekly * 2).astype(float), np.ceil(weekly * 1.4)
    blank = {name: 0.0 for name in (c.BY_LIFECYCLE, c.BY_ASSORTMENT, c.BY_VARIATION, c.BY_MINIMUM, c.BY_CAPACITY)}
    explained = pairs.assign(
        **blank,
        **{
            c.ARTICLE: pairs[c.CATEGORY], c.TARGET_QUANTITY: target,
            c.LIMIT: np.resize(["none", "DC stock"], len(pairs)),
            c.ON_HAND: held, c.IN_TRANSIT: 0.0, c.TO_SEND: np.maximum(target - held, 0), c.PACK_SIZE: 1.0,
            c.VISIT_DATE: days[0], c.NEXT_VISIT: days[7], c.SERIES_FORECAST: np.repeat(rate * 7, skus),
            c.SKU_FORECAST: weekly * rng.uniform(0.5, 1.8, len(pairs)), c.ORDER_UP_TO: np.repeat(rate * 10, skus),
            c.QUANTILE: 0.95, c.SERVICE_LEVEL: 0.95, c.LEVEL_WITHOUT_CAPACITY: np.repeat(rate * 10, skus),
            c.SERIES_STOCK: 0.0, c.SHARE: 1 / skus, c.UNITS_BY_SHARE: target, c.BY_ROUNDING: 0.0, c.BY_DC: 0.0,
        },
    )  # fmt: skip
    products = pd.DataFrame({c.SKU: pairs[c.SKU].unique()})
    products[c.NAME], products[c.PRICE] = "Shoe " + products[c.SKU], 9990.0
    facts = pairs[[c.STORE_ID, c.SKU]].assign(**{c.UNIT_PRICE: 9990.0})
    demand = rng.poisson(np.repeat(rate, HISTORY)).astype(float)
    panel = {
        "series": lake.write_table("features", keys),
        "periods": lake.write_table(
            "features", pd.DataFrame({c.DATE: pd.date_range(end=days[-1], periods=HISTORY + HORIZON)})
        ),
        "history": lake.write_table("features", pd.DataFrame({c.DEMAND: demand})),
    }
    sku_facts = lake.write_table("features", facts)
    ingest = {"tables": {"products": lake.write_table("validated/products", products).model_dump()}, "files": []}
    lake.store_record("ingest", "a", ingest)
    features = {"sku_facts": sku_facts.model_dump(), "panel": {
        "frames": {name: ref.model_dump() for name, ref in panel.items()}, "horizon": HORIZON}}  # fmt: skip
    lake.store_record("features", "a", features)
    run = folder / "lake/runs" / str(AS_OF)
    run.mkdir(parents=True)
    targets = pairs[[c.STORE_ID, c.SKU]].assign(**{c.TARGET_QUANTITY: target.astype(int)})
    targets.to_csv(run / "replenishment.csv", index=False)
    tables = {table.name: table for table in output_tables([float(name[1:]) for name in QUANTILES])}
    write_output(forecast, tables["forecast"], run)
    missing = dict.fromkeys(set(tables["metrics"].columns) - set(metrics.columns), np.nan)
    write_output(metrics.assign(**missing), tables["metrics"], run)
    deliveries = targets.loc[targets.index.repeat(HORIZON // 7), [c.STORE_ID, c.SKU]].reset_index(drop=True)
    visits = np.tile(days[::7].to_numpy(), len(targets))
    facts_of = {c.QUANTITY: 1.0, c.ON_HAND: 2.0, c.IN_TRANSIT: 0.0, c.STATUS: "expected"}
    write_output(deliveries.assign(**{c.VISIT_DATE: visits, **facts_of}), tables["deliveries"], run)
    explained.to_parquet(run / "explanations.parquet", index=False)
    keys.assign(**{c.MODEL: "xgboost", c.WHY: "lowest loss"}).to_parquet(run / "champions.parquet", index=False)
    (run / "manifest.json").write_text(json.dumps({"inputs": [], "plan_inputs": {"sku_facts": sku_facts.model_dump()}}))
    write_performance(lake, store_ids, names, rng)
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores", "overrides")}
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump({"name": "large", "storage": "lake", "sources": sources, "horizon": HORIZON}))
    return settings


def live_forecasts(stores: list[str], categories: list[str], rate: np.ndarray, days: pd.DatetimeIndex) -> pd.DataFrame:
    """Forecasts of every model for every series, as published."""
    series, size = len(rate), len(rate) * len(days)
    store, category = np.divmod(np.repeat(np.arange(series), len(days)), len(categories))
    mean = np.repeat(rate, len(days)) * np.tile(1 + 0.3 * np.sin(np.arange(len(days))), series)
    values = {c.MEAN: mean, **{name: mean * factor for name, factor in QUANTILES.items()}}
    return pd.DataFrame(
        {
            c.STORE_ID: pd.Categorical.from_codes(np.tile(store, len(MODELS)), stores),
            c.CATEGORY: pd.Categorical.from_codes(np.tile(category, len(MODELS)), categories),
            c.DATE: np.tile(days.to_numpy(), series * len(MODELS)),
            c.MODEL: pd.Categorical.from_codes(np.repeat(np.arange(len(MODELS)), size), MODELS),
            **{name: np.tile(value, len(MODELS)) for name, value in values.items()},
            c.CHAMPION: np.repeat(np.arange(len(MODELS)) == 0, size),
        }
    )


def series_metrics(
    stores: list[str], categories: list[str], rate: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Metrics of every model for every series, and over the network."""
    count = len(rate) * len(MODELS)
    store, category = np.divmod(np.tile(np.arange(len(rate)), len(MODELS)), len(categories))
    rows = pd.DataFrame(
        {
            c.MODEL: np.repeat(MODELS, len(rate)), c.LEVEL: "series", c.STORE_ID: np.array(stores)[store],
            c.CATEGORY: np.array(categories)[category], c.MAE: np.tile(rate, len(MODELS)) * 0.6,
            c.WAPE: rng.uniform(0.4, 0.8, count), c.BIAS: 0.0, c.COVERAGE: 0.8, c.N: 84,
        }
    )  # fmt: skip
    overall = rows.drop_duplicates(c.MODEL).assign(**{c.LEVEL: "overall", c.STORE_ID: None, c.CATEGORY: None})
    return pd.concat([rows, overall], ignore_index=True)


def write_performance(lake: Lake, stores: list[str], categories: list[str], rng: np.random.Generator) -> None:
    """Performance tables of the weeks before, as the evaluation writes them, with random figures."""
    places = [
        ("overall", "", ""),
        *(("store", one, "") for one in stores),
        *(("category", "", one) for one in categories),
    ]
    rows = pd.DataFrame(places, columns=[c.LEVEL, c.STORE_ID, c.CATEGORY])
    models = pd.DataFrame({c.MODEL: ["champion", "last_year", "seasonal_naive", "moving_average", "xgboost", "theta"]})
    steps = pd.DataFrame({c.STEP: ["seasonal_naive", "best_single", "champion", "plan", "override", "published"]})
    lags = pd.DataFrame({c.LAG: range(5)})
    groups = pd.DataFrame({c.GROUP: ["level", "season", "calendar", "promotions", "price", "stock"]})
    overrides = pd.DataFrame({c.NUMBER: range(1, 301), c.AUTHOR: "ana", c.REASON: "fair", c.ACTION: "set"})
    overrides = overrides.assign(**{c.STORE_ID: stores[0], c.PAIRS: 1, c.WON: True})
    tables = {
        "accuracy": rows.merge(lags, how="cross").merge(models, how="cross"),
        "service": rows.merge(lags, how="cross"),
        "value_added": rows.merge(steps, how="cross"),
        "importance": rows.merge(groups, how="cross").assign(**{c.MODEL: "xgboost"}),
        "plan_costs": rows[rows[c.LEVEL] != "category"].merge(
            pd.DataFrame({c.BASIS: ["planned", "realized"]}), how="cross"
        ),
        "override_value": overrides,
        "evaluations": pd.DataFrame({c.PUBLICATION: [1]}),
    }
    for week in range(1, WEEKS + 1):
        for name, frame in tables.items():
            numbers = [column.name for column in TABLES[name].columns if column.kind is Kind.NUMBER]
            values = {column: rng.gamma(2.0, 5.0, len(frame)) for column in numbers if column not in frame.columns}
            append(lake, TABLES[name], AS_OF - timedelta(days=7 * week), 1, frame.assign(**values))


def timed(task: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> tuple[float, Any]:
    """Return the seconds that a call takes by a clock, and its result."""
    started = clock()
    result = task()
    return clock() - started, result


def cpu_of(process: int) -> float:
    """Seconds of computing of a process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def data_times(settings: Path) -> list[tuple[str, float]]:
    """Seconds of what the pages compute, without a browser."""
    company = Company(settings)
    name = company.chosen(None)
    assert name is not None
    read, week = timed(lambda: company.week(name))
    pairs, _ = timed(lambda: week.pairs)
    first, table = timed(lambda: exceptions.exception_table(week, {}))
    again, _ = timed(lambda: exceptions.exception_table(week, {}))
    words = {"filterModel": {"search": {"filterType": "text", "type": "contains", "filter": "0123 s01"}}}
    sort = {"sortModel": [{"colId": c.UNITS, "sort": "asc"}]}
    search, _ = timed(lambda: grid.page(table, {**words, **sort, "startRow": 0, "endRow": 100}))
    one, _ = timed(lambda: series.series_view(week, "S050", "CATEGORY 0150"))
    return [
        ("read the run", read),
        (f"{len(week.pairs):,} store-SKU pairs", pairs),
        (f"{len(table):,} exceptions, first time", first),
        ("exceptions again", again),
        ("search and sort them", search),
        ("one series with its history", one),
    ]


def megabytes_of(process: int) -> float:
    """Largest memory of a process so far (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def page_times(settings: Path) -> tuple[list[tuple[str, float, float, float]], float]:
    """What the browser waits for, and the largest memory of the app.

    Returns:
        Step, seconds on the clock, seconds of computing of the app, and kilobytes that the app sent for the page; and
        megabytes.
    """
    port = free_port()
    command = [sys.executable, "-m", "flows", "app", "--settings", str(settings), "--port", str(port)]
    address = f"http://127.0.0.1:{port}"

    def answered() -> None:
        until = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < until:
            try:
                if httpx.get(address).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            answered()
            wall = time.perf_counter() - started
            found = [("start of `restock app` to the first answer", wall, cpu_of(process.pid), 0.0)]
            if chromium.program() is None:
                return found, megabytes_of(process.pid)
            with chromium.browser(Path(folder)) as tab:
                for path, words in PAGES:
                    for turn in ("first", "second"):
                        tab.open("about:blank")
                        before, started = cpu_of(process.pid), time.perf_counter()
                        tab.open(f"{address}{path}")
                        tab.wait_for(words)
                        wall = time.perf_counter() - started
                        time.sleep(SECONDS_TO_REST)  # rows of tables are requested after the page
                        sent = tab.evaluate(SENT) / 1000
                        found.append((f"page {path}, {turn} time", wall, cpu_of(process.pid) - before, sent))
            return found, megabytes_of(process.pid)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=100)
    parser.add_argument("--categories", type=int, default=300)
    parser.add_argument("--skus", type=int, default=4)
    parser.add_argument("--settings", type=Path, help="measure this company instead of a generated one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = given.settings
        if settings is None:
            settings = write_lake(Path(folder), given.stores, given.categories, given.skus)
            print("| computation | CPU seconds |\n|---|---|")
            for name, seconds in data_times(settings):
                print(f"| {name} | {seconds:.2f} |")
        print("\n| in the browser | seconds | CPU seconds of the app | kB sent |\n|---|---|---|---|")
        times, memory = page_times(settings)
        for name, wall, cpu, sent in times:
            print(f"| {name} | {wall:.2f} | {cpu:.2f} | {sent:.0f} |")
        print(f"\nLargest memory of the app: {memory:.0f} MB")


if __name__ == "__main__":
    main()
