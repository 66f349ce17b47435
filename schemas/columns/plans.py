"""Columns of delivery plans, their costs and their bounds, and of the problem folder of `restock plan`."""

from __future__ import annotations

# targets, deliveries and levels
TARGET_QUANTITY = "target_quantity"
VISIT_DATE = "visit_date"
QUANTITY = "quantity"
ORDER_UP_TO = "order_up_to"

# costs
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
FILL_RATE = "fill_rate"
TOTAL_P95 = "total_p95"
MISSED_WEEKS = "missed_weeks"
VALID = "valid"
LIMIT_BREACHES = "limit_breaches"
BOUND_HOLDS_FOR = "bound_holds_for"

# problem folder and simulation
T = "t"
T_FROM = "t_from"
DEMAND = "demand"
SOLD = "sold"
STOCK = "stock"
CAPACITY = "capacity"
SALES = "sales"
OVER = "over"


def sample_path_column(path: int) -> str:
    """Name of the column of one sample path of demand (the first is 0).

    >>> sample_path_column(0)
    's0'
    """
    return f"s{path}"


def sample_path_columns(count: int) -> list[str]:
    """Names of the columns of ``count`` sample paths.

    >>> sample_path_columns(2)
    ['s0', 's1']
    """
    return [sample_path_column(path) for path in range(count)]
