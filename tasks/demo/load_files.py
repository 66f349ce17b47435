"""Writes a load company (:mod:`tasks.demo.load`): partitioned Parquet and settings, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.demo.load import (
    BLOCK,
    LoadCompany,
    LoadSize,
    block_lines,
    calendar_rows,
    dc_stock_block,
    load_company,
    product_block,
    sku_ids,
    stock_block,
    store_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa

_SETTINGS = """# A generated chain for load tests: {series:,} series
name: load-{series}
frequency: D
horizon: 28
quantiles: [0.1, 0.25, 0.5, 0.75, 0.9]
country: CL
storage: ./lake
seed: {seed}
sources:
  sales: {{path: "data/{sales}"}}
  products: {{path: data/products.parquet}}
  stores: {{path: data/stores.csv}}
  stock: {{path: "data/stock/*.parquet"}}
  dc_stock: {{path: data/dc_stock.parquet}}
  calendar: {{path: data/calendar.csv}}
category: [brand, subfamily, cluster]
models: {{xgboost: {{}}, ensemble: {{}}}}
backtest: {{windows: 2, step: 7}}
"""
_PATHS = {"stores": "sales/*.parquet", "months": "sales/*/*.parquet", "csv": "sales.csv"}


def write_load_company(
    folder: Path, size: LoadSize, seed: int = 7, show: Callable[[str], None] | None = None
) -> tuple[Path, int]:
    """Write the tables and the settings of a load company.

    The same size and seed give the same bytes. Memory holds one block of categories of one store.

    Args:
        folder: where to write; made if it does not exist.
        size: size of the company and layout of the sales.
        seed: any integer >= 0.
        show: receives the progress in words.

    Returns:
        The settings file, and the number of sale lines.

    Raises:
        ConfigError: the folder has a ``data`` folder already: files of a different size would mix with the new ones.
    """
    company = load_company(size, seed)
    data = folder / "data"
    if data.exists():
        raise ConfigError(f"{data} exists. Delete it, or choose another folder.")
    (data / "stock").mkdir(parents=True, exist_ok=True)
    blocks = [range(first, min(first + BLOCK, size.categories)) for first in range(0, size.categories, BLOCK)]
    _write_blocks(data / "products.parquet", (product_block(company, block) for block in blocks))
    _write_blocks(data / "dc_stock.parquet", (dc_stock_block(company, block) for block in blocks))
    for name, rows in (("stores.csv", store_rows(company)), ("calendar.csv", calendar_rows(company))):
        rows.to_csv(data / name, index=False, lineterminator="\n", encoding="utf-8")
    lines = 0
    with ExitStack() as stack:
        table = _csv_file(data / "sales.csv", stack) if size.layout == "csv" else None
        for store in range(size.stores):
            lines += table(company, store) if table else _write_store(data / "sales", company, store)
            stock = (stock_block(company, store, block) for block in company.blocks(store))
            _write_blocks(data / "stock" / f"{company.store_id(store)}.parquet", stock)
            if show:
                show(f"{store + 1:,} of {size.stores:,} stores, {lines:,} sale lines")
    settings = folder / "settings.yaml"
    text = _SETTINGS.format(series=size.series, seed=seed, sales=_PATHS[size.layout])
    settings.write_text(text, encoding="utf-8")
    return settings, lines


def _write_store(folder: Path, company: LoadCompany, store: int) -> int:
    """Write the sales of a store, one row group per block, in one file or in one file per month."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    store_id = company.store_id(store)
    monthly = company.size.layout == "months"
    (folder / store_id if monthly else folder).mkdir(parents=True, exist_ok=True)
    months = company.labels.strftime("%Y-%m").to_numpy()
    lines = 0
    with ExitStack() as stack:
        files: dict[Path, pq.ParquetWriter] = {}
        for day, table in _tables(company, store):
            lines += len(day)
            parts = {folder / f"{store_id}.parquet": table}
            if monthly:
                month = months[day]
                parts = {
                    folder / store_id / f"{name}.parquet": table.filter(pa.array(month == name))
                    for name in np.unique(month)
                }
            for path, part in parts.items():
                if path not in files:
                    files[path] = stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd"))
                files[path].write_table(part)
    return lines


def _csv_file(path: Path, stack: ExitStack) -> Callable[[LoadCompany, int], int]:
    """Open one CSV file; return a function that appends the sales of a store and returns the number of lines."""
    from pyarrow import csv

    file = stack.enter_context(path.open("wb"))
    file.write((",".join((c.DATE, c.STORE_ID, c.SKU, c.UNITS, c.NET_AMOUNT)) + "\n").encode())

    def append(company: LoadCompany, store: int) -> int:
        lines = 0
        for day, table in _tables(company, store):
            csv.write_csv(table, file, csv.WriteOptions(include_header=False, quoting_style="none"))
            lines += len(day)
        return lines

    return append


def _tables(company: LoadCompany, store: int) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Yield the positions of the days and the sale lines of each block of a store."""
    import pyarrow as pa

    days = company.labels.to_numpy(dtype="datetime64[D]")
    for block in company.blocks(store):
        lines = block_lines(company, store, block)
        names = pa.array(sku_ids(block, company.size.skus))
        yield (
            lines.day,
            pa.table(
                {
                    c.DATE: pa.array(days[lines.day]),
                    c.STORE_ID: pa.array([company.store_id(store)]).take(pa.array(np.zeros(len(lines.day), dtype=int))),
                    c.SKU: names.take(pa.array(lines.sku)),
                    c.UNITS: pa.array(lines.units.astype(np.int32)),
                    c.NET_AMOUNT: pa.array(lines.amount),
                }
            ),
        )


def _write_blocks(path: Path, blocks: Iterable[pd.DataFrame]) -> None:
    """Write frames with the same columns as the row groups of one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for block in blocks:
        table = pa.Table.from_pandas(block, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()
