"""Small tables as JSON rows, for records and artifacts."""

from __future__ import annotations

from typing import Any

import pandas as pd


def rows_of(frame: pd.DataFrame, digits: int = 4) -> list[dict[str, Any]]:
    """Convert a small frame to JSON rows; numbers are rounded and missing values become None."""
    rounded = frame.round(digits)
    return rounded.astype(object).where(rounded.notna(), None).to_dict("records")
