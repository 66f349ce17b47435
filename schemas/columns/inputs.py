"""Columns of the input tables and of the quarantine."""

from __future__ import annotations

# sales
UNITS = "units"
NET_AMOUNT = "net_amount"
UNIT = "unit"

# products
NAME = "name"
PRICE = "price"
BRAND = "brand"
FAMILY = "family"
SUBFAMILY = "subfamily"
CLUSTER = "cluster"
COLLECTION_STATUS = "collection_status"
SIZE = "size"
COLOR = "color"
PACK_SIZE = "pack_size"
MIN_PRESENTATION = "min_presentation"
ARTICLE = "article"
# the SKU that a new one resembles, and the predecessor and successor of a SKU
LIKE = "like"
REPLACES = "replaces"
REPLACED_BY = "replaced_by"
REPLACED_ON = "replaced_on"

# stores
STORE_TYPE = "store_type"
STORAGE_CAPACITY = "storage_capacity"
DISPLAY_CAPACITY = "display_capacity"
VISIT_COST = "visit_cost"
OPENED_ON = "opened_on"
CLOSED_ON = "closed_on"

# stock and dc_stock
ON_HAND = "on_hand"
IN_TRANSIT = "in_transit"
AVAILABLE = "available"
RESERVE = "reserve"

# bundles
COMPONENT_SKU = "component_sku"

# calendar and availability
OPEN = "open"
HOLIDAY = "holiday"
EVENT = "event"
PROMO = "promo"
FROZEN = "frozen"
IN_STOCK = "in_stock"

# promotions
DATE_FROM = "date_from"
DATE_TO = "date_to"
DISCOUNT = "discount"

# events
UPLIFT = "uplift"

# overrides
ACTION = "action"
VALUE = "value"
AUTHOR = "author"

# quarantine
TABLE = "table"
FILE = "file"
ROW_NUMBER = "row_number"
REASON = "reason"


def in_transit_column(period: int) -> str:
    """Name of the column of goods that arrive at the start of the ``period``-th period (1 = first).

    >>> in_transit_column(2)
    'in_transit_2'
    """
    return f"{IN_TRANSIT}_{period}"
