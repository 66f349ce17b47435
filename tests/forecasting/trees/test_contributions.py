"""Parts of a forecast add up to it, and name its causes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.protocols import ExplainedForecaster
from tasks.forecasting.trees.contributions import LEVEL, PARTS, PRICE, PROMOTIONS, SEASON, part_of
from tasks.forecasting.trees.direct import XgboostForecaster
from tests.forecasting.panels import panel_of
from tests.forecasting.trees.test_direct import LEVELS, SMALL, fitted, promoted_panel


def test_the_parts_add_up_to_every_median():
    panel = promoted_panel()
    assert isinstance(fitted(), ExplainedForecaster)
    parts = pd.concat(fitted().parts(panel))
    total = parts.groupby([c.STORE_ID, c.DATE], observed=True)[c.UNITS].sum().to_numpy().reshape(panel.n, panel.horizon)
    assert total == pytest.approx(fitted().predict(panel, LEVELS).quantiles[:, :, 2], rel=1e-4)
    assert set(parts[c.PART]) <= set(PARTS)


def test_a_promotion_is_what_lifts_a_promoted_day():
    panel = promoted_panel()
    ahead = panel.known["promo"].values[3, panel.history :]
    own = pd.concat(fitted().parts(panel))
    own = own[own[c.STORE_ID] == "s03"].pivot_table(c.UNITS, c.DATE, c.PART, observed=True).fillna(0.0)
    lift = (own[PROMOTIONS] / own[LEVEL]).to_numpy()
    assert lift[ahead == 1].min() > lift[ahead == 0].max() + 0.5


@pytest.mark.parametrize(
    ("column", "part"),
    [
        ("known:promotion_price", PRICE),
        ("observed:unit_price:change", PRICE),
        ("known:promo:share_before", PROMOTIONS),
        ("own:promo", PROMOTIONS),
        ("season_0.5", SEASON),
        ("known:static:store_type", "store and product"),
        ("known:weekday", "calendar"),
        ("smoothed_14", LEVEL),
    ],
)
def test_columns_belong_to_named_parts(column, part):
    assert part_of(column) == part


def test_where_nothing_was_learned_there_are_no_parts():
    panel = panel_of(np.array([[3.0, 4.0, 5.0]]), horizon=7)
    assert not list(XgboostForecaster(SMALL, LEVELS).fit(panel, 3).parts(panel))
