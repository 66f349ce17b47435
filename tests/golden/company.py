"""The company of the golden run: small, and with every kind of input that a weekly run reads.

Column names, settings and values are written out rather than taken from the product's constants, as in a retailer's own
files: renaming a constant must not change what the golden run reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

AS_OF = "2024-07-01"
FIRST_DAY = pd.Timestamp("2023-05-01")
LAST_DAY = pd.Timestamp("2024-06-30")
SEED = 11

# Store: share of demand, type, storage capacity, display capacity, cost of a delivery.
STORES = {
    "001": (1.0, "A", 420, 150, 9000),
    "2": (0.7, "B", 110, 120, 7000),
    "north/1": (0.45, "B", 220, 3, 15000),
    "outlet": (0.6, "D", 260, 100, 6000),
}
# Style: brand, family, lifecycle state, color, sizes, pack size, minimum display, price, units a day and shop.
STYLES = {
    "boot": ("x", "boots", "Colección", "black", ("36", "37", "38", "39"), 1, 1, 39990, 7.0),
    "boot2": ("x", "boots", "Colección", "brown", ("37", "38", "39"), 1, 1, 34990, 3.0),
    "run": ("x", "sneakers", "Colección", "white", ("40", "41", "42", "43"), 1, 1, 29990, 9.0),
    "flip": ("y", "sandals", "Liquidación", "red", ("36", "38"), 6, 0, 7990, 2.5),
    "belt": ("y", "accessories", "Colección", "black", ("U",), 4, 2, 9990, 0.35),
    "sock": ("y", "accessories", "Saldo", "grey", ("U",), 12, 0, 2990, 0.2),
}
CURVE = {1: (1.0,), 2: (0.6, 0.4), 3: (0.3, 0.45, 0.25), 4: (0.15, 0.3, 0.35, 0.2)}

SETTINGS = {
    "name": "golden",
    "frequency": "D",
    "horizon": 10,
    "country": "CL",
    "storage": "lake",
    "sources": {
        name: {"path": f"{name}.csv"}
        for name in (
            *("sales", "products", "stores", "stock", "dc_stock"),
            *("calendar", "availability", "promotions", "overrides"),
        )
    },
    "category": ["brand", "family"],
    "quality": {"max_quarantined_share": 0.2},
    "special_periods": {"school": [{"date_from": "2024-02-19", "date_to": "2024-03-08"}]},
    "models": {"xgboost": {}, "xgboost_lags": {}, "xgboost_recursive": {}, "tsb": {}, "ensemble": {}},
    "backtest": {"windows": 2, "step": 7},
    "inventory": {
        "policies": ["eoq", "marginal_value", "genetic"],
        "lead_time": 1,
        "holding_cost": 40,
        "max_visits_per_period": 3,
    },
    "expert": {
        "models": {
            name: {"max_rounds": 15, "max_rows": 4000} for name in ("xgboost", "xgboost_lags", "xgboost_recursive")
        },
        "reconciliation": {"method": "auto"},
        "inventory": {
            "sample_paths": 16,
            "genetic": {"population": 12, "generations": 4},
            "calibration": {"runs": 4},
        },
        "compute": {"workers": 2},
    },
}


def _skus() -> pd.DataFrame:
    """One row per SKU, with its share of the style's demand."""
    rows = []
    for style, (brand, family, state, color, sizes, pack, display, price, units) in STYLES.items():
        for size, share in zip(sizes, CURVE[len(sizes)], strict=True):
            facts = (f"{style}-{size}", style, brand, family, state, color, size, pack, display, price, units * share)
            rows.append(facts)
    names = "sku article brand family collection_status color size pack_size min_presentation price units"
    return pd.DataFrame(rows, columns=names.split())


def _promotions() -> pd.DataFrame:
    """Past, current and future discounts, one for a single store, and one bad row that ends before it begins."""
    rows = [
        ("boot-38", "2024-03-04", "2024-03-17", "", "", 0.3),
        ("boot-37", "2024-03-04", "2024-03-17", "", "", 0.3),
        ("run-41", "2023-11-20", "2023-11-27", "", "", 0.25),
        ("run-42", "2023-11-20", "2023-11-27", "", "", 0.25),
        ("run-41", "2024-05-27", "2024-06-09", "", "", 0.25),
        ("flip-36", "2024-01-02", "2024-02-15", "", 4990, ""),
        ("flip-38", "2024-01-02", "2024-02-15", "", 4990, ""),
        ("run-41", "2024-07-03", "2024-07-07", "001", "", 0.2),
        ("run-42", "2024-07-03", "2024-07-07", "001", "", 0.2),
        ("boot-39", "2024-06-20", "2024-06-10", "", "", 0.2),
    ]
    return pd.DataFrame(rows, columns=["sku", "date_from", "date_to", "store_id", "price", "discount"])


def _calendar() -> pd.DataFrame:
    """Closed days, named holidays and events; two blackout days within the horizon."""
    days = pd.date_range(FIRST_DAY, LAST_DAY + pd.Timedelta(days=20))
    table = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "open": 1, "holiday": "", "event": "", "frozen": 0})
    table = table.set_index("date")
    for day in ("2023-09-18", "2023-12-25", "2024-01-01", "2024-05-01", "2024-07-16"):
        table.loc[day, ["open", "holiday"]] = (0, "national day")
    table.loc["2023-11-20":"2023-11-27", "event"] = "black week"
    table.loc["2024-05-27":"2024-06-02", "event"] = "cyber"
    table.loc[["2024-07-06", "2024-07-07"], "frozen"] = 1
    return table.reset_index()


