"""Rows of a page: filters, order and search on the server."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tasks.app.data import grid

FRAME = grid.with_search(
    pd.DataFrame(
        {
            "name": ["Zapato niño", "BOTA", None, "<b>bota</b>"],
            "units": [3.0, 10.0, np.nan, 7.0],
            "day": pd.to_datetime(["2025-01-02", None, "2025-01-03", "2025-01-04"]),
        }
    ),
    ["name"],
)
EITHER = {"operator": "OR", "conditions": [{"type": "blank"}, {"type": "equals", "filter": "10"}]}


def found(**request: object) -> list[object]:
    return [row["name"] for row in grid.page(FRAME, request)[0]]


def text(kind: str, value: str) -> dict[str, str]:
    return {"filterType": "text", "type": kind, "filter": value}


@pytest.mark.parametrize(
    ("column", "condition", "names"),
    [
        ("search", text("contains", "NINO zap"), ["Zapato niño"]),
        ("name", text("contains", "bota"), ["BOTA", "<b>bota</b>"]),
        ("name", text("notContains", "bota"), ["Zapato niño", None]),
        ("name", text("equals", "bota"), ["BOTA"]),
        ("name", text("startsWith", "<b"), ["<b>bota</b>"]),
        ("name", {"type": "blank"}, [None]),
        ("units", {"type": "greaterThan", "filter": 3}, ["BOTA", "<b>bota</b>"]),
        ("units", {"type": "inRange", "filter": 3, "filterTo": 7}, ["Zapato niño", "<b>bota</b>"]),
        ("units", EITHER, ["BOTA", None]),
        # What a browser may send by mistake filters nothing.
        ("units", {"type": "greaterThan", "filter": "x"}, ["Zapato niño", "BOTA", None, "<b>bota</b>"]),
        ("other", text("contains", "x"), ["Zapato niño", "BOTA", None, "<b>bota</b>"]),
    ],
)  # fmt: skip
def test_filters(column: str, condition: dict[str, object], names: list[object]) -> None:
    assert found(filterModel={column: condition}) == names


def test_order_and_pages() -> None:
    down = [{"colId": "units", "sort": "desc"}]
    assert found(sortModel=down) == ["BOTA", "<b>bota</b>", "Zapato niño", None]
    rows, count = grid.page(FRAME, {"startRow": 1, "endRow": 3, "sortModel": down})
    assert ([row["name"] for row in rows], count) == (["<b>bota</b>", "Zapato niño"], 4)
    assert found(sortModel=[{"colId": "other", "sort": "asc"}, "x"], startRow="x", endRow=None) == found()


def test_a_page_has_a_limit_and_valid_json() -> None:
    frame = pd.DataFrame({"x": np.arange(5000)})
    rows, count = grid.page(frame, {"startRow": 0, "endRow": 10**9})
    assert (len(rows), count) == (grid.LARGEST_PAGE, 5000)
    rows = grid.page(FRAME, {})[0]
    assert json.loads(json.dumps(rows, allow_nan=False))[1] == {"name": "BOTA", "units": 10.0, "day": None}
