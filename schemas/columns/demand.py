"""Columns of the panel of series and of its companion tables."""

from __future__ import annotations

# panel and cleaning log
CLOSED = "closed"
TREATMENT = "treatment"
FEATURE = "feature"
GROUP = "group"
UNIT_PRICE = "unit_price"

# series profile
KNOWN_PERIODS = "known_periods"
LENGTH = "length"
SHARE_ZERO = "share_zero"
ADI = "adi"
CV2 = "cv2"
DEMAND_CLASS = "demand_class"
LAST_SALE = "last_sale"
VOLUME = "volume"
VOLUME_RANK = "volume_rank"

# SKU facts
RECENT_UNITS = "recent_units"
EXPECTED_UNITS = "expected_units"
SUPERSEDED_BY = "superseded_by"
TOTAL_UNITS = "total_units"
