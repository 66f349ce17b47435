"""Cases that a review found: each once went wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import ConfigError
from schemas.facts import FailureKind
from schemas.frequency import Frequency
from schemas.panel import KnownFeature, Panel
from tasks.configuration.settings_file import load_settings
from tasks.forecasting.baselines import SeasonalNaive
from tasks.forecasting.fold_forecasts import forecast_folds
from tasks.inventory.inputs import last_dc_stock
from tests.flows import mini_company
from tests.flows.conftest import Restock


def panel(known: dict[str, KnownFeature] | None = None) -> Panel:
    """One store over 10 days with 4 to forecast; day 8 (from 0) was closed."""
    frequency = Frequency("D")
    closed = np.zeros((1, 14), dtype=bool)
    closed[0, 8] = True
    demand = np.full((1, 10), 5.0)
    demand[0, 8] = 0.0
    series = pd.DataFrame({c.STORE_ID: ["a"], c.CATEGORY: ["x"]})
    return Panel(frequency, series, frequency.range(date(2024, 1, 1), 14), demand, closed, 4, known or {})


def test_a_fold_does_not_know_a_closure_that_no_calendar_announced() -> None:
    assert not panel().until(6).closed.any()
    assert panel().until(9).closed[0, 8]


def test_a_fold_knows_a_closure_of_the_calendar() -> None:
    is_open = np.ones((1, 14), dtype=np.float32)
    is_open[0, 8] = 0.0
    known = {c.OPEN: KnownFeature(is_open, np.zeros(1, dtype=np.int64))}
    assert panel(known).until(6).closed[0, 8]


def test_a_series_with_insufficient_history_for_a_fold_is_distinguished_from_a_defect() -> None:
    young = panel()
    young.demand[0, :8] = np.nan
    folds = [type("Fold", (), {"known_periods": 5})()]
    _, failures, _ = forecast_folds(SeasonalNaive(), young, folds, True, [0.5], 1)
    assert [failure.kind for failure in failures] == [FailureKind.NO_HISTORY]


def test_dc_stock_with_dates_is_the_last_count_not_after_as_of() -> None:
    counts = pd.DataFrame(
        {c.SKU: ["a", "a", "a"], c.DATE: pd.to_datetime(["2024-03-01", "2024-03-30", "2024-06-01"])}
    ).assign(**{c.AVAILABLE: [9.0, 0.0, 500.0]})
    found = last_dc_stock(counts, date(2024, 3, 31))
    assert found is not None
    assert found.to_dict("records") == [{c.SKU: "a", c.AVAILABLE: 0.0}]
    assert last_dc_stock(counts, date(2024, 2, 1)) is None


@pytest.mark.parametrize("line", ["storage: {{ lake }}", "name: 2024-13-45"])
def test_a_value_that_yaml_cannot_build_is_a_settings_error(company: Path, line: str) -> None:
    company.write_text(company.read_text() + f"\n{line}\n".replace("name:", "extra:"))
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        load_settings(company)


def test_null_in_an_override_takes_a_model_out(company: Path) -> None:
    settings = load_settings(company, ["models={arima: {}, ets: {}}", "models.arima=null"])
    assert list(settings.models.named()) == ["ets"]


@pytest.mark.flow
def test_a_young_assortment_and_a_chain_wide_promotion_do_not_stop_the_run(restock: Restock, tmp_path: Path) -> None:
    sales = mini_company.sales()
    old = sales[c.SKU] == mini_company.SKUS[0]
    sales = sales[old | (sales[c.DATE] >= "2024-06-24")]
    promotions = pd.DataFrame(
        {c.SKU: mini_company.SKUS[:2], c.DATE_FROM: "2024-07-02", c.DATE_TO: "2024-07-09", c.DISCOUNT: 0.2}
    ).assign(**{c.STORE_ID: ["", "001"]})
    settings = mini_company.write(tmp_path / "young", sales=sales, promotions=promotions)
    code, _, err = restock(
        *("weekly", "--settings", settings, "--as-of", mini_company.AS_OF),
        *("--set", f"sources.promotions.path={settings.parent / 'promotions.csv'}", "--set", "models={ets: {}}"),
    )
    assert code == 0, err
    assert not pd.read_parquet(settings.parent / "lake/runs" / mini_company.AS_OF / "quarantine.parquet").size