def _availability() -> pd.DataFrame:
    """Days on which a SKU was out of stock, and one row that repeats."""
    spans = [
        ("001", "run-41", "2024-04-10", 9),
        ("2", "boot-38", "2024-06-15", 12),
        ("north/1", "run-42", "2024-06-01", 5),
    ]
    rows = [
        (day.strftime("%Y-%m-%d"), store, sku, 0)
        for store, sku, first, days in spans
        for day in pd.date_range(first, periods=days)
    ]
    return pd.DataFrame([*rows, rows[0]], columns=["date", "store_id", "sku", "in_stock"])


def _sales(skus: pd.DataFrame) -> pd.DataFrame:
    """Daily sale lines: weekly and yearly season, holidays, promotions, stock-outs, returns, outliers and bad rows."""
    rng = np.random.default_rng(SEED)
    days = pd.date_range(FIRST_DAY, LAST_DAY)
    texts = days.strftime("%Y-%m-%d")
    weekly = np.array([0.7, 0.7, 0.8, 0.9, 1.2, 1.8, 1.1])[days.dayofweek]
    angle = 2 * np.pi * days.dayofyear / 365.25
    yearly = {"boots": 1 - 0.4 * np.cos(angle), "sandals": 1 + 0.7 * np.cos(angle)}
    calendar = _calendar().set_index("date").loc[texts]
    day_factor = weekly * (calendar["open"].to_numpy() == 1) * np.where(calendar["event"].to_numpy() != "", 1.5, 1.0)
    promoted = {
        (row.sku, day.strftime("%Y-%m-%d"))
        for row in _promotions().itertuples()
        if row.store_id == ""
        for day in pd.date_range(row.date_from, row.date_to)
    }
    out = {(row.store_id, row.sku, row.date) for row in _availability().itertuples()}
    parts = []
    for store, (share, *_) in STORES.items():
        for item in skus.itertuples():
            first = FIRST_DAY if item.article != "boot2" else pd.Timestamp("2024-03-01")
            lift = np.array([1.8 if (item.sku, text) in promoted else 1.0 for text in texts])
            held = np.array([(store, item.sku, text) not in out for text in texts])
            rate = share * item.units * day_factor * yearly.get(item.family, 1.0) * lift * held * (days >= first)
            units = rng.poisson(rate)
            table = pd.DataFrame({"date": texts, "store_id": store, "sku": item.sku, "units": units})
            parts.append(table.assign(net_amount=units * item.price))
    table = pd.concat(parts, ignore_index=True)
    table = table[table["units"] > 0].reset_index(drop=True)
    returns = table.iloc[::97].assign(units=-1)
    outlier = pd.DataFrame([("2024-04-20", "2", "run-42", 900, 26_991_000)], columns=table.columns)
    bad = pd.DataFrame(
        [
            ("2024-06-03", "001", "run-41", "many", 29990),
            ("2024-06-31", "001", "run-41", 1, 29990),
            ("2024-06-04", "closed", "run-41", 1, 29990),
            ("2024-06-05", "2", "unknown-1", 2, 100),
        ],
        columns=table.columns,
    )
    return pd.concat([table, returns, outlier, bad], ignore_index=True).astype({"units": str})


def _stock(skus: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(SEED + 1)
    rows = [
        (store, item.sku, int(rng.poisson(2 + 3 * share * item.units)), int(rng.integers(0, 3)))
        for store, (share, *_) in STORES.items()
        for item in skus.itertuples()
    ]
    return pd.DataFrame(rows, columns=["store_id", "sku", "on_hand", "in_transit"])


def _dc_stock(skus: pd.DataFrame) -> pd.DataFrame:
    """Plenty of most SKUs, little of the white sneakers."""
    days = np.where(skus["article"] == "run", 12, 60)
    return pd.DataFrame({"sku": skus["sku"], "available": 8 + (days * skus["units"]).round().astype(int)})


def _overrides() -> pd.DataFrame:
    rows = [
        ("001", "belt-U", "", AS_OF, "2024-07-07", "set", 12, "opening display", "ana"),
        ("", "", "x_boots", AS_OF, "2024-07-14", "multiply", 1.25, "cold front", "ana"),
        ("outlet", "run-40", "", AS_OF, "2024-07-07", "cap", 3, "small shelf", "tom"),
        ("", "run-41", "", "2024-05-01", "2024-06-30", "multiply", 2, "derby week", "ana"),
        ("001", "run-41", "", AS_OF, "2024-07-07", "double", 2, "?", "tom"),
    ]
    names = "store_id sku category date_from date_to action value reason author"
    return pd.DataFrame(rows, columns=names.split())


def write(folder: Path) -> Path:
    """Write the company's tables and its settings file.

    Returns:
        Path of the settings file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skus = _skus()
    stores = [(name, *facts[1:]) for name, facts in STORES.items()]
    tables = {
        "sales": _sales(skus),
        "products": skus.drop(columns="units"),
        "stores": pd.DataFrame(
            stores, columns=["store_id", "store_type", "storage_capacity", "display_capacity", "visit_cost"]
        ),
        "stock": _stock(skus),
        "dc_stock": _dc_stock(skus),
        "calendar": _calendar(),
        "availability": _availability(),
        "promotions": _promotions(),
        "overrides": _overrides(),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(SETTINGS, allow_unicode=True), encoding="utf-8")
    return path
