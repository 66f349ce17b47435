"""Three small retailers as their programs export them: Spanish, German and English."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openpyxl

FIRST = date(2023, 3, 1)
LAST = date(2024, 8, 30)
STORES = ("01", "02", "03", "08")
BRANDS = ("Andina", "Pampa", "Ñandú")
GROUPS = ("Bota", "Sandalia", "Zapatilla")


def skus() -> list[str]:
    """36 ids with leading zeros."""
    return [f"00{12700 + number}" for number in range(36)]


@cache
def sale_lines(seed: int = 1) -> list[tuple[date, str, str, int, float]]:
    """Date, store, SKU, units and unit price; closed on Sundays; the last SKU never sells."""
    rng = np.random.default_rng(seed)
    ids = skus()
    lines = []
    day = FIRST
    while day <= LAST:
        if day.weekday() != 6:
            for store in STORES if day >= date(2023, 9, 1) else STORES[:3]:
                for at in rng.choice(len(ids) - 1, size=4, replace=False):
                    units = -1 if rng.random() < 0.02 else int(rng.integers(1, 4))
                    lines.append((day, store, ids[at], units, 19.9 + 1.5 * int(at) + 1000 * (at == 3)))
        day += timedelta(days=1)
    return lines


def spanish(number: float, places: int = 2) -> str:
    """With decimal comma and thousands point."""
    return f"{number:,.{places}f}".replace(",", "_").replace(".", ",").replace("_", ".")


def write_text(path: Path, rows: Sequence[Sequence[object]], delimiter: str, encoding: str) -> None:
    lines = [delimiter.join(str(cell) for cell in row) for row in rows]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))


def write_sheets(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)


def write_spanish(folder: Path) -> date:
    """Latin-1 CSV with ; and decimal comma per year, Excel with title rows, subtotals, BOLSA and the warehouse CD."""
    folder.mkdir(parents=True, exist_ok=True)
    header = ("Fecha", "Tipo Doc", "Nº Documento", "Cód. Sucursal", "Sucursal", "Cód. Artículo", "Descripción")
    header += ("Cantidad", "Venta Neta")
    names = {"01": "Centro", "02": "Ñuñoa", "03": "Maipú", "08": "La Serena"}
    number = 1000
    for year in (2023, 2024):
        rows: list[Sequence[object]] = [header]
        for day, store, sku, units, price in sale_lines():
            if day.year != year:
                continue
            number += 1
            kind = "NC" if units < 0 else "BOL"
            text = (f"{day:%d/%m/%Y}", kind, number, store, names[store], sku, f"Calzado {sku}")
            rows.append((*text, spanish(units, 0), spanish(units * price)))
            if number % 50 == 0:
                bag = (f"{day:%d/%m/%Y}", "BOL", number, store, names[store], "BOLSA", "Bolsa plástica", "1", "0,10")
                rows.append(bag)
            if number % 400 == 0:
                rows.append((f"{day:%d/%m/%Y}", "COT", number, store, names[store], sku, "Cotización", "12", "100,00"))
        write_text(folder / f"ventas_{year}.csv", rows, ";", "latin-1")
    products = [("Código", "Descripción", "Marca", "Familia", "Talla", "Precio Lista")]
    for at, sku in enumerate(skus()):
        products.append((sku, f"Calzado {sku}", BRANDS[at % 3], GROUPS[at // 12], 35 + at % 6, 19.9 + 1.5 * at))  # type: ignore[arg-type]
    write_sheets(
        folder / "maestro.xlsx",
        {
            "Artículos": [("COMERCIALIZADORA ANDINA S.A.",), ("Maestro de artículos al 31/08/2024",), (), *products],
            "Locales": [
                ("Cód. Sucursal", "Nombre Sucursal", "Canal", "Capacidad", "Costo Flete"),
                *((store, names[store], "Calle" if store < "03" else "Mall", 900, 45000) for store in STORES),
            ],
        },
    )
    stock: list[Sequence[object]] = [
        ("COMERCIALIZADORA ANDINA S.A.  RUT 76.123.456-7",),
        ("Informe de existencias por bodega",),
        ("Fecha: 31/08/2024", None, "Usuario: ana"),
        (),
        ("Bodega", "Código", "Descripción", "Existencia", "En Tránsito"),
    ]
    for store in (*STORES, "CD"):
        total = 0
        for at, sku in enumerate(skus()):
            units = 40 if store == "CD" else (at * 7) % 5 - (at == 20)
            total += units
            stock.append((store, sku, f"Calzado {sku}", units, 0))
        stock.append((f"Subtotal {store}", None, None, total, None))
    stock.append(("Total general", None, None, 9999, None))
    write_sheets(folder / "stock.xlsx", {"Existencias": stock})
    return LAST + timedelta(days=1)


def write_german(folder: Path) -> date:
    """UTF-8 CSV with ; and decimal comma, DD.MM.YYYY, store list with opening dates, stock per branch."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[object]] = [
        ("Buchungsdatum", "Filiale", "Artikelnummer", "Bezeichnung", "Menge", "Umsatz netto")
    ]
    rows += [
        (f"{day:%d.%m.%Y}", store, sku, f"Schuh {sku}", units, f"{units * price:.2f}".replace(".", ","))
        for day, store, sku, units, price in sale_lines(2)
    ]
    rows.append(("Gesamtsumme", "", "", "", 99999, "1234567,00"))
    write_text(folder / "Umsätze.csv", rows, ";", "utf-8-sig")
    products: list[Sequence[object]] = [
        ("Artikelnummer", "Bezeichnung", "Marke", "Warengruppe", "Größe", "VK-Preis", "VPE")
    ]
    for at, sku in enumerate(skus()):
        products.append(
            (
                sku,
                f"Schuh {sku}",
                BRANDS[at % 3],
                GROUPS[at // 12],
                35 + at % 6,
                f"{19.9 + at:.2f}".replace(".", ","),
                2,
            )
        )
    write_text(folder / "Artikelstamm.csv", products, ";", "cp1252")
    write_text(
        folder / "Filialen.csv",
        [
            ("Filiale", "Name", "Filialtyp", "Kapazität", "Eröffnung"),
            *(
                (store, f"Straße {store}", "A", 800, "01.09.2023" if store == "08" else "15.03.2010")
                for store in STORES
            ),
        ],
        ";",
        "cp1252",
    )
    write_text(
        folder / "Bestand.csv",
        [
            ("Bestandsliste",),
            ("Filiale", "Artikelnummer", "Lagerbestand"),
            *((store, sku, (at * 3) % 4) for store in STORES for at, sku in enumerate(skus())),
        ],
        ";",
        "cp1252",
    )
    return LAST + timedelta(days=1)


def write_english(folder: Path) -> date:
    """One workbook per subject, M/D/YYYY text dates in a comma CSV, thousands comma, DC stock in a separate file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[object]] = [("Transaction Date", "Store No", "Item No", "Qty Sold", "Net Sales")]
    for day, store, sku, units, price in sale_lines(3):
        rows.append((f"{day.month}/{day.day}/{day.year}", store, sku, units, f'"{units * price:,.2f}"'))
    write_text(folder / "sales_export.csv", rows, ",", "utf-8")
    items: list[Sequence[object]] = [("Item No", "Item Description", "Brand", "Department", "List Price")]
    items += [(sku, f"Shoe {sku}", BRANDS[at % 3], GROUPS[at // 12], 19.9 + at) for at, sku in enumerate(skus())]
    write_sheets(folder / "items.xlsx", {"Items": items})
    write_sheets(
        folder / "stores.xlsx",
        {"Stores": [("Store No", "Store Name", "Capacity"), *((store, f"Store {store}", 700) for store in STORES)]},
    )
    write_text(
        folder / "dc_inventory.csv",
        [("Item No", "Available"), *((sku, 60) for sku in skus())],
        ",",
        "utf-8",
    )
    write_text(
        folder / "store_on_hand.csv",
        [("Store No", "Item No", "Qty On Hand"), *((s, sku, at % 3) for s in STORES for at, sku in enumerate(skus()))],
        ",",
        "utf-8",
    )
    return LAST + timedelta(days=1)


WRITERS = {"spanish": write_spanish, "german": write_german, "english": write_english}


@cache
def _written(name: str) -> TemporaryDirectory[str]:
    folder = TemporaryDirectory()
    WRITERS[name](Path(folder.name))
    return folder


def write_exports(name: str, folder: Path) -> None:
    """Copy the exports of a company, which are written once per process."""
    shutil.copytree(_written(name).name, folder, dirs_exist_ok=True)
