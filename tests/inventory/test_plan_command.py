"""``restock plan``: problem folder, output folder, and error messages."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.cli.terminal import progress
from schemas.errors import ConfigError, DataContractError
from schemas.plan import Plan
from tasks.inventory.model.simulator import simulate
from tasks.inventory.plan_command import plan_problem
from tasks.inventory.plan_files import read_problem, write_solution

TERMS = {"inventory": {"policies": ["eoq", "genetic"]}, "periods_per_week": 7, "seed": 7}


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    rows = [(s, k, t) for s in ("007", "8 / b") for k in ("boots", "2") for t in range(14)]
    demand = pd.DataFrame(rows, columns=["store_id", "category", "t"])
    demand["mean"] = draw.poisson(2.0, len(demand))
    demand["price"] = 10.0
    demand = demand[demand["mean"] > 0]
    demand.to_csv(tmp_path / "demand.csv", index=False)
    pd.DataFrame({"store_id": ["8 / b", "007"], "storage_capacity": [60, ""], "visit_cost": [25, 20]}).to_csv(
        tmp_path / "stores.csv", index=False
    )
    pd.DataFrame({"store_id": ["007", "8 / b"], "category": ["2", "bags"], "on_hand": [3, 4]}).to_csv(
        tmp_path / "stock.csv", index=False
    )
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(TERMS))
    return tmp_path


def change(folder, table, edit):
    path = folder / f"{table}.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    edit(frame).to_csv(path, index=False)


def test_reads_ids_as_text_and_absent_rows_as_no_demand(folder):
    problem = read_problem(folder)
    assert problem.store_ids == ("007", "8 / b")
    assert problem.categories == ("2", "bags", "boots")
    # Stock of a category without demand uses storage capacity: it is a series.
    assert len(problem.on_hand) == 5
    assert problem.capacity.tolist() == [np.inf, 60]
    assert problem.mean.shape == (5, 14)
    assert problem.settings.review_period == 7
    assert problem.free_visits is not None
    assert not problem.free_visits.any()


def test_parquet_with_numbers_and_categoricals_reads_the_same(folder):
    demand = pd.read_csv(folder / "demand.csv", dtype={"store_id": str, "category": str})
    demand["store_id"] = demand["store_id"].map({"007": 7, "8 / b": 8})
    demand["category"] = demand["category"].astype("category")
    demand = demand.sample(frac=1.0, random_state=1)
    demand.to_parquet(folder / "demand.parquet")
    (folder / "demand.csv").unlink()
    change(folder, "stores", lambda f: f.assign(store_id=["8", "7"]))
    change(folder, "stock", lambda f: f.assign(store_id=["7", "8"]))
    assert read_problem(folder).store_ids == ("7", "8")


def test_sample_paths_and_goods_in_transit(folder):
    change(folder, "demand", lambda f: f.assign(s0=f["mean"], s1="1", s10="2", s2="0"))
    change(folder, "stock", lambda f: f.assign(in_transit_2=["5", ""]))
    problem = read_problem(folder)
    assert problem.paths.shape == (4, 5, 14)
    # In numeric order, not alphabetical.
    assert [problem.paths[k].max() for k in (1, 2, 3)] == [1, 0, 2]
    assert problem.in_transit.sum(axis=0).tolist() == [0, 5]


def test_shortage_cost_replaces_the_price(folder):
    assert (read_problem(folder, ["inventory.shortage_cost=2.5"]).price == 2.5).all()


def test_the_smaller_limit_on_deliveries_per_period_applies(folder):
    problem = read_problem(folder, ["max_visits_per_period=5", "inventory.max_visits_per_period=2"])
    assert problem.max_visits_per_period == 2


def test_stores_without_a_delivery_cost_have_one_delivery_per_review_period(folder, tmp_path):
    change(folder, "stores", lambda f: f.drop(columns="visit_cost"))
    plan_problem(folder, tmp_path / "out")
    visits = pd.read_csv(tmp_path / "out" / "visits.csv", dtype={"store_id": str})
    assert visits.groupby("store_id")["t"].apply(list).tolist() == [[0, 7], [0, 7]]


def test_files_agree_with_the_simulator(folder, tmp_path):
    lines = plan_problem(folder, tmp_path / "out")
    out = {name: pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("costs", "bounds")}
    ids = {"store_id": str, "category": str}
    visits = pd.read_csv(tmp_path / "out" / "visits.csv", dtype=ids)
    levels = pd.read_csv(tmp_path / "out" / "levels.csv", dtype=ids)
    assert levels.columns.tolist() == ["store_id", "category", "t_from", "order_up_to"]
    problem = read_problem(folder)
    plan = Plan(np.zeros((2, 14), dtype=bool), np.zeros((5, 14)))
    for row in visits.itertuples():
        plan.visits[problem.store_ids.index(row.store_id), row.t] = True
    keys = [
        (problem.store_ids[s], problem.categories[k])
        for s, k in zip(problem.series_store, problem.series_category, strict=True)
    ]
    for row in levels.sort_values("t_from").itertuples():
        plan.levels[keys.index((row.store_id, row.category)), row.t_from :] = row.order_up_to
    costs = out["costs"].set_index("policy")
    best = costs[costs["chosen"]].iloc[0]
    cost = simulate(problem, plan)
    assert cost.total == pytest.approx(best["total"], abs=1e-6)
    assert cost.transport == pytest.approx(best["transport"])
    assert out["bounds"]["lower_bound"].sum() == pytest.approx(best["lower_bound"])
    bounds = out["bounds"]
    assert bounds["total"].sum() == pytest.approx(best["total"])
    np.testing.assert_allclose(bounds["gap"], bounds["total"] / bounds["lower_bound"] - 1, atol=1e-9)
    assert bounds["bound_holds_for"].str.contains("known demand").all()
    assert costs["bound_holds_for"].str.startswith("every plan without returns").all()
    assert set(out["bounds"]["status"]) <= {"proven", "valid", "none"}
    summary = yaml.safe_load((tmp_path / "out" / "plan.yaml").read_text())
    assert summary["chosen"] == best.name
    assert summary["seed"] == 7
    assert summary["seconds"] >= 0
    assert any("genetic" in line for line in lines)


def test_no_text_of_the_solution_is_a_formula(tmp_path):
    levels = pd.DataFrame({"store_id": ["=1+1", "007"], "date": pd.to_datetime(["2025-01-31"] * 2), "level": [-1.5, 2]})
    write_solution(tmp_path, {"levels": levels}, {})
    assert (tmp_path / "levels.csv").read_text() == "store_id,date,level\n'=1+1,2025-01-31,-1.5\n007,2025-01-31,2.0\n"


def test_the_order_of_rows_does_not_change_the_files(folder, tmp_path):
    names = ["visits.csv", "levels.csv", "costs.csv", "bounds.csv"]
    plan_problem(folder, tmp_path / "one")
    for table in ("demand", "stores", "stock"):
        change(folder, table, lambda f: f.sample(frac=1.0, random_state=3))
    plan_problem(folder, tmp_path / "two")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"perods_per_week": 7}, r"perods_per_week"),
        ({"seed": True}, r"seed"),
        ({"periods_per_week": 0}, r"periods_per_week"),
        ({"inventory": {"policies": ["eok"]}}, r"inventory\.policies"),
        ({"inventory": {"lead_tme": 1}}, r"lead_tme"),
        ({"max_visits_per_period": 0}, r"max_visits_per_period"),
    ],
)
def test_invalid_settings_are_config_errors_that_name_the_key(folder, edit, message):
    (folder / "problem.yaml").write_text(yaml.safe_dump({**TERMS, **edit}))
    with pytest.raises(ConfigError, match=message) as error:
        read_problem(folder)
    assert "problem.yaml" in str(error.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", ""])
def test_problem_yaml_must_be_a_mapping(folder, text):
    (folder / "problem.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"problem\.yaml"):
        read_problem(folder)


def test_a_missing_key_and_a_missing_folder(folder):
    (folder / "problem.yaml").write_text("inventory: {}\nseed: 1\n")
    with pytest.raises(ConfigError, match="periods_per_week"):
        read_problem(folder)
    with pytest.raises(ConfigError, match="does not exist"):
        read_problem(folder / "nowhere")


@pytest.mark.parametrize(
    ("table", "edit", "message"),
    [
        ("demand", lambda f: f.drop(columns="price"), r"demand\.csv: missing columns price"),
        ("demand", lambda f: f.assign(mean=["x", *f["mean"][1:]]), r"demand\.csv: column mean .*1 rows.*row 1: 'x'"),
        ("demand", lambda f: f.assign(mean=["-1", *f["mean"][1:]]), r"column mean"),
        ("demand", lambda f: f.assign(mean=["inf", *f["mean"][1:]]), r"column mean"),
        ("demand", lambda f: f.assign(t=["1.5", *f["t"][1:]]), r"column t "),
        ("demand", lambda f: pd.concat([f, f.head(1)]), r"repeated rows of store_id, category, t: 007"),
        ("demand", lambda f: f.assign(store_id=["", *f["store_id"][1:]]), r"column store_id"),
        ("demand", lambda f: f.head(0), r"demand\.csv has no rows"),
        ("stores", lambda f: f[f["store_id"] != "007"], r"no rows for the stores 007"),
        ("stores", lambda f: pd.concat([f, f]), r"repeated rows of store_id"),
        ("stock", lambda f: f.assign(on_hand=["", "1"]), r"stock\.csv: column on_hand"),
        ("stock", lambda f: f.assign(store_id=["99", "007"]), r"stores 99 .* not in the stores table"),
    ],
)
def test_wrong_tables_name_file_and_column(folder, table, edit, message):
    change(folder, table, edit)
    with pytest.raises(DataContractError, match=message):
        read_problem(folder)


def test_a_missing_table_and_two_files_for_one(folder):
    (folder / "stock.csv").rename(folder / "stock.bak")
    with pytest.raises(DataContractError, match=r"no stock\.parquet or stock\.csv"):
        read_problem(folder)
    (folder / "stock.bak").rename(folder / "stock.csv")
    pd.DataFrame({"a": [1]}).to_parquet(folder / "stock.parquet")
    with pytest.raises(DataContractError, match="keep one file for stock"):
        read_problem(folder)


def test_dc_stock_limits_only_the_categories_it_lists(folder):
    pd.DataFrame({"category": ["boots", "other"], "available": [5, 1]}).to_csv(folder / "dc_stock.csv", index=False)
    assert read_problem(folder).dc_available.tolist() == [np.inf, np.inf, 5]


def test_reporting_progress_does_not_change_the_result(folder, tmp_path):
    change(folder, "demand", lambda f: f.assign(s0=f["mean"], s1="1"))
    explained = []
    plan_problem(folder, tmp_path / "told", ["inventory.genetic.generations=2"], explained.append)
    plan_problem(folder, tmp_path / "untold", ["inventory.genetic.generations=2"])
    assert explained == ["genetic: 1 of 2 stores searched", "genetic: 2 of 2 stores searched"]
    assert (tmp_path / "told" / "levels.csv").read_bytes() == (tmp_path / "untold" / "levels.csv").read_bytes()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_in_one_line_of_a_terminal_and_nowhere_else(monkeypatch):
    for stream, shown in ((Terminal(), "\r\x1b[Kgeneration 3\r\x1b[K"), (io.StringIO(), "")):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress() as report:
            if report is not None:
                report("generation 3")
        assert stream.getvalue() == shown
