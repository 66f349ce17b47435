"""From a weekly plan to the files for ERP and planner: the same units everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from schemas import columns as c
from schemas.outputs import FIRM, PAIR, RunOutputs
from tasks.inventory.weekly import optimize
from tasks.publication.overrides import apply_overrides
from tasks.publication.planner_workbook import write_planner_workbook
from tasks.publication.product_names import product_table
from tasks.publication.to_send import broken_packs, with_quantities_to_send
from tasks.report.exceptions import CUT, exceptions
from tests.inventory.test_weekly_plan import AS_OF, COSTED, inputs_of
from tests.publication import fake_run

RUN = fake_run.context(as_of=AS_OF.date())
KEY = list(PAIR)


def outputs(stock: bool, pack: float) -> RunOutputs:
    """The plan of two stores whose distribution center has a few boots and many bags; one override."""
    inputs = inputs_of(stock=stock, settings={"policies": ["marginal_value"]}, **COSTED)
    facts = inputs.sku_facts.assign(**{c.PACK_SIZE: pack})
    skus = facts[c.SKU].drop_duplicates()
    dc = pd.DataFrame({c.SKU: skus, c.AVAILABLE: np.where(skus.str.startswith("boots"), 12.0, 100.0)})
    plan = optimize(replace(inputs, sku_facts=facts, dc_stock=dc))
    override = {
        **{c.STORE_ID: "2", c.SKU: "bags-2", c.CATEGORY: None, c.DATE_FROM: AS_OF, c.DATE_TO: AS_OF},
        **{c.ACTION: "set", c.VALUE: 25.0, c.REASON: "x", c.AUTHOR: "y"},
    }
    changed = apply_overrides(plan.replenishment, pd.DataFrame([override]), AS_OF.date(), plan.explanations)
    products = pd.DataFrame({c.SKU: skus, c.NAME: skus.str.upper()})
    given = replace(
        fake_run.outputs(),
        replenishment=changed.targets,
        deliveries=plan.deliveries,
        explanations=plan.explanations,
        visits=plan.visits,
        costs=plan.costs,
        stock_by_day=plan.stock_by_day,
        forecast=inputs.forecast.assign(**{c.MODEL: "theta", c.CHAMPION: True}),
        products=product_table(products, facts),
    )
    return with_quantities_to_send(given, "DC")


@pytest.mark.parametrize(("stock", "pack"), [(True, 4.0), (False, np.nan)])
def test_targets_transfers_and_deliveries_have_the_same_units(stock: bool, pack: float, tmp_path: Path) -> None:
    given = outputs(stock, pack)
    plan = given.explanations
    assert plan is not None
    assert given.transfers is not None
    both = given.replenishment.merge(plan[[*KEY, c.ON_HAND, c.IN_TRANSIT, c.TO_SEND]], on=KEY, suffixes=("", "_plan"))
    held = both[[c.ON_HAND, c.IN_TRANSIT]].fillna(0.0).sum(axis=1)
    assert (both[c.TO_SEND] == (both[c.TARGET_QUANTITY] - held).clip(lower=0.0)).all()
    own = both[both[c.SKU] != "bags-2"]
    assert (own[c.TO_SEND] == own[f"{c.TO_SEND}_plan"]).all()
    sent = given.transfers.set_index(KEY)
    assert sent[c.QUANTITY].to_dict() == both[both[c.TO_SEND] > 0].set_index(KEY)[c.TO_SEND].to_dict()
    firm = given.deliveries[given.deliveries[c.STATUS] == FIRM].set_index(KEY)
    assert firm[c.QUANTITY].to_dict() == sent[c.QUANTITY].to_dict()
    assert (firm[c.VISIT_DATE] == sent[c.DELIVERY_DATE].reindex(firm.index)).all()
    assert not given.deliveries.duplicated([*KEY, c.VISIT_DATE]).any()
    assert broken_packs(given) == []
    boots = given.transfers[given.transfers[c.SKU].str.startswith("boots")]
    assert (boots.groupby(c.SKU)[c.QUANTITY].sum() <= 12).all()

    found = exceptions(given, fake_run.facts(), RUN)
    assert set(found.loc[found[c.SKU].str.startswith("boots"), c.KIND]) == {CUT}
    write_planner_workbook(tmp_path, given, fake_run.facts(), RUN)
    page = openpyxl.load_workbook(tmp_path / "replenishment.xlsx")["Send"]
    column = [cell.value for cell in page[1]].index("quantity")
    assert sum(row[column].value for row in page.iter_rows(min_row=2)) == sent[c.QUANTITY].sum()
