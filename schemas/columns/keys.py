"""Columns that identify a row of most tables."""

from __future__ import annotations

STORE_ID = "store_id"
SKU = "sku"
DATE = "date"
CATEGORY = "category"
