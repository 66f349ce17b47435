"""Champion and challenger: the decision, and promotions that can be reverted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flows.preparation import prepare_run
from schemas import columns as c
from schemas.errors import ConfigError
from schemas.settings import ChallengerSettings
from tasks.performance.challengers import DECISION, decide, shadow_keys, take_forecasts
from tasks.performance.promotion import promote, promotions, revert
from tasks.storage.lake import open_lake

CHALLENGER = ChallengerSettings(name="more", settings={"models": {"theta": {}, "arima": None}}, weeks=6)
MONDAY = date(2025, 2, 24)


def weeks(count: int, wape: float, cost: float) -> pd.DataFrame:
    """Losses of a champion of 1 and of a challenger."""
    days = pd.date_range("2025-01-06", periods=count, freq="7D")
    rows = [(day, name, loss) for day in days for name, loss in ((c.WAPE, wape), (c.COST, cost))]
    table = pd.DataFrame(rows, columns=[c.AS_OF, c.MEASURE, c.CHALLENGER_LOSS])
    return table.assign(**{c.CHALLENGER: "more", c.CHAMPION_LOSS: 1.0})


@pytest.mark.parametrize(
    ("count", "wape", "cost", "decision"),
    [
        (12, 0.9, 0.9, "promote"),
        (12, 0.9, 1.0, "promote"),
        (12, 1.1, 1.0, "keep"),
        (12, 0.9, 1.1, "undecided"),
        (12, 1.0, 1.0, "undecided"),
        (5, 0.5, 0.5, "undecided"),
    ],
)
def test_a_decision_needs_weeks_and_evidence(count: int, wape: float, cost: float, decision: str) -> None:
    found = decide(weeks(count, wape, cost), CHALLENGER).set_index(c.MEASURE)
    assert found.loc[DECISION, c.DECISION] == decision
    assert found.loc[DECISION, c.WEEKS] == count
    assert found.loc[c.WAPE, c.DIFFERENCE] == pytest.approx(1 - wape)


def test_the_forecasts_of_another_installation_are_taken_once(tmp_path: Path) -> None:
    own, other = open_lake(str(tmp_path / "own")), open_lake(str(tmp_path / "other"))
    days = [date(2025, 2, 10), date(2025, 2, 17), MONDAY]

    def publish(lake: str, folder: str, mean: float) -> None:
        rows = pd.DataFrame({c.MODEL: ["theta", "ets"], c.MEAN: [mean, 9.0], c.CHAMPION: [True, False]})
        (tmp_path / lake / folder).mkdir(parents=True)
        rows.to_parquet(tmp_path / lake / folder / "forecast.parquet")

    for day in days:
        publish("own", f"runs/{day}", 1.0)
    publish("other", f"runs/{days[0]}", 2.0)
    publish("other", f"previews/{days[1]}", 3.0)
    publish("other", "runs/2025-03-03", 4.0)  # not published here
    assert take_forecasts(own, other, "next", days[1]) == [days[1]]
    assert take_forecasts(own, other, "next", days[0]) == [days[0]]
    (key,) = shadow_keys(own, days[1])
    kept = pd.read_parquet(tmp_path / "own" / key)
    assert kept[[c.MODEL, c.MEAN, c.CHALLENGER]].to_numpy().tolist() == [["theta", 3.0, "next"]]
    publish("other", f"runs/{days[1]}", 5.0)  # later: it could know more
    assert take_forecasts(own, other, "next", days[0]) == []
    with pytest.raises(ConfigError, match="install its version of Restock"):
        promote(own, ChallengerSettings(lake="../lake"), MONDAY, "ana")
    with pytest.raises(ValueError, match="not both"):
        ChallengerSettings(lake="../lake", settings={"models": {}} | CHALLENGER.settings)


def test_a_promotion_applies_from_its_date_until_it_is_reverted(tmp_path: Path) -> None:
    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    content = {"name": "x", "sources": sources, "challenger": CHALLENGER.model_dump(), "models": {"arima": {}}}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(content))
    lake = open_lake(str(tmp_path / "lake"))

    def models(as_of: date, *overrides: str) -> list[str]:
        run = prepare_run(str(file), as_of, overrides)
        assert bool(run.promotion) == (as_of >= MONDAY and promotions(lake)[-1].action == "promoted")
        return [name for name, model in run.settings.models if model is not None]

    promote(lake, CHALLENGER, MONDAY, "ana", "better")
    assert models(date(2025, 2, 17)) == ["arima"]
    assert models(MONDAY) == ["theta"]
    assert set(models(MONDAY, "models.tsb={}")) == {"theta", "tsb"}
    with pytest.raises(ConfigError, match="already promoted since 2025-02-24"):
        promote(lake, CHALLENGER, MONDAY, "ana")
    revert(lake, MONDAY, "ana")
    assert models(MONDAY) == ["arima"]
    assert [entry.action for entry in promotions(lake)] == ["promoted", "reverted"]
    with pytest.raises(ConfigError, match="No challenger is promoted"):
        revert(lake, MONDAY, "ana")
