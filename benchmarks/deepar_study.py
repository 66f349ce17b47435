"""DeepAR and Prophet on the 27 best products of one store, monthly and daily, as the DeepAR study compared them.

Usage: .venv/bin/python benchmarks/deepar_study.py [--backend local] [--only monthly]

Takes the demo company's best store and its 27 best articles, runs `restock weekly` on them once by month
(horizon 6, aggregated from daily lines) and once by day (horizon 28), and prints the study's table: the share
of products and periods in each acceptance band (forecast / actual within 5, 10 and 20 %), RMSE, MAE and MAPE.
Both models are judged on the same rows: the last horizon before `as_of`, which neither has seen.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from schemas import columns as c
from tasks.demo.catalog import ARTICLE
from tasks.demo.tables import DemoTables, demo_tables
from tasks.evaluation.metrics.table import OVERALL, metrics_table

PRODUCTS = 27
RUNS = {
    "monthly": {"frequency": "MS", "aggregate": True, "horizon": 6, "as_of": "2025-02-01"},
    "daily": {"frequency": "D", "horizon": 28, "as_of": "2025-02-21"},
}
BANDS = {
    c.SHARE_EXCELLENT: "EXCELENTE %",
    c.SHARE_GOOD: "BUENO %",
    c.SHARE_ACCEPTABLE: "ACEPTABLE %",
    c.SHARE_POOR: "NECESITA MEJORA %",
}
ERRORS = {c.RMSE: "RMSE", c.MAE: "MAE", c.MAPE: "MAPE", c.WAPE: "WAPE"}
SHOWN = ["deepar", "prophet", "seasonal_naive", "moving_average"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="local", choices=["local", "sagemaker"])
    parser.add_argument("--storage", help="lake; a temporary folder where absent (SageMaker needs s3://)")
    parser.add_argument("--only", choices=list(RUNS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_best_products(demo_tables("full", seed=7), data)
        for name, run in RUNS.items():
            if given.only in (None, name):
                print(f"\n## {name}\n", flush=True)
                show(data, name, run, given.backend, given.storage or str(data / "lake"))


def write_best_products(tables: DemoTables, folder: Path) -> None:
    """The tables of the store that sells most and of its best articles; the category is the article."""
    sales = tables.sales.astype({c.STORE_ID: str, c.SKU: str})
    store = sales.groupby(c.STORE_ID)[c.UNITS].sum().idxmax()
    products = tables.products.astype({c.SKU: str})
    lines = sales[sales[c.STORE_ID] == store].merge(products[[c.SKU, ARTICLE]], on=c.SKU)
    best = lines.groupby(ARTICLE)[c.UNITS].sum().nlargest(PRODUCTS).index
    chosen = products[products[ARTICLE].isin(best)]
    stores = tables.stores[tables.stores[c.STORE_ID].astype(str) == store]
    lines[lines[ARTICLE].isin(best)].drop(columns=ARTICLE).to_parquet(folder / "sales.parquet", index=False)
    chosen.to_csv(folder / "products.csv", index=False)
    stores.to_csv(folder / "stores.csv", index=False)
    tables.calendar.to_csv(folder / "calendar.csv", index=False)
    flags = tables.availability.astype({c.STORE_ID: str, c.SKU: str})
    kept = (flags[c.STORE_ID] == store) & flags[c.SKU].isin(chosen[c.SKU])
    flags[kept].to_parquet(folder / "availability.parquet", index=False)


def show(folder: Path, name: str, run: dict, backend: str, storage: str) -> None:
    """One run, and its table as Markdown."""
    as_of = run["as_of"]
    sources = {"sales": "sales.parquet", "availability": "availability.parquet"}
    sources |= {table: f"{table}.csv" for table in ("products", "stores", "calendar")}
    settings = {
        "name": f"source-a-{name}",
        "country": "CL",
        "storage": storage,
        "category": [ARTICLE],
        "sources": {table: {"path": path} for table, path in sources.items()},
        "models": {"deepar": {"backend": backend}, "prophet": {}},
        "backtest": {"windows": 1},
        "inventory": {"policies": ["eoq"]},
        "special_periods": {"V1": [{"date_from": "2023-09-10", "date_to": "2023-11-02"}]},
        **{key: value for key, value in run.items() if key != "as_of"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "flows", "weekly", "--settings", str(path), "--as-of", as_of], check=True)
    seconds = time.perf_counter() - begun
    table = compared(pd.read_parquet(f"{storage}/runs/{as_of}/backtest.parquet"))
    table[list(BANDS)] = (100 * table[list(BANDS)]).round(1)
    table[list(ERRORS)] = table[list(ERRORS)].round(3)
    columns = [*BANDS.values(), *ERRORS.values(), "rows"]
    print("| model | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for model, row in table.iterrows():
        print(f"| {model} | " + " | ".join(f"{value:g}" for value in row) + " |")
    print(f"\n{seconds:.0f} s for the whole run", flush=True)


def compared(backtest: pd.DataFrame) -> pd.DataFrame:
    """The metrics of the models on the rows that all of them could serve, by our own metrics code."""
    keys = [c.CUTOFF, c.STORE_ID, c.CATEGORY, c.DATE]
    shown = backtest[backtest[c.MODEL].isin(SHOWN)]
    models = shown[c.MODEL].nunique()
    common = shown.groupby(keys, observed=True)[c.MODEL].transform("nunique") == models
    levels = [float(name.removeprefix("q")) for name in backtest.columns if name.startswith("q0.")]
    none = pd.DataFrame(columns=[c.CUTOFF, c.STORE_ID, c.CATEGORY, c.ABSOLUTE_SCALE, c.SQUARED_SCALE])
    metrics = metrics_table(shown[common], none, levels)
    overall = metrics[metrics[c.LEVEL] == OVERALL].set_index(c.MODEL)
    return overall.loc[[model for model in SHOWN if model in overall.index], [*BANDS, *ERRORS, c.N]].copy()


if __name__ == "__main__":
    main()
