"""``restock what-if``: the same run with other constraints, next to what was published; nothing is written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from flows.cli.group import cli
from schemas.errors import ConfigError
from tasks.configuration.settings_file import load_settings
from tasks.inventory.weekly import optimize
from tasks.publication.erp_file import replenishment_bytes
from tasks.storage.lake import open_lake
from tests.inventory.test_weekly_plan import COSTED, inputs_of

pytestmark = pytest.mark.slow

AS_OF = "2024-03-04"


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published run in a lake, as the publication leaves it."""
    folder = tmp_path_factory.mktemp("company")
    inputs = inputs_of(**COSTED)
    written = inputs.settings.model_dump(mode="json", include={"name", "horizon", "category", "inventory", "sources"})
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump({**written, "storage": "lake"}))
    settings = load_settings(path)
    lake = open_lake(settings.storage)
    keys = inputs.forecast[["store_id", "category"]].drop_duplicates()
    given = {
        "tables": {"stores": inputs.stores},
        "sku_facts": inputs.sku_facts,
        "planned_prices": pd.DataFrame(columns=["store_id", "sku", "date", "price"]),
        "forecast": inputs.forecast.assign(model="theta", champion=True),
        "backtest": inputs.backtest.assign(model="theta"),
        "champions": keys.assign(model="theta", why="test"),
    }
    stored = {
        name: {key: lake.write_table("t", frame).model_dump() for key, frame in value.items()}
        if isinstance(value, dict)
        else lake.write_table("t", value).model_dump()
        for name, value in given.items()
    }
    plan = optimize(inputs_of(**COSTED))
    files = {
        "replenishment.csv": replenishment_bytes(plan.replenishment, settings.output),
        "costs.csv": plan.costs.to_csv(index=False).encode(),
    }
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "settings_sha256": settings.digest(),
        "outputs": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "plan_inputs": {**stored, "stock_counted": True},
    }
    for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
        lake.write_bytes(f"runs/{AS_OF}/{name}", data)
    return path


def replenishment_of(settings_file: Path) -> pd.DataFrame:
    file = settings_file.parent / "lake" / "runs" / AS_OF / "replenishment.csv"
    return pd.read_csv(file, dtype={"store_id": str, "sku": str})


def ask(settings_file: Path, *options: str, as_of: str = AS_OF) -> str:
    done = CliRunner().invoke(cli, ["what-if", "--settings", str(settings_file), "--as-of", as_of, *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def figures(text: str, name: str) -> list[float]:
    line = next(line for line in text.splitlines() if line.startswith(name))
    return [float(cell.replace(",", "")) for cell in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", line)[:2]]


def test_without_a_change_the_published_plan_comes_back(settings_file: Path) -> None:
    text = ask(settings_file)
    for name in ("Transport", "Lost sales", "Total  ", "Deliveries", "Target stock, units", "genetic", "eoq"):
        old, new = figures(text, name)
        assert old == new, name
    assert "have changed since the run was published" not in text


def test_less_room_costs_more_and_dearer_visits_are_fewer_or_dearer(settings_file: Path) -> None:
    text = ask(settings_file, "--capacity", "0.3")
    old, new = figures(text, "Total  ")
    assert new > old
    old, new = figures(text, "Lower bound")
    assert new >= old
    text = ask(settings_file, "--visit-cost", "2")
    old, new = figures(text, "Lower bound")
    assert new > old


def test_values_replace_those_of_the_settings_and_more_demand_needs_more(settings_file: Path) -> None:
    text = ask(settings_file, "--holding-cost", "1.5", "--demand", "2", "--set", "inventory.policies=[newsvendor]")
    assert figures(text, "Holding")[1] > 0
    assert "newsvendor" in text
    old, new = figures(text, "Target stock, units")
    assert new > old


def test_what_moves_is_shown_by_store_category_and_sku_and_can_be_written(settings_file: Path, tmp_path: Path) -> None:
    assert "No target changes." in ask(settings_file)
    file = tmp_path / "changes.csv"
    text = ask(settings_file, "--demand", "2", "--csv", str(file))
    changes = pd.read_csv(file, dtype={"store_id": str, "sku": str})
    assert list(changes) == ["store_id", "category", "sku", "published", "what_if", "change"]
    assert len(changes)
    assert (changes["change"] == changes["what_if"] - changes["published"]).all()
    assert changes["change"].abs().is_monotonic_decreasing
    assert f"{len(changes)} targets change" in text
    old, new = figures(text, "Target stock, units")
    assert new - old == changes["change"].sum()
    by_store = text.split("by store ")[1].split("by category")[0].splitlines()[1:]
    shown = {line.split()[0]: [float(cell) for cell in line.split()[1:3]] for line in by_store if line.strip()}
    # Totals are of all targets of a store, not only of those that change. A store whose total is the same is left out.
    published = replenishment_of(settings_file).groupby("store_id")["target_quantity"].sum()
    change = changes.groupby("store_id")["change"].sum()
    assert shown == {
        store: [float(published[store]), float(published[store] + units)] for store, units in change.items() if units
    }


def test_overrides_of_the_run_apply_to_the_new_plan_too(settings_file: Path) -> None:
    folder = settings_file.parent / "lake/runs" / AS_OF
    before = {name: (folder / name).read_bytes() for name in ("replenishment.csv", "manifest.json")}
    plan = optimize(inputs_of(**COSTED))
    first = plan.replenishment.iloc[0]
    override = {
        "number": 1, "store_id": first["store_id"], "sku": first["sku"], "category": None, "date_from": AS_OF,
        "date_to": AS_OF, "action": "set", "value": 77.0, "reason": "fair", "author": "Ana", "status": "applied",
    }  # fmt: skip
    targets = plan.replenishment.copy()
    targets.loc[0, "target_quantity"] = 77
    data = replenishment_bytes(targets, load_settings(settings_file).output)
    manifest = json.loads(before["manifest.json"])
    manifest["overrides"] = [override]
    manifest["outputs"]["replenishment.csv"] = hashlib.sha256(data).hexdigest()
    try:
        (folder / "replenishment.csv").write_bytes(data)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert "No target changes." in ask(settings_file)
    finally:
        for name, content in before.items():
            (folder / name).write_bytes(content)


def test_nothing_is_written(settings_file: Path) -> None:
    def state() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in settings_file.parent.rglob("*") if p.is_file()}

    before = state()
    ask(settings_file, "--capacity", "0.9")
    assert state() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dc-stock", "0.5"), "has no table dc_stock"),
        (("--lead-time", "20"), "horizon is 14"),
        (("--service-level", "1.5"), "service_level"),
    ],
)
def test_what_cannot_be_asked_is_told(settings_file: Path, options: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ask(settings_file, *options)


def test_a_date_without_a_run_is_told(settings_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not contain a published run .* restock weekly"):
        ask(settings_file, as_of="2024-03-11")


def test_a_changed_settings_file_is_told(settings_file: Path) -> None:
    text = settings_file.read_text()
    try:
        settings_file.write_text(text.replace("name: t", "name: other"))
        assert "have changed since the run was published" in ask(settings_file)
    finally:
        settings_file.write_text(text)
