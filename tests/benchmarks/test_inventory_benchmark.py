"""The inventory benchmark: its peers plan as they say, absent ones are named, and figures are compared."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from schemas.settings import InventorySettings
from tasks.inventory.exact.bounds import bound_of
from tasks.inventory.model.simulator import simulate
from tests.inventory.conftest import QUICK

FOLDER = Path(__file__).parents[2] / "benchmarks" / "inventory"


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's modules import each other as scripts do."""
    monkeypatch.syspath_prepend(str(FOLDER))


def wagner_whitin(periods: int, holding: float, fixed: float, demand: list[float]) -> tuple[list[float], float]:
    """The textbook's recursion: quantities from place 1 on, and their cost."""
    best, following = [0.0] * (periods + 2), [0] * (periods + 2)
    for t in range(periods, 0, -1):
        options = []
        for end in range(t + 1, periods + 2):
            held = sum(holding * (s - t) * demand[s - 1] for s in range(t, end))
            options.append((fixed * (sum(demand[t - 1 : end - 1]) > 0) + held + best[end], end))
        best[t], following[t] = min(options)
    quantity, t = [0.0] * (periods + 1), 1
    while t <= periods:
        quantity[t] = sum(demand[t - 1 : following[t] - 1])
        t = following[t]
    return quantity, best[1]


def short_search(monkeypatch: pytest.MonkeyPatch, peers: ModuleType) -> None:
    """The published algorithm with fewer candidates: what is tested does not depend on how well it searches."""
    monkeypatch.setattr(peers, "POPULATION", 20)
    monkeypatch.setattr(peers, "GENERATIONS", 6)


def test_the_published_genetic_algorithm_keeps_one_level_per_series_and_swaps_days_of_the_whole_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import networks
    import peers

    short_search(monkeypatch, peers)
    problem, _ = networks.network(networks.Size(3, 6, 28, 40.0), 1)
    plan = peers.peer_plan(peers.PUBLISHED_GENETIC, problem)
    for store, level in zip(problem.series_store, plan.levels, strict=True):
        assert len(set(level[plan.visits[store]])) == 1
        assert not level[~plan.visits[store]].any()
    again = peers.peer_plan(peers.PUBLISHED_GENETIC, problem)
    assert (again.visits == plan.visits).all()
    assert (again.levels == plan.levels).all()


def test_wagner_whitin_is_as_good_as_the_bound_where_nothing_is_worth_losing(monkeypatch: pytest.MonkeyPatch) -> None:
    import networks
    import peers

    package, module = ModuleType("stockpyl"), ModuleType("stockpyl.wagner_whitin")
    module.wagner_whitin = wagner_whitin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stockpyl", package)
    monkeypatch.setitem(sys.modules, "stockpyl.wagner_whitin", module)
    problem, _ = networks.network(networks.Size(3, 10, 28, 500.0, holding=300.0, week=28), 2)
    problem = replace(problem, price=problem.price * 1000)
    assert peers.applies(peers.WAGNER_WHITIN, problem)
    assert not peers.applies(peers.WAGNER_WHITIN, networks.network(networks.Size(3, 10, 28, 500.0), 2)[0])
    cost = simulate(problem, peers.peer_plan(peers.WAGNER_WHITIN, problem))
    assert cost.total == pytest.approx(bound_of(problem).bound.total)
    assert cost.over_capacity_store_days == 0


@pytest.mark.slow
def test_a_run_names_what_is_absent_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import networks
    import peers
    import run

    short_search(monkeypatch, peers)
    monkeypatch.setattr(networks, "InventorySettings", partial(InventorySettings, genetic=QUICK))
    small = {"own-M-known": networks.Size(2, 4, 14, 30.0), "own-M": networks.Size(2, 4, 14, 30.0, paths=4)}
    monkeypatch.setattr(run, "OWN", small)
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    policies = "eoq,genetic"
    told = ["run.py", "--problems", str(tmp_path), "--names", "absent", "--seeds", "5", "--policies", policies]
    monkeypatch.setattr(sys, "argv", told)
    run.main()
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("stockpyl is not installed") for line in lines)
    assert any(line.startswith("absent: no folder") for line in lines)
    first = [line.split()[:2] for line in lines if line.startswith("own-")]
    rows = ["bound", "HiGHS", "eoq", "genetic", "published_genetic"]
    assert [policy for name, policy in first if name == "own-M-known-5"] == [*rows, "genetic"]
    assert [policy for name, policy in first if name == "own-M-5"] == [*(r for r in rows if r != "HiGHS"), "genetic"]
    assert any("genetic" in line and "reached: gap" in line for line in lines)


def test_figures_are_compared_number_by_number() -> None:
    import figures

    row = figures.Row("M-tight", "genetic", 249e6, 1.5, 6.5, 0, 100.0, "")
    told = list(figures.reached([row, replace(row, policy="eoq"), replace(row, problem="own-M-tight-3", days=1.0)]))
    assert len(told) == 2
    assert "NOT ['days over']: total, M 249.00 of 250.00, days over 6.5 of 6.0" in told[0]
    assert "reached: days over 1.0 of 6.0" in told[1]
    late = figures.Figure("x", "genetic", gap=0.01).against(replace(row, gap=0.005, missed=1))
    assert "NOT ['missed']: gap 0.500% of 1.000%, missed 1 of 0" in late
