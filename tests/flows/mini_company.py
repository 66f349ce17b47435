"""A company small enough that a whole run takes seconds: 3 stores, 4 SKUs, half a year of days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from schemas import columns as c

FIRST_DAY = pd.Timestamp("2024-01-01")
LAST_DAY = pd.Timestamp("2024-06-30")
AS_OF = "2024-07-01"
STORES = ("001", "2", "north/1")
SKUS = ("10", "11", "A 12", "0013")
BASE_UNITS = (12.0, 6.0, 3.0, 0.4)

SETTINGS = {
    "name": "mini",
    "frequency": "D",
    "horizon": 14,
    "storage": "lake",
    "sources": {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores", "stock")},
    "models": {},
    "backtest": {"windows": 2, "step": 7},
    "expert": {"inventory": {"sample_paths": 20, "genetic": {"population": 12, "generations": 4}}},
}


def sales(seed: int = 3) -> pd.DataFrame:
    """Daily sale lines with a weekly rhythm; zeros are absent rows, as tills write them."""
    rng = np.random.default_rng(seed)
    days = pd.date_range(FIRST_DAY, LAST_DAY)
    rhythm = np.array([0.8, 0.7, 0.8, 1.0, 1.3, 1.8, 0.6])[days.dayofweek]
    rows = [
        pd.DataFrame({c.DATE: days.strftime("%Y-%m-%d"), c.STORE_ID: store, c.SKU: sku, c.UNITS: units})
        for i, store in enumerate(STORES)
        for sku, base in zip(SKUS, BASE_UNITS, strict=True)
        for units in [rng.poisson(base * rhythm * (1 + 0.5 * i))]
    ]
    table = pd.concat(rows, ignore_index=True)
    table[c.NET_AMOUNT] = table[c.UNITS] * 1990
    return table[table[c.UNITS] > 0].reset_index(drop=True)


def write(folder: Path, **changed: pd.DataFrame) -> Path:
    """Write the company's tables and settings; ``changed`` replaces whole tables.

    Returns:
        Path of the settings file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "sales": sales(),
        "products": pd.DataFrame({c.SKU: SKUS, c.BRAND: ["x", "x", "y", "y"], c.PRICE: 1990}),
        "stores": pd.DataFrame({c.STORE_ID: STORES, c.STORAGE_CAPACITY: [400, 500, 600], c.VISIT_COST: 5000}),
        "stock": pd.DataFrame(
            [(store, sku, 10) for store in STORES for sku in SKUS], columns=[c.STORE_ID, c.SKU, c.ON_HAND]
        ),
        **changed,
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    return path
