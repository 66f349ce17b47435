"""Every column name of the contract, in one place.

Code outside this module refers to a column by its constant. Quantile columns are made by
:func:`quantile_column`, numbered goods-in-transit columns by :func:`in_transit_column`.
"""

from __future__ import annotations

# Keys
STORE_ID = "store_id"
SKU = "sku"
DATE = "date"
CATEGORY = "category"

# Input tables
UNITS = "units"
NET_AMOUNT = "net_amount"
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
STORE_TYPE = "store_type"
STORAGE_CAPACITY = "storage_capacity"
DISPLAY_CAPACITY = "display_capacity"
ARTICLE = "article"
FROZEN = "frozen"
VISIT_COST = "visit_cost"
ON_HAND = "on_hand"
IN_TRANSIT = "in_transit"
AVAILABLE = "available"
OPEN = "open"
HOLIDAY = "holiday"
EVENT = "event"
PROMO = "promo"
IN_STOCK = "in_stock"
DATE_FROM = "date_from"
DATE_TO = "date_to"
DISCOUNT = "discount"
ACTION = "action"
VALUE = "value"
AUTHOR = "author"

# Panel and treatments
CLOSED = "closed"
TREATMENT = "treatment"
FEATURE = "feature"
GROUP = "group"
UNIT_PRICE = "unit_price"

# Series profile
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
TOTAL_UNITS = "total_units"

# Quarantine
TABLE = "table"
FILE = "file"
ROW_NUMBER = "row_number"
REASON = "reason"

# Forecasts, folds and metrics
MODEL = "model"
MEAN = "mean"
MEDIAN = "q0.5"
CHAMPION = "champion"
CUTOFF = "cutoff"
ACTUAL = "actual"
LEVEL = "level"
WHY = "why"
N = "n"
STAGE = "stage"
FALLBACK = "fallback"
MAE = "mae"
RMSE = "rmse"
MAPE = "mape"
WAPE = "wape"
MASE = "mase"
RMSSE = "rmsse"
R2 = "r2"
BIAS = "bias"
WQL = "wql"
COVERAGE = "coverage"
SHARE_EXCELLENT = "share_excellent"
SHARE_GOOD = "share_good"
SHARE_ACCEPTABLE = "share_acceptable"
SHARE_POOR = "share_poor"

# Evaluation tables beside the contract's
ABSOLUTE_SCALE = "absolute_scale"
SQUARED_SCALE = "squared_scale"
RELATIVE_LOSS = "relative_loss"
INVENTORY_COST = "inventory_cost"
EARLIER_FOLDS = "earlier_folds"
LAST_FOLD = "last_fold"
METHOD = "method"
LOSS_BEFORE = "loss_before"
LOSS_AFTER = "loss_after"
SHARE = "share"

# Plans
TARGET_QUANTITY = "target_quantity"
VISIT_DATE = "visit_date"
QUANTITY = "quantity"
ORDER_UP_TO = "order_up_to"
POLICY = "policy"
TRANSPORT = "transport"
LOST_SALES = "lost_sales"
HOLDING = "holding"
OVER_CAPACITY = "over_capacity"
TOTAL = "total"
OVER_CAPACITY_STORE_DAYS = "over_capacity_store_days"
VISITS = "visits"
LOWER_BOUND = "lower_bound"
GAP = "gap"
CHOSEN = "chosen"
STATUS = "status"
T = "t"
T_FROM = "t_from"
DEMAND = "demand"
SOLD = "sold"
STOCK = "stock"
CAPACITY = "capacity"
SALES = "sales"
OVER = "over"
FILL_RATE = "fill_rate"
TOTAL_P95 = "total_p95"
MISSED_WEEKS = "missed_weeks"
VALID = "valid"
LIMIT_BREACHES = "limit_breaches"
BOUND_HOLDS_FOR = "bound_holds_for"

# Why a target is what it is, and what could not be satisfied
LIMIT = "limit"
WANTED = "wanted"
GRANTED = "granted"
NEXT_VISIT = "next_visit"
SERIES_FORECAST = "series_forecast"
SKU_FORECAST = "sku_forecast"
QUANTILE = "quantile"
HOLDING_FACTOR = "holding_factor"
SERVICE_LEVEL = "service_level"
LEVEL_WITHOUT_CAPACITY = "level_without_capacity"
SERIES_STOCK = "series_stock"
UNITS_BY_SHARE = "units_by_share"
BY_LIFECYCLE = "by_lifecycle"
BY_ASSORTMENT = "by_assortment"
BY_STOCK = "by_stock"
BY_MINIMUM = "by_minimum"
BY_ROUNDING = "by_rounding"
BY_DC = "by_dc"
TO_SEND = "to_send"
LEAST = "least"
MOST = "most"


def quantile_column(level: float) -> str:
    """Name of the column that holds one quantile.

    >>> quantile_column(0.9), quantile_column(0.25)
    ('q0.9', 'q0.25')
    """
    return f"q{level_text(level)}"


def level_text(level: float) -> str:
    """How a quantile level is written: in column names, in what DeepAR is asked for and in its answers.

    >>> level_text(0.5), level_text(1 / 3)
    ('0.5', '0.333333')
    """
    return f"{level:g}"


def quantile_columns(levels: tuple[float, ...] | list[float]) -> list[str]:
    """Names of the quantile columns, in the order of ``levels``."""
    return [quantile_column(level) for level in levels]


def path_columns(count: int) -> list[str]:
    """Names of the columns of sample paths: s0, s1, ..."""
    return [f"s{number}" for number in range(count)]


def in_transit_column(period: int) -> str:
    """Name of the column of goods that arrive at the start of the ``period``-th period (1 = first).

    >>> in_transit_column(2)
    'in_transit_2'
    """
    return f"{IN_TRANSIT}_{period}"


def sample_path_column(path: int) -> str:
    """Name of the column of the ``path``-th sample path of demand (from 0)."""
    return f"s{path}"
