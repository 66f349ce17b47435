from __future__ import annotations

import pandas as pd
import pytest

from schemas.errors import ConfigError
from schemas.settings import Settings
from tasks.demand.ingest.scope import check_scope

TABLES = {
    "stores": pd.DataFrame({"store_id": ["001", "2", "north/1"]}),
    "products": pd.DataFrame({"sku": ["10", "11"], "brand": ["x", "y"], "family": ["boot", None]}),
}


def settings() -> Settings:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    return Settings.model_validate({"name": "test", "sources": sources, "category": ["brand", "family"]})


@pytest.mark.parametrize(("stores", "categories"), [((), ()), (("001", "north/1"), ()), (("2",), ("x_boot", "y_"))])
def test_what_is_there_may_be_asked_for(stores, categories):
    check_scope(stores, categories, TABLES, settings())


def test_all_that_is_not_there_is_named_with_what_is():
    with pytest.raises(ConfigError) as raised:
        check_scope(("001", "1", "9"), ("x_shoe",), TABLES, settings())
    assert str(raised.value).splitlines() == [
        "stores: no such store in the table of sources.stores: 1, 9 (2 in all). Expected some of 001, 2, "
        "north/1 (3 in all)",
        "categories: no such category in the table of sources.products: x_shoe. Expected some of x_boot, y_ (2 in all)",
    ]
