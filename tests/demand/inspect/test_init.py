"""restock init on exports of three companies: what it writes, and that the settings read the files."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from schemas import columns as c
from schemas.errors import ConfigError
from tasks.configuration.settings_file import load_settings
from tasks.demand.inspect.init import write_settings
from tasks.demand.inspect.names import NAMED, column_score, language_of
from tasks.demand.overview.check import Checked, check_tables
from tasks.demand.words import plain
from tests.demand.inspect.companies import LAST, WRITERS, skus, write_exports, write_sheets, write_text

pytestmark = pytest.mark.slow


@pytest.fixture(params=sorted(WRITERS))
def company(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    write_exports(request.param, tmp_path / "exports")
    return str(request.param)


def init(folder: Path, force: bool = False) -> tuple[dict, list[str]]:
    lines = write_settings(folder / "exports", folder / "settings.yaml", force)
    return yaml.safe_load((folder / "settings.yaml").read_text("utf-8")), lines


def check(folder: Path) -> Checked:
    return check_tables(load_settings(folder / "settings.yaml"), LAST + timedelta(days=1))


def test_the_proposed_settings_read_all_rows(company: str, tmp_path: Path) -> None:
    settings, lines = init(tmp_path)
    checked = check(tmp_path)
    assert checked.error is None
    rejected = {file.path: file.rows_quarantined for file in checked.valid.files if file.rows_quarantined}
    assert not rejected
    assert checked.sales is not None
    assert checked.sales.last == LAST
    assert checked.sales.units > 10_000
    assert settings["category"] == [c.BRAND, c.FAMILY]
    assert settings["inventory"]["holding_cost_per_year"] == 0.25
    assert lines[-1].endswith(f"--as-of {LAST.replace(day=31)}")


def test_spanish_exports(tmp_path: Path) -> None:
    write_exports("spanish", tmp_path / "exports")
    settings, lines = init(tmp_path)
    sources = settings["sources"]
    assert list(sources) == ["sales", "products", "stores", "stock", "dc_stock"]
    sales = sources["sales"]
    assert sales["path"] == "exports/ventas_*.csv"
    assert (sales["encoding"], sales["delimiter"], sales["decimal"], sales["date_format"]) == (
        *("cp1252", ";", ",", "%d/%m/%Y"),
    )
    assert sales["columns"] == {
        c.DATE: "Fecha",
        c.STORE_ID: "Cód. Sucursal",
        c.SKU: "Cód. Artículo",
        c.UNITS: "Cantidad",
        c.NET_AMOUNT: "Venta Neta",
    }
    assert sales["ignore"] == {c.SKU: ["BOLSA"], "Tipo Doc": ["COT"]}
    assert (sources["products"]["sheet"], sources["products"]["header_row"]) == ("Artículos", 4)
    assert sources["stores"]["sheet"] == "Locales"
    assert sources["stock"]["header_row"] == 5
    assert sources["stock"]["ignore"] == {c.STORE_ID: ["Subtotal *", "Total general", "CD"]}
    text = (tmp_path / "settings.yaml").read_text("utf-8")
    assert "138 rows of bags or services that are not in products" in text
    assert "rows 1 to 4 are titles" in text
    assert sources["dc_stock"]["only"] == {"Bodega": ["CD"]}
    assert max(len(line) for line in lines if not line.startswith(("Written", "Next"))) <= 80


def test_the_stock_of_the_distribution_center_is_read_from_the_file_of_the_stores(tmp_path: Path) -> None:
    write_exports("spanish", tmp_path / "exports")
    init(tmp_path)
    checked = check(tmp_path)
    assert checked.error is None
    assert checked.stock is not None
    assert checked.stock.dc_units == 40 * len(skus())


def test_other_files_of_the_folder_decide_what_one_file_leaves_open(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    head = ("Date", "Store No", "Item No", "Qty Sold", "Net")
    january = [(f"{1 + i % 28:02d}.01.2024", "01", sku, 1, "1.234,5") for i, sku in enumerate(skus())]
    write_text(folder / "sales_export.csv", [head, *january, ("01.01.2024", "01", "BAG1", 1, "0,1")], ";", "cp1252")
    february = [(date(2024, 2, 1 + i % 28), "01", sku, 1, 1234.5) for i, sku in enumerate(skus())]
    write_sheets(folder / "sales_export_2.xlsx", {"S": [("Sales report",), (), head, *february]})
    write_text(folder / "stores.csv", [("Store No", "Name", "Opening date"), ("01", "A", "03.04.2015")], ";", "utf-8")
    write_text(
        folder / "items.csv",
        [("Item No", "Description", "Brand"), ("BAG1", "Carrier bag", "")]
        + [(sku, f"Boot {sku}", "x") for sku in skus()],
        ",",
        "utf-8",
    )
    write_text(folder / "stock.csv", [("Store No", "Item No", "On hand"), ("01", skus()[0], 4)], ",", "utf-8")
    settings, lines = init(tmp_path)
    assert "The files leave no question open." in lines
    assert settings["sources"]["stores"]["date_format"] == "%d.%m.%Y"
    assert settings["sources"]["products"]["ignore"] == settings["sources"]["sales"]["ignore"] == {c.SKU: ["BAG1"]}
    sales = check_tables(load_settings(tmp_path / "settings.yaml"), date(2024, 3, 1)).valid.tables["sales"]
    assert sales[c.NET_AMOUNT].eq(1234.5).all()
    assert len(sales) == 2 * len(skus())


def test_german_exports(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("german", folder)
    counted = [("Artikelnummer", "Verfügbar"), *((sku, 9) for sku in skus())]
    write_text(folder / "zentrallager.csv", counted, ";", "cp1252")
    coming = [("Artikelnummer", "Datum", "Menge"), *((sku, "24.03.2024", 5) for sku in skus()[:3])]
    write_text(folder / "wareneingang_zentrallager.csv", coming, ";", "cp1252")
    settings, _ = init(tmp_path)
    sources = settings["sources"]
    assert sources["dc_stock"]["path"] == "exports/zentrallager.csv"
    assert sources["dc_inbound"]["path"] == "exports/wareneingang_zentrallager.csv"
    assert sources["sales"]["ignore"] == {c.DATE: ["Gesamtsumme"]}
    assert sources["sales"]["date_format"] == "%d.%m.%Y"
    assert sources["products"]["columns"][c.PACK_SIZE] == "VPE"
    assert sources["stock"]["header_row"] == 2


def test_english_exports(tmp_path: Path) -> None:
    write_exports("english", tmp_path / "exports")
    settings, _ = init(tmp_path)
    sources = settings["sources"]
    assert sources["sales"]["date_format"] == "%m/%d/%Y"
    assert sources["sales"]["thousands"] == ","
    assert sources["dc_stock"]["path"] == "exports/dc_inventory.csv"
    assert sources["stock"]["path"] == "exports/store_on_hand.csv"


def test_what_nothing_decides_is_a_commented_question(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [(f"{(i % 9) + 1}/{(i * 5) % 11 + 1}/2024", "01", sku, 1) for i, sku in enumerate(skus())]
    write_text(folder / "sales_export.csv", [("Date", "Store No", "Item No", "Qty Sold"), *rows], ",", "utf-8")
    settings, lines = init(tmp_path)
    assert "date_format" not in settings["sources"]["sales"]
    text = (tmp_path / "settings.yaml").read_text("utf-8")
    assert '    # date_format: "%d/%m/%Y"\n    # date_format: "%m/%d/%Y"\n' in text
    assert any("no number above 12" in line for line in lines)


def test_a_missing_table_is_a_question(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    (folder / "items.xlsx").unlink()
    settings, lines = init(tmp_path)
    assert "products" not in settings["sources"]
    assert any("no file with products was recognized" in line for line in lines)


def test_other_files_and_unreadable_ones_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    write_sheets(folder / "planes.xlsx", {"Hoja1": [("Proyecto", "Responsable"), ("Mudanza", "Ana"), ("Caja", "Eva")]})
    (folder / "broken.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    (folder / "~$items.xlsx").write_bytes(b"lock")
    _, lines = init(tmp_path)
    shown = " ".join(line.strip() for line in lines)
    assert "planes.xlsx: no table recognized; its columns: Proyecto, Responsable" in shown
    assert "broken.xlsx is not a readable Excel workbook" in shown
    assert "~$items" not in shown


def test_dates_with_a_time_of_day_are_summed_to_days(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [(f"2024-0{1 + i % 8}-{1 + i % 28:02d} 1{i % 9}:30", "01", sku, 1) for i, sku in enumerate(skus())]
    write_text(folder / "sales_export.csv", [("Date", "Store No", "Item No", "Qty Sold"), *rows], ",", "utf-8")
    settings, _ = init(tmp_path)
    assert settings["aggregate"] is True
    checked = check(tmp_path)
    assert checked.error is None
    assert checked.sales is not None
    assert checked.sales.lines == len(skus())


def test_columns_without_a_known_name_are_recognized_by_their_values(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [(f"2024-03-{1 + i % 28:02d}", ("01", "02")[i % 2], skus()[i % 36], 1 + i % 3) for i in range(200)]
    write_text(folder / "sales_export.csv", [("When", "X1", "X2", "X3"), *rows], ",", "utf-8")
    settings, lines = init(tmp_path)
    expected = {c.DATE: "When", c.STORE_ID: "X1", c.SKU: "X2", c.UNITS: "X3"}
    assert settings["sources"]["sales"]["columns"] == expected
    shown = " ".join(line.strip() for line in lines)
    assert "sku: column 'X2' was recognized by its values alone; is it right?" in shown


def test_ids_that_lost_their_zeros_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [("01", sku.lstrip("0"), 1) for sku in skus()]
    write_text(folder / "store_on_hand.csv", [("Store No", "Item No", "Qty On Hand"), *rows], ",", "utf-8")
    _, lines = init(tmp_path)
    shown = " ".join(line.strip() for line in lines)
    assert "36 ids of column 'Item No' differ from those in products (Item No) only in leading zeros or case" in shown


@pytest.mark.parametrize(
    ("days", "frequency", "as_of"),
    [
        ([date(2024, 1, 1) + timedelta(weeks=i) for i in range(12)], "W-MON", "2024-03-25"),
        ([date(2023, month, 1) for month in range(1, 13)], "MS", "2024-01-01"),
    ],
)
def test_the_frequency_follows_from_the_dates(tmp_path: Path, days: list[date], frequency: str, as_of: str) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [(day, "01", skus()[i], 3) for i, day in enumerate(days)]
    write_text(folder / "sales_export.csv", [("Date", "Store No", "Item No", "Qty Sold"), *rows], ",", "utf-8")
    settings, lines = init(tmp_path)
    assert settings["frequency"] == frequency
    assert lines[-1].endswith(f"--as-of {as_of}")


def test_day_numbers_of_excel_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    rows = [(45292 + i, "01", sku, 1) for i, sku in enumerate(skus())]
    write_text(folder / "sales_export.csv", [("Date", "Store No", "Item No", "Qty Sold"), *rows], ",", "utf-8")
    _, lines = init(tmp_path)
    assert "column 'Date' holds numbers such as 45292, Excel's count of days" in " ".join(map(str.strip, lines))


def test_existing_settings_are_kept_without_force(tmp_path: Path) -> None:
    write_exports("english", tmp_path / "exports")
    (tmp_path / "settings.yaml").write_text("name: mine\n", "utf-8")
    with pytest.raises(ConfigError, match="exists and was not changed"):
        init(tmp_path)
    assert (tmp_path / "settings.yaml").read_text("utf-8") == "name: mine\n"
    assert init(tmp_path, force=True)[0]["name"] == "exports"


def test_a_folder_without_tables_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    with pytest.raises(ConfigError, match="No table was recognized in"):
        init(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        write_settings(tmp_path / "nowhere", tmp_path / "settings.yaml")


def test_the_result_is_the_same_every_time(tmp_path: Path) -> None:
    write_exports("spanish", tmp_path / "exports")
    init(tmp_path)
    first = (tmp_path / "settings.yaml").read_bytes()
    init(tmp_path, force=True)
    assert (tmp_path / "settings.yaml").read_bytes() == first


def test_names_are_compared_without_accents_case_and_marks() -> None:
    assert plain("Cód. Artículo") == "cod articulo"
    assert plain("storeId") == "store id"
    assert column_score("sales", c.SKU, "COD_PRODUCTO") == 1.0
    assert column_score("sales", c.UNITS, "Fecha") == 0.0
    assert language_of(["Fecha", "Tienda", "Cantidad"]) == "es"
    assert language_of(["x", "y"]) is None


# Language, sales, products, stores, stock: the columns in the order of EXPECTED.
HEADERS = {
    "fr": (
        "Date de vente|Point de vente|Code article|Qté vendue|CA HT",
        "Référence|Libellé|Marque|Rayon|Pointure|Prix de vente|Colisage",
        "Magasin|Capacité de stockage|Coût de livraison",
        "Magasin|Réf. article|Stock disponible|En transit",
    ),
    "pt": (
        "Data emissão|Loja|Cód. Produto|Qtde|Valor líquido",
        "Código do produto|Descrição|Fornecedor|Grupo|Tamanho|Preço de venda|Unidades por caixa",
        "Filial|Capacidade|Frete",
        "Loja|Código do produto|Estoque|Em trânsito",
    ),
    "it": (
        "Data doc.|Punto vendita|Cod. art.|Q.tà|Imponibile",
        "Codice articolo|Descrizione|Marca|Reparto|Taglia|Prezzo di vendita|Pezzi per cartone",
        "Negozio|Capacità|Costo consegna",
        "Negozio|Codice articolo|Giacenza|In transito",
    ),
    "nl": (
        "Verkoopdatum|Winkel|Artikelcode|Verkochte stuks|Omzet excl. btw",
        "Artikelnummer|Omschrijving|Merk|Artikelgroep|Maat|Verkoopprijs|Aantal per doos",
        "Filiaal|Opslagcapaciteit|Bezorgkosten",
        "Winkel|Artikelnummer|Voorraad|Onderweg",
    ),
    "pl": (
        "Data sprzedaży|Sklep|Kod towaru|Ilość|Wartość netto",
        "Indeks|Nazwa towaru|Producent|Grupa towarowa|Rozmiar|Cena sprzedaży|Ilość w opakowaniu",
        "Oddział|Pojemność magazynu|Koszt dostawy",
        "Sklep|Kod towaru|Stan magazynowy|W drodze",
    ),
    "en": (
        "Created at|POS location|Lineitem sku|Lineitem quantity|Net sales",
        "Variant SKU|Title|Vendor|Department|Size|Retail|Case pack",
        "Branch|Capacity|Freight",
        "Warehouse|Item No.|On hand|On order",
    ),
}
EXPECTED = (
    ("sales", (c.DATE, c.STORE_ID, c.SKU, c.UNITS, c.NET_AMOUNT)),
    ("products", (c.SKU, "name", c.BRAND, c.FAMILY, c.SIZE, c.PRICE, c.PACK_SIZE)),
    ("stores", (c.STORE_ID, c.STORAGE_CAPACITY, c.VISIT_COST)),
    ("stock", (c.STORE_ID, c.SKU, c.ON_HAND, c.IN_TRANSIT)),
)


@pytest.mark.parametrize("language", HEADERS)
def test_column_names_are_known_in_each_language(language: str) -> None:
    headers = [text.split("|") for text in HEADERS[language]]
    for (table, columns), names in zip(EXPECTED, headers, strict=True):
        best = [max(NAMED[table], key=lambda column: column_score(table, column, name)) for name in names]
        assert tuple(best) == columns
    assert language_of([name for names in headers for name in names]) == language


def test_a_polish_export_in_its_code_page(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    days = [date(2024, 3, 4) + timedelta(days=i // 3) for i in range(36)]
    sold = [(day, "001", sku, 2, "1 234,50 €") for day, sku in zip(days, skus(), strict=True)]
    head = ("Data sprzedaży", "Sklep", "Kod towaru", "Ilość", "Wartość netto")
    write_text(folder / "sprzedaz.csv", [head, *sold], ";", "cp1250")
    goods = [("Kod towaru", "Nazwa", "Marka"), *((sku, "But męski", "Łoś") for sku in skus())]
    write_text(folder / "towary.csv", goods, ";", "cp1250")
    write_text(folder / "sklepy.csv", [("Sklep", "Miasto", "Pojemność"), ("001", "Łódź", "1 500")], ";", "cp1250")
    settings, lines = init(tmp_path)
    assert "The files leave no question open." in lines
    assert settings["sources"]["sales"]["encoding"] == "cp1250"
    valid = check_tables(load_settings(tmp_path / "settings.yaml"), date(2024, 3, 16)).valid
    assert valid.tables["sales"][c.NET_AMOUNT].eq(1234.5).all()
    assert valid.tables["stores"][c.STORAGE_CAPACITY].tolist() == [1500]


def test_rows_that_are_no_sales_and_stores_for_tests(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    states = ("paid", "cancelled", "Partially refunded", "refunded")
    rows = [(f"2024-03-{1 + i % 28:02d}", "01", sku, 1, states[i % 4], "SR"[i % 2]) for i, sku in enumerate(skus())]
    head = ("Date", "Store No", "Item No", "Qty Sold", "Order status", "Type")
    write_text(folder / "sales_export.csv", [head, *rows], ",", "utf-8")
    named = [("Store No", "Name", "Status"), ("01", "North", "open"), ("02", "Staff shop", "Closed")]
    write_sheets(folder / "stores.xlsx", {"Stores": named})
    settings, lines = init(tmp_path)
    assert settings["sources"]["sales"]["ignore"] == {"Order status": ["cancelled", "refunded"]}
    shown = " ".join(line.strip() for line in lines)
    assert "Type: 'R' in 18 rows, 'S' in 18 rows. Are all of them sales?" in shown
    assert "are 02 stores that sell to customers?" in shown
    assert "Status: 02 is 'Closed'. Is nothing sent?" in shown


def test_files_with_further_columns_and_stock_with_dates_of_movements(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    write_exports("english", folder)
    head = ("Date", "Store No", "Item No", "Qty Sold")
    for month, more in (("01", ()), ("02", ("Channel",))):
        rows = [(f"2024-{month}-{1 + i % 28:02d}", "01", sku, 1, *more) for i, sku in enumerate(skus())]
        write_text(folder / f"sales_export_{month}.csv", [(*head, *more), *rows], ",", "utf-8")
    (folder / "sales_export.csv").unlink()
    rows = [("01", sku, 5, f"2024-02-{1 + i % 28:02d}") for i, sku in enumerate(skus())]
    write_text(folder / "store_on_hand.csv", [("Store No", "Item No", "On hand", "Date"), *rows], ",", "utf-8")
    sources = init(tmp_path)[0]["sources"]
    assert sources["sales"]["path"] == "exports/sales_export_*.csv"
    assert sources["stock"]["path"] == "exports/store_on_hand.csv"


def test_one_stock_file_per_store_is_stock(tmp_path: Path) -> None:
    write_exports("english", tmp_path / "exports")
    (tmp_path / "exports" / "store_on_hand.csv").unlink()
    (tmp_path / "exports" / "counts").mkdir()
    for store in ("A1", "A2"):
        rows = "".join(f"{store},{sku},{number}\n" for number, sku in enumerate(skus()))
        (tmp_path / "exports" / "counts" / f"{store}.csv").write_text(f"store_id,sku,on_hand\n{rows}", "utf-8")
    settings, lines = init(tmp_path)
    assert settings["sources"]["stock"]["path"].startswith("exports/counts/A")
    assert not [line for line in lines if "A1.csv: taken as" in line]


def test_ids_are_found_by_the_files_that_share_them(tmp_path: Path) -> None:
    # "Botica" and "Cód. Nacional" are no words for a store and a SKU. Both are unique in one file and used in others;
    # so is the description, but in fewer files.
    exports = tmp_path / "exports"
    exports.mkdir()
    codes, places = [f"{100_000 + 7 * i}" for i in range(12)], ["N1", "N2", "S1"]
    days = [LAST - timedelta(days=i) for i in range(40)]
    tables = {
        "ventas.csv": ["Fecha;Botica;Cód. Nacional;Descripción;Uds."]
        + [f"{day:%d/%m/%Y};{place};{code};Jarabe {code};2" for day in days for place in places for code in codes],
        "articulos.csv": ["Cód. Nacional;Descripción;Familia;PVP;Uds. por caja"]
        + [f"{code};Jarabe {code};F{i % 3};4,50;0" for i, code in enumerate(codes)],
        "boticas.csv": ["Botica;Población;Coste reparto", *(f"{place};Ciudad {place};12,50" for place in places)],
        "existencias.csv": ["Botica;Cód. Nacional;Existencias"]
        + [f"{place};{code};{i}" for place in places for i, code in enumerate(codes)],
        "calendario.csv": ["Fecha;Botica;Abierto;Sin reparto"]
        + [f"{day:%d/%m/%Y};{place};1;{'N' if day.weekday() == 1 else 'S'}" for day in days for place in places],
    }
    for name, rows in tables.items():
        (exports / name).write_text("\n".join(rows) + "\n", encoding="cp1252")
    settings, lines = init(tmp_path)
    sources = settings["sources"]
    assert set(sources) == {"sales", "products", "stores", "stock", "calendar"}
    assert sources["sales"]["columns"][c.SKU] == sources["products"]["columns"][c.SKU] == "Cód. Nacional"
    assert {sources[name]["columns"][c.STORE_ID] for name in ("sales", "stores", "stock", "calendar")} == {"Botica"}
    assert sources["calendar"]["columns"][c.FROZEN] == "Sin reparto"
    assert sources["stores"]["columns"][c.VISIT_COST] == "Coste reparto"
    assert " ".join(" ".join(lines).split()).count("recognized by its values alone; is it right?") == 2
    checked = check(tmp_path)
    assert checked.error is None
    assert not [file.path for file in checked.valid.files if file.rows_quarantined]
    frozen = checked.valid.tables["calendar"].groupby(c.DATE)[c.FROZEN].all()
    assert [day.weekday() for day in frozen.index[~frozen.astype(bool)]] == [1] * int((~frozen.astype(bool)).sum())
    assert 0 < int(frozen.sum()) < len(frozen)
