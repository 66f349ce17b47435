"""Writes the demo company's files in the form of a customer's exports: Spanish names, four file formats."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd

from schemas import columns as c
from tasks.demo.catalog import ARTICLE, SUBBRAND
from tasks.demo.chain import Size
from tasks.demo.tables import DemoTables, demo_tables
from tasks.demo.timeline import LAST_DAY

# The company's names for Restock's columns.
SPANISH = {
    c.DATE: "Fecha",
    c.STORE_ID: "Cliente",
    c.SKU: "Cod_Producto",
    c.UNITS: "Uns",
    c.NET_AMOUNT: "Neto final",
    ARTICLE: "Articulo",
    c.BRAND: "Nom_Marca",
    SUBBRAND: "Submarca",
    c.FAMILY: "Familia",
    c.SUBFAMILY: "Nom_SubFamilia",
    c.CLUSTER: "Cluster",
    c.COLLECTION_STATUS: "Estado Colección",
    c.COLOR: "Color",
    c.SIZE: "Talla",
    c.PRICE: "Precio neto",
    c.MIN_PRESENTATION: "Exhibicion minima",
    c.STORE_TYPE: "Sub Canal",
    c.STORAGE_CAPACITY: "Capacidad",
    c.DISPLAY_CAPACITY: "Capacidad exhibicion",
    c.VISIT_COST: "Costo",
    c.ON_HAND: "Stock",
    c.IN_TRANSIT: "En transito",
    c.AVAILABLE: "Disponible",
    c.HOLIDAY: "Feriado",
    c.EVENT: "Evento",
    c.OPEN: "Abierto",
    c.IN_STOCK: "Con stock",
    c.DATE_FROM: "Desde",
    c.DATE_TO: "Hasta",
    c.DISCOUNT: "Descuento",
}
SETTINGS_FILE = "settings.yaml"
# The slice is fitted with small budgets so that the whole demo ends within minutes.
EXPERT = {
    "slice": """
# Few retailers need these settings. They lie at the path of their section.
expert:
  models:
    arima: {max_series: 60}      # the 60 series with the highest sales; the others use a baseline forecast
    prophet: {max_series: 20, cross_validation: false}
  inventory:
    calibration: {enabled: false}   # the replay of 52 past weeks takes minutes; a retailer keeps it
""",
    "full": "",
}
# Zip entries and workbook properties carry this date, so that the same seed gives the same bytes.
FILE_DATE = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day)


def write_demo_company(folder: Path, size: Size = "slice", seed: int = 7) -> Path:
    """Write the demo company's tables and settings.

    Args:
        folder: where to write; created if absent; files with the same names are replaced.
        size: ``full`` or ``slice`` (see :func:`tasks.demo.tables.demo_tables`).
        seed: any integer >= 0; the same seed gives the same bytes.

    Returns:
        The settings file. Its sources are next to it in ``data``.
    """
    tables = demo_tables(size, seed)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write_sales(data / "ventas.csv.gz", tables)
    _write_workbook(data / "tiendas.xlsx", tables.stores, sheet="Tiendas")
    tables.availability.rename(columns=SPANISH).to_parquet(data / "quiebres.parquet", index=False)
    for name, table in (
        ("productos.csv", tables.products),
        ("stock.csv", tables.stock),
        ("stock_cd.csv", tables.dc_stock),
        ("calendario.csv", tables.calendar),
        ("promociones.csv", tables.promotions),
    ):
        table.rename(columns=SPANISH).to_csv(data / name, index=False, lineterminator="\n", encoding="utf-8")
    settings = folder / SETTINGS_FILE
    settings.write_text(settings_text(size, seed), encoding="utf-8")
    return settings


def settings_text(size: Size, seed: int) -> str:
    """The demo company's settings file, with a comment on each key."""
    template = files("tasks.demo").joinpath("settings_template.yaml").read_text(encoding="utf-8")
    return Template(template).substitute(name=f"demo-{size}", seed=seed, expert=EXPERT[size]).rstrip("\n") + "\n"


def _write_sales(path: Path, tables: DemoTables) -> None:
    """Good and bad lines in one gzip CSV without a time stamp."""
    import pyarrow as pa
    from pyarrow import csv

    sales = tables.sales
    text = pa.table(
        {
            SPANISH[c.DATE]: pa.array(sales[c.DATE]).cast(pa.date32()).cast(pa.string()),
            SPANISH[c.STORE_ID]: pa.array(sales[c.STORE_ID]).cast(pa.string()),
            SPANISH[c.SKU]: pa.array(sales[c.SKU]).cast(pa.string()),
            SPANISH[c.UNITS]: pa.array(sales[c.UNITS]).cast(pa.string()),
            SPANISH[c.NET_AMOUNT]: pa.array(sales[c.NET_AMOUNT]).cast(pa.string()),
        }
    )
    faults = pa.Table.from_pandas(tables.faults.rename(columns=SPANISH), schema=text.schema, preserve_index=False)
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=4, fileobj=file, mtime=0) as packed:
        packed.write((",".join(text.column_names) + "\n").encode())
        start = 0
        for number, position in enumerate(tables.faults.index):
            csv.write_csv(text.slice(start, position - start), packed, options)
            csv.write_csv(faults.slice(number, 1), packed, options)
            start = position
        csv.write_csv(text.slice(start), packed, options)


def _write_workbook(path: Path, table: pd.DataFrame, sheet: str) -> None:
    """One Excel sheet, with every time stamp in the file fixed."""
    raw = io.BytesIO()
    table.rename(columns=SPANISH).to_excel(raw, sheet_name=sheet, index=False, engine="openpyxl")
    stamp = FILE_DATE.strftime("%Y-%m-%dT%H:%M:%SZ")
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:\w+ [^>]*>)[^<]*", rb"\g<1>" + stamp.encode(), content)
            entry = zipfile.ZipInfo(name, FILE_DATE.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
