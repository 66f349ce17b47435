"""Columns that explain a target quantity, list shortages and exceptions, and name products in output files."""

from __future__ import annotations

LIMIT = "limit"
REQUESTED = "requested"
ALLOCATED = "allocated"
NEXT_VISIT = "next_visit"
DELAYED_BY = "delayed_by"
COVERED_FROM = "covered_from"
SERIES_FORECAST = "series_forecast"
SKU_FORECAST = "sku_forecast"
QUANTILE = "quantile"
HOLDING_FACTOR = "holding_factor"
SERVICE_LEVEL = "service_level"
LEVEL_WITHOUT_CAPACITY = "level_without_capacity"
SERIES_STOCK = "series_stock"
COVERS = "covers"
LAST_UNIT_SELLS = "last_unit_sells"
PAYS_UP_TO = "pays_up_to"
UNITS_BY_SHARE = "units_by_share"
BY_LIFECYCLE = "by_lifecycle"
BY_ASSORTMENT = "by_assortment"
BY_VARIATION = "by_variation"
BY_MINIMUM = "by_minimum"
BY_ROUNDING = "by_rounding"
BY_CAPACITY = "by_capacity"
BY_DC_SHARE = "by_dc_share"
BY_DC = "by_dc"
TO_SEND = "to_send"

# product names in output files
PRODUCT_NAME = "product_name"

# transfers
FROM = "from"
DELIVERY_DATE = "delivery_date"

# exceptions
KIND = "kind"
MONEY = "money"
WEEKS_OF_COVER = "weeks_of_cover"
