"""Names of files and columns in exports, in Spanish, German and English."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from schemas import columns as c

NAME = "name"
DOCUMENT_TYPE = "document type"

_STORE = (
    "store id|store|shop|tienda|local|sucursal|cliente|filiale|filialnummer|filial nr|filial|markt|standort|location|"
    "branch|outlet|site|plant|werk|almacen|bodega|punto de venta|pdv|store code|store no|store number|ubicacion|lager|"
    "lagerort|warehouse|cod tienda|codigo tienda|cod sucursal|deposito|centro"
)
_SKU = (
    "sku|producto|articulo|codigo|codigo producto|cod producto|cod articulo|codigo articulo|item|item code|item no|"
    "item number|article|artikel|artikelnummer|artikelnr|artikel nr|art nr|material|materialnummer|product|product id|"
    "product code|product no|referencia|ref|internal reference|default code|style code|item id|article number"
)
_QUANTITY = (
    "units|uns|unidades|cantidad|cant|qty|quantity|menge|stuck|stueck|anzahl|absatz|absatzmenge|verkaufte menge|piezas|"
    "pares|units sold|qty sold|quantity sold|sales units|uds|unid|verkaufsmenge|cant vendida|cantidad vendida"
)
_STOCK = (
    "on hand|stock|existencia|existencias|inventario|inventory|bestand|lagerbestand|disponible|saldo|stock actual|"
    "quantity on hand|qty on hand|soh|available|stock disponible|cantidad|menge|qty|quantity|unidades|verfugbar|"
    "verfugbarer bestand|stock unidades|units on hand|closing stock"
)
_DATE = (
    "date|fecha|datum|day|dia|tag|fecha venta|fecha documento|fecha doc|sale date|sales date|transaction date|"
    "buchungsdatum|belegdatum|verkaufsdatum|fecha emision|fecha factura|invoice date|order date|posting date|week|"
    "semana|woche|periodo|period|fecha hora|timestamp|rechnungsdatum|verkaufstag"
)
_FROM = "date from|desde|from|inicio|start|start date|fecha inicio|von|gultig ab|beginn|fecha desde|valid from"
_TO = "date to|hasta|to|end|fin|fecha fin|bis|gultig bis|ende|end date|fecha termino|fecha hasta|valid to"

# Phrases by table and column, after `plain`. A phrase that several columns share goes to the best match of its table.
PHRASES: dict[str, dict[str, str]] = {
    "sales": {
        c.DATE: _DATE,
        c.STORE_ID: _STORE,
        c.SKU: _SKU,
        c.UNITS: _QUANTITY,
        c.NET_AMOUNT: (
            "net amount|neto|neto final|venta neta|importe|importe neto|total neto|monto|monto neto|valor neto|netto|"
            "nettobetrag|nettoumsatz|umsatz|umsatz netto|netto umsatz|betrag|erlos|amount|net sales|revenue|net|"
            "net revenue|sales value|turnover|total|valor|venta|ventas|total linea|line total|net value"
        ),
    },
    "products": {
        c.SKU: _SKU,
        NAME: (
            "name|descripcion|nombre|nombre producto|description|bezeichnung|artikelbezeichnung|beschreibung|"
            "product name|item name|glosa|denominacion|descripcion articulo|artikelname|item description"
        ),
        c.BRAND: "brand|marca|nom marca|marke|manufacturer|hersteller|fabricante",
        c.FAMILY: (
            "family|familia|department|departamento|warengruppe|produktgruppe|category|categoria|group|grupo|linea|"
            "rubro|division|class|hauptwarengruppe|product category|kategorie|product group|product family|seccion"
        ),
        c.SUBFAMILY: (
            "subfamily|subfamilia|sub familia|nom subfamilia|subcategory|subcategoria|unterwarengruppe|untergruppe|"
            "subclass|subgroup|subgrupo|subrubro|sub category|unterkategorie|product type|tipo producto"
        ),
        c.CLUSTER: "cluster|agrupacion",
        c.COLLECTION_STATUS: "estado coleccion|collection status|lifecycle|lifecycle status|kollektionsstatus",
        c.SIZE: "size|talla|talle|grosse|groesse|tamano|schuhgrosse",
        c.COLOR: "color|colour|farbe",
        c.ARTICLE: "style|style color|modelo|modell|model|estilo|style number",
        c.PRICE: (
            "price|precio|precio venta|precio lista|precio neto|pvp|preis|vk preis|verkaufspreis|listenpreis|"
            "list price|"
            "retail price|unit price|uvp|rrp|vk|vk netto|sales price|precio publico"
        ),
        c.PACK_SIZE: (
            "pack size|pack|unidades por bulto|unidades por caja|unidades caja|bulto|multiplo|verpackungseinheit|vpe|"
            "ve|case pack|inner pack|units per pack|units per case|multiplo compra|uds caja|case size"
        ),
        c.MIN_PRESENTATION: (
            "min presentation|exhibicion minima|presentation minimum|mindestprasentation|presentation stock"
        ),
    },
    "stores": {
        c.STORE_ID: _STORE,
        NAME: (
            "name|nombre|nombre tienda|nombre sucursal|store name|filialname|bezeichnung|descripcion|description|"
            "shop name"
        ),
        c.STORAGE_CAPACITY: (
            "storage capacity|capacity|capacidad|kapazitat|lagerkapazitat|capacidad bodega|capacidad total"
        ),
        c.DISPLAY_CAPACITY: "capacidad exhibicion|display capacity|facings|ausstellungsflache|regalplatze|exhibicion",
        c.VISIT_COST: (
            "visit cost|costo|costo despacho|costo flete|flete|coste envio|lieferkosten|delivery cost|freight|"
            "transport cost|transportkosten|costo visita|costo entrega|costo por visita|fracht|anlieferkosten"
        ),
        c.STORE_TYPE: (
            "store type|tipo|tipo tienda|canal|sub canal|format|formato|filialtyp|typ|type|channel|"
            "store format|tipo local"
        ),
        "opened_on": "opened on|opening date|fecha apertura|apertura|eroffnung|eroffnet am|eroffnungsdatum|opened",
        "closed_on": "closed on|closing date|fecha cierre|cierre|schliessung|geschlossen am|schliessdatum|closed",
    },
    "stock": {
        c.STORE_ID: _STORE,
        c.SKU: _SKU,
        c.ON_HAND: _STOCK,
        c.IN_TRANSIT: (
            "in transit|transito|en transito|unterwegs|transit|on order|en camino|pedidos pendientes|zulauf|bestellt|"
            "incoming|por recibir"
        ),
        c.DATE: (
            "date|fecha|datum|fecha conteo|count date|stichtag|zahldatum|fecha stock|fecha inventario|stock date|as of"
        ),
    },
    "dc_stock": {
        c.SKU: _SKU,
        c.AVAILABLE: _STOCK,
        c.DATE: "date|fecha|datum|fecha conteo|count date|stichtag|fecha stock",
    },
    "calendar": {
        c.DATE: _DATE,
        c.STORE_ID: _STORE,
        c.HOLIDAY: "holiday|feriado|festivo|feiertag",
        c.EVENT: "event|evento|veranstaltung",
        c.OPEN: "open|abierto|geoffnet|offen",
    },
    "availability": {
        c.DATE: _DATE,
        c.STORE_ID: _STORE,
        c.SKU: _SKU,
        c.IN_STOCK: "in stock|con stock|verfugbar|verfugbarkeit|disponibilidad|availability|available|disponible",
    },
    "promotions": {
        c.SKU: _SKU,
        c.STORE_ID: _STORE,
        c.DATE_FROM: _FROM,
        c.DATE_TO: _TO,
        c.PRICE: (
            "price|promo price|precio oferta|precio promocion|precio neto|aktionspreis|sale price|"
            "promotion price|precio|"
            "preis|offer price"
        ),
        c.DISCOUNT: "discount|descuento|rabatt|dto|descuento pct|discount rate",
    },
    "dc_inbound": {
        c.SKU: _SKU,
        c.DATE: (
            "date|fecha|datum|arrival date|eta|fecha llegada|fecha arribo|fecha entrega|ankunft|ankunftsdatum|"
            "lieferdatum|liefertermin|eingangsdatum|delivery date|expected date|due date|fecha recepcion"
        ),
        c.QUANTITY: f"{_QUANTITY}|ordered quantity|open quantity|bestellmenge|cantidad pedida|offene menge",
    },
    "bundles": {
        c.SKU: f"bundle|bundle sku|set|set sku|kit|pack sku|{_SKU}",
        c.COMPONENT_SKU: "component sku|component|componente|komponente|sku componente|child sku|part|part no",
        c.QUANTITY: _QUANTITY,
    },
    "events": {
        NAME: "name|event|evento|nombre|bezeichnung|veranstaltung|event name|nombre evento|aktion|campaign|campana",
        c.DATE_FROM: _FROM,
        c.DATE_TO: _TO,
        c.CATEGORY: "category|categoria|kategorie|warengruppe|familia",
        c.UPLIFT: "uplift|factor|faktor|expected uplift|uplift factor|factor esperado|erwarteter faktor|efecto",
    },
}
# Words in the name of a file or sheet.
FILES: dict[str, str] = {
    "sales": (
        "ventas|venta|sales|umsatz|umsaetze|umsatze|verkauf|verkaufe|verkaeufe|abverkauf|absatz|tickets|facturacion|"
        "transactions|kassen|kasse|pos|receipts"
    ),
    "products": (
        "productos|producto|articulos|maestro|catalogo|items|products|product|artikel|artikelstamm|sortiment|materials|"
        "catalogue|catalog|skus|item|stammdaten|maestra"
    ),
    "stores": (
        "tiendas|tienda|locales|sucursales|stores|store|shops|filialen|standorte|branches|clientes|locations|"
        "filialliste"
    ),
    "stock": "stock|existencias|inventario|inventory|bestand|bestande|bestaende|lagerbestand|saldos|on hand",
    "dc_stock": "cd|dc|bodega|zentrallager|warehouse|cedi|distribution|almacen|central|zl",
    "calendar": "calendario|calendar|feriados|festivos|holidays|kalender|feiertage",
    "availability": "quiebres|availability|disponibilidad|verfugbarkeit|verfuegbarkeit|stockouts|agotados",
    "promotions": "promociones|promos|ofertas|promotions|promotion|aktionen|rabatte|promo",
    "dc_inbound": "inbound|arrivals|purchase orders|llegadas|arribos|ordenes compra|bestellungen|zulauf|wareneingang",
    "bundles": "bundles|sets|kits|packs|conjuntos|bom|stuckliste",
    "events": "events|eventos|veranstaltungen|campaigns|campanas|ereignisse",
}
DOCUMENT_TYPES = (
    "document type|doc type|tipo documento|tipo doc|tipo|documento|belegart|transaction type|type|vorgangsart|"
    "tipo movimiento|movement type|bewegungsart|clase documento|buchungsart"
)
_LANGUAGES = {
    "es": "fecha|tienda|sucursal|codigo|cantidad|unidades|producto|descripcion|marca|precio|existencia|neto|venta",
    "de": (
        "datum|filiale|artikel|artikelnummer|menge|bezeichnung|marke|preis|bestand|umsatz|warengruppe|stuck|kapazitat"
    ),
    "en": "date|store|item|quantity|units|description|brand|price|on hand|sales|amount|department",
}
_STRONG = 0.5


@cache
def plain(text: str) -> str:
    """A name in lower case, without accents and punctuation.

    >>> plain("Cód_Producto (SKU)")
    'cod producto sku'
    """
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    flat = unicodedata.normalize("NFKD", split.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[a-z0-9]+", flat.lower()))


@cache
def phrase_score(name: str, phrases: str) -> float:
    """The match of a name with one of the phrases: 1 = equal, 0 = no phrase occurs in it.

    >>> phrase_score("Nom. Marca", "brand|marca")
    0.5
    """
    found = plain(name)
    words = found.split()
    best = 0.0
    for phrase in phrases.split("|"):
        if found == phrase:
            return 1.0
        parts = phrase.split()
        if words and set(parts) <= set(words):
            best = max(best, len(parts) / len(words))
    return best


def column_score(table: str, column: str, name: str) -> float:
    """The match of a file's column name with a column of a table, 0 to 1."""
    if plain(name) == plain(column):
        return 1.0
    return phrase_score(name, PHRASES[table][column])


def file_score(table: str, name: str) -> float:
    """1 if the name of a file or sheet contains a word for the table, else 0."""
    words = re.sub(r"\d+", " ", plain(name)).split()
    padded = f" {' '.join(words)} "
    return float(any(f" {phrase} " in padded for phrase in FILES[table].split("|")))


@cache
def is_known_name(name: str) -> bool:
    """Whether any table has a column with this name."""
    if not any(map(str.isalpha, name)):
        return False
    return any(column_score(table, column, name) >= _STRONG for table, columns in PHRASES.items() for column in columns)


def language_of(names: list[str]) -> str | None:
    """The language that most of the column names are in; None if no word is known."""
    found = {code: sum(phrase_score(name, words) > 0 for name in names) for code, words in _LANGUAGES.items()}
    best = max(found, key=lambda code: found[code])
    return best if found[best] else None
