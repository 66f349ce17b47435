"""What the forecasts artifact says of each model's shards."""

from __future__ import annotations

from schemas.records import Failure, ForecastRecord, TableRef
from tasks.forecasting.shards import summary_rows

TABLE = TableRef(key="t", rows=1, sha256="0")


def failure(store: str) -> Failure:
    return Failure(store_id=store, category="x", stage="ets", reason="short", fallback="seasonal_naive")


def test_shards_of_a_model_are_one_row() -> None:
    records = [
        ForecastRecord(model="ets", table=TABLE, series=3, failures=[failure("1")], notes=["a"], seconds=1.4),
        ForecastRecord(model="xgboost", table=TABLE, series=5, live=False, seconds=1.0),
        ForecastRecord(model="xgboost", table=TABLE, series=5, seconds=2.0),
        ForecastRecord(
            model="ets", table=TABLE, series=2, failures=[failure("1"), failure("2")], notes=["a", "b"], seconds=1.4
        ),
    ]
    assert summary_rows(records) == [
        {"model": "ets", "series": 5, "fell back": 2, "seconds": 3, "notes": "a; b"},
        {"model": "xgboost", "series": 5, "fell back": 0, "seconds": 3, "notes": ""},
    ]
