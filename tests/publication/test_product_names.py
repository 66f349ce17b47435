"""Names and prices of the products."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schemas import columns as c
from tasks.publication.product_names import product_table


def test_products_have_their_names_and_the_price_of_a_lost_unit() -> None:
    products = pd.DataFrame(
        {
            c.SKU: ["b", "a", "0"],
            c.NAME: [" High\n Boot ", None, "501"],
            c.SIZE: ["36", "37", None],
            c.PRICE: [5.0, 0.0, 7.0],
        }
    )
    facts = pd.DataFrame({c.SKU: ["b", "b"], c.UNIT_PRICE: [4.0, 4.0]})
    table = product_table(products, facts)
    assert list(table.columns) == [c.SKU, c.PRODUCT_NAME, c.SIZE, c.UNIT_PRICE]
    assert table[[c.SKU, c.PRODUCT_NAME, c.SIZE]].to_numpy().tolist() == [
        ["0", "501", ""],
        ["a", "", "37"],
        ["b", "High Boot", "36"],
    ]
    # Last price, no price, list price: a list price of 0 is no price.
    np.testing.assert_array_equal(table[c.UNIT_PRICE], [7.0, np.nan, 4.0])
