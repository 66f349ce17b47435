"""A small rolling simulation of the weekly run: units sold against a planner's rules, and nothing held back."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.breadth import sample

pytestmark = pytest.mark.slow

HELD = {"holding_cost_per_year": 0.25}
GAMES = [("scarce", {}), ("ample", HELD), ("arriving", {}), ("scarce", HELD), ("ample", {}), ("arriving", HELD)]
FOLDER = Path(__file__).parents[2] / "benchmarks" / "inventory"


@pytest.fixture
def rolling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import rolling as module

    return module


@pytest.mark.parametrize(("game", "settings"), sample(GAMES, GAMES[:3]))
def test_the_weekly_run_sells_what_a_planners_rules_sell(rolling, game, settings):
    made = rolling.company(stores=5, styles=3, sizes=4, weeks=4, game=game, seed=1)
    settings = {"policies": ["eoq", "newsvendor"], "sample_paths": 30, **settings}
    found = rolling.games(made, settings)
    first, total = rolling.relative(found)
    assert first >= 0.97
    assert total >= 0.985
    own = found["product"]
    assert own.beyond == 0
    assert own.left_out == 0
    if game == "scarce":
        # What the stores can sell does not stay in the distribution center.
        assert own.left <= 0.2 * made.dc.sum()


@pytest.mark.parametrize("storage", [float("inf"), 3.0])
def test_cheap_deliveries_do_not_starve_stores_that_follow_the_files(rolling, storage):
    """Only the first delivery of a plan is in the files, and the next file comes a week later."""
    made = rolling.company(stores=5, styles=3, sizes=4, weeks=3, game="ample", seed=1, storage=storage)
    found = rolling.games(made, {"sample_paths": 30, **HELD}, visit_cost=2.0)
    first, total = rolling.relative(found)
    assert first >= 0.97
    assert total >= 0.97


def test_rules_send_whole_units_within_the_distribution_centers_stock(rolling):
    made = rolling.company(stores=4, styles=2, sizes=3, weeks=2, game="scarce", seed=1)
    for rule in (rolling.by_cover(made), rolling.by_quantile(made), rolling.with_perfect_information(made)):
        sent, day = rule(0, made.on_hand, made.dc)
        assert (day == 0).all()
        assert (sent == sent.round()).all()
        assert (sent.sum(axis=0) <= made.dc).all()
