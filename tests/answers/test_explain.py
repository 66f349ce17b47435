"""``restock explain``: the published forecast in parts that add up to it, by its own model, from the run's files."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli.group import cli
from schemas.errors import ConfigError
from tasks.configuration.settings_file import load_settings
from tasks.storage.lake import open_lake
from tests.inventory.test_weekly_plan import inputs_of

AS_OF = pd.Timestamp("2024-03-04")
DAYS = pd.date_range(AS_OF, periods=14)
MEANS = {"xgboost": 6.0, "theta": 4.0, "ensemble": 5.5}
WEIGHTS = {"xgboost": 0.75, "theta": 0.25}
PARTS = {"level": 4.0, "calendar": 1.5, "promotions": 0.75, "price": -0.5}


def run_of(folder: Path, champion: str) -> Path:
    """A settings file and a lake with one published series whose champion is given."""
    path = folder / "settings.yaml"
    given = inputs_of().settings.model_dump(mode="json", include={"name", "horizon", "category", "sources"})
    path.write_text(yaml.safe_dump({**given, "storage": "lake"}))
    lake = open_lake(load_settings(path).storage)
    rows = []
    for model, mean in MEANS.items():
        for day in DAYS:
            lifted = mean * (1.5 if day.dayofweek == 5 else 1.0)
            rows.append(("007", "boots", day, model, lifted, lifted - 2, lifted - 0.25, lifted + 2, WEIGHTS.get(model)))
    names = ["store_id", "category", "date", "model", "mean", "q0.1", "q0.5", "q0.9", "weight"]
    forecast = pd.DataFrame(rows, columns=names).astype({"weight": float})
    forecast["champion"] = forecast["model"].eq(champion)
    past = pd.DataFrame({"date": pd.date_range(end=AS_OF - pd.Timedelta(days=1), periods=14), "actual": 3.0})
    past = past.assign(store_id="007", category="boots", model="theta", cutoff=past["date"].min(), mean=4.0)
    past.loc[3, "actual"] = np.nan
    champions = pd.DataFrame(
        {"store_id": ["007"], "category": ["boots"], "model": [champion], "why": ["lowest loss on 3 folds"]}
    )
    parts = pd.DataFrame([("007", "boots", AS_OF, part, units) for part, units in PARTS.items()])
    parts = parts.set_axis(["store_id", "category", "date", "part", "units"], axis=1).assign(model="xgboost")
    refs = {
        name: lake.write_table(name, pd.DataFrame({"x": [1]})).model_dump()
        for name in ("sku_facts", "planned_prices", "forecast", "backtest", "champions")
    }
    refs = {**refs, "tables": {}, "parts": [lake.write_table("parts/xgboost", parts).model_dump()]}
    for name, table in (("forecast", forecast), ("backtest", past), ("champions", champions)):
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        lake.write_bytes(f"runs/2024-03-04/{name}.parquet", buffer.getvalue())
    lake.write_bytes("runs/2024-03-04/manifest.json", json.dumps({"plan_inputs": refs}).encode())
    return path


def ask(settings: Path, *more: str, **changed: str) -> str:
    given = {"settings": str(settings), "as-of": "2024-03-04", "store": "007", "category": "boots"}
    given |= {"date": "2024-03-04"} | changed
    done = CliRunner().invoke(cli, ["explain", *(f"--{name}={value}" for name, value in given.items()), *more])
    if done.exception is not None:
        raise done.exception
    return done.output


def sums(text: str) -> list[tuple[float, float]]:
    """The parts' sum and the stated total of every block."""
    found, total = [], 0.0
    for line in text.splitlines():
        match = re.match(r"([+−=]) +([\d.,]+)  ", line)
        if not match:
            continue
        units = float(match[2].replace(",", ""))
        if match[1] == "=":
            found.append((total, units))
            total = 0.0
        else:
            total += units if match[1] == "+" else -units
    return found


@pytest.mark.parametrize(("champion", "blocks"), [("xgboost", 1), ("theta", 1), ("ensemble", 3)])
@pytest.mark.parametrize("day", ["2024-03-04", "2024-03-09"])
def test_the_parts_of_the_published_model_add_up_to_its_expected_units(tmp_path, champion, blocks, day):
    text = ask(run_of(tmp_path, champion), date=day)
    found = sums(text)
    assert len(found) == blocks
    for total, stated in found:
        assert total == pytest.approx(stated, abs=0.05)
    lift = 1.5 if day == "2024-03-09" else 1.0
    assert found[0][1] == pytest.approx(MEANS[champion] * lift)
    assert f"Model: {champion}. lowest loss on 3 folds" in text


def test_a_tree_model_is_explained_in_named_groups(tmp_path):
    text = ask(run_of(tmp_path, "xgboost"))
    for words in ("+       4.00  recent level", "+       0.75  promotions", "−       0.50  price"):
        assert words in text
    assert "+       0.25  expected value above the median" in text


def test_a_model_without_features_is_explained_by_its_own_pattern(tmp_path):
    text = ask(run_of(tmp_path, "theta"), date="2024-03-09")
    assert "+       3.00  sold per period in the last periods" in text
    assert re.search(r"\+ +1\.29  change of the whole horizon", text)
    assert re.search(r"\+ +1\.71  weekday", text)


def test_the_ensemble_names_its_members_and_their_weights(tmp_path):
    text = ask(run_of(tmp_path, "ensemble"))
    assert "75.0 % of xgboost: 6.00 units" in text
    assert "25.0 % of theta: 4.00 units" in text


def test_spanish(tmp_path):
    text = ask(run_of(tmp_path, "xgboost"), "--set", "language=es")
    assert "nivel reciente de ventas" in text
    assert "0,75" in text


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b"damaged"])
def test_a_manifest_of_another_version_is_named(tmp_path, manifest):
    settings = run_of(tmp_path, "theta")
    open_lake(load_settings(settings).storage).write_bytes("runs/2024-03-04/manifest.json", manifest)
    with pytest.raises(ConfigError, match="runs/2024-03-04: the manifest does not list the inputs of the plan"):
        ask(settings)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"store": "9"}, "--store 9: no forecast in this run. Known stores: 007"),
        ({"category": "77"}, "--category 77: no forecast for store 007. Its categories: boots"),
        ({"date": "2024-08-30"}, "--date 2024-08-30: not in the horizon"),
        ({"as-of": "2024-03-11"}, "does not contain forecast.parquet"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, changed, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        ask(run_of(tmp_path, "theta"), **changed)
