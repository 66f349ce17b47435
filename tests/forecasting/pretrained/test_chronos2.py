"""Chronos-2 with tiny random weights: forecasts, fine-tuning, its process, and a weekly run with it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas import columns as c
from schemas.errors import ConfigError, TrainingError
from schemas.panel import Fold, Forecast, Panel
from schemas.settings import Chronos2Settings, Settings
from tasks.forecasting.pretrained import worker
from tasks.forecasting.pretrained.chronos2 import Chronos2Forecaster
from tasks.forecasting.pretrained.process import NetworkProcess
from tasks.forecasting.pretrained.worker import Chronos2Network, NetworkInput
from tasks.forecasting.registry import context_of, create
from tasks.forecasting.shards import shards
from tests.commands import Start
from tests.flows import forks, mini_company
from tests.forecasting import check_forecaster as check
from tests.forecasting.panels import AWKWARD, awkward_panel

LEVELS = (0.05, 0.5, 0.9)
NETWORK_LEVELS = [0.01, *(round(0.05 * k, 2) for k in range(1, 20)), 0.99]
needs_extra = pytest.mark.skipif(
    find_spec("chronos") is None or find_spec("peft") is None,
    reason="CHRONOS-2 WAS NOT TESTED: install the extra: pip install 'restock[pretrained]'",
)
# Importing the network's packages takes six seconds of processor time.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of a network of 26,512 numbers, and a license."""
    os.environ.update(worker.ENVIRONMENT)
    import torch
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos2.model import Chronos2Model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    forecasting = {"context_length": 8192, "input_patch_size": 16, "input_patch_stride": 16, "output_patch_size": 16}
    more = {"max_output_patches": 64, "use_reg_token": True, "use_arcsinh": True, "time_encoding_scale": 8192}
    config = Chronos2CoreConfig(
        **{"d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4, "vocab_size": 2},
        **{"pad_token_id": 0, "reg_token_id": 1, "architectures": ["Chronos2Model"]},
        chronos_pipeline_class="Chronos2Pipeline",
        chronos_config={**forecasting, **more, "quantiles": NETWORK_LEVELS},
    )
    folder = tmp_path_factory.mktemp("weights")
    Chronos2Model(config).eval().save_pretrained(folder)
    (folder / "LICENSE").write_text("Random numbers. Anybody may use them for any purpose. " * 5)
    return folder


@pytest.fixture(scope="module")
def make(weights: Path) -> Callable[..., Chronos2Forecaster]:
    """Forecasters with the network in this process."""

    def made(**settings: object) -> Chronos2Forecaster:
        return Chronos2Forecaster(Chronos2Settings(weights=str(weights), **settings), Chronos2Network)

    return made


def forecast(forecaster: Chronos2Forecaster, panel: Panel) -> Forecast:
    return forecaster.fit(panel, 3).predict(panel, check.LEVELS)


@needs_extra
@pytest.mark.parametrize("frequency", ["D", "W-MON", "MS"])
def test_forecasts_are_those_of_a_forecaster(make: Callable[..., Chronos2Forecaster], frequency: str) -> None:
    panel = awkward_panel(frequency)
    found = forecast(make(), panel)
    check.check_is_a_forecast_of_demand(found, panel)
    check.check_closed_periods_are_zero(found, panel)
    assert {AWKWARD[index] for index in found.failed} == {"one_value", "unknown", "three_values"}
    assert (found.mean[AWKWARD.index("zero")] == 0).all()
    if frequency == "D":
        check.check_repeats_and_leaves_its_input(make, panel)
        check.check_follows_the_order_of_series(make, panel)
        check.check_reads_nothing_behind_the_cutoff(make, panel)


@needs_extra
def test_a_forecast_does_not_depend_on_the_series_beside_it(make: Callable[..., Chronos2Forecaster]) -> None:
    panel = awkward_panel("D")
    whole = forecast(make(), panel)
    for index in (0, 1, 9):
        alone = forecast(make(), panel.take(np.array([index])))
        assert alone.mean.tobytes() == whole.mean[index].tobytes()
        assert alone.quantiles.tobytes() == whole.quantiles[index].tobytes()


@needs_extra
def test_known_covariates_count_and_an_old_history_does_not(make: Callable[..., Chronos2Forecaster]) -> None:
    panel = awkward_panel("D", ("seasonal",))
    promo = panel.known["promo"]
    ahead = promo.values.copy()
    ahead[:, panel.history :] = 1 - ahead[:, panel.history :]
    changed = replace(panel, known={**panel.known, "promo": replace(promo, values=ahead)})
    assert not check.same(forecast(make(), panel), forecast(make(), changed))
    assert check.same(forecast(make(max_covariates=0), panel), forecast(make(max_covariates=0), changed))
    old = replace(panel, demand=np.where(np.arange(panel.history) < 40, 999.0, panel.demand))
    short = partial(make, max_history=40, max_covariates=0)
    assert check.same(forecast(short(), panel), forecast(short(), old))
    assert not check.same(forecast(make(), panel), forecast(make(), old))


@needs_extra
def test_fine_tuning_repeats_learns_before_the_first_fold_and_needs_all_series(
    make: Callable[..., Chronos2Forecaster], weights: Path
) -> None:
    panel = awkward_panel("D")
    first = panel.until(panel.history - panel.horizon)
    tuned = make(fine_tune_steps=3).fit(first, 3)
    assert tuned.notes == ("chronos2: fine-tuned by 3 steps on 7 series before 2024-03-11",)
    assert tuned.refit(panel, 3) is tuned
    later = tuned.predict(panel, check.LEVELS)
    assert later.notes == tuned.notes
    assert check.same(later, make(fine_tune_steps=3).fit(first, 3).predict(panel, check.LEVELS))
    assert not check.same(later, forecast(make(), panel))
    short = panel.until(20)
    assert "not fine-tuned: no history has two horizons" in make(fine_tune_steps=3).fit(short, 3).notes[0]

    sources = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
    for steps, parts in ((0, [3, 2, 2]), (3, [7])):
        models = {"chronos2": {"weights": str(weights), "fine_tune_steps": steps}}
        given = {"name": "x", "horizon": 7, "sources": sources, "models": models, "compute": {"shard_series": 3}}
        settings = Settings.model_validate(given)
        found = [
            spec
            for spec in shards(settings, panel, [Fold(panel.periods[first.history], first.history)])
            if spec.model == "chronos2"
        ]
        assert [len(spec.series or ()) for spec in found] == parts
        made = create("chronos2", settings.models.chronos2, context_of(settings))
        assert isinstance(made, Chronos2Forecaster)


@needs_extra
def test_weights_of_another_configuration_are_refused(weights: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    (tmp_path / "config.json").write_bytes((weights / "config.json").read_bytes())
    tensors = load_file(weights / "model.safetensors")
    del tensors[max(tensors)]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="1 weights of the configuration are not in the file, for example"):
        Chronos2Network(str(tmp_path))


WORKER = """
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[1]))
while True:
    name, arguments = connection.recv()
    if arguments == ("good",):
        connection.send((True, (0.5,)))
    elif arguments == ("bad",):
        connection.send((False, "ValueError: no header"))
    elif name == "forecast" and arguments[1] == 9:
        sys.exit(3)
    else:
        connection.send((False, "RuntimeError: no"))
"""


def test_problems_of_the_process_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(worker, "MODULE", "fake_worker")
    with pytest.raises(ConfigError, match=r"weights in bad cannot be loaded \(ValueError: no header\)"):
        NetworkProcess("bad")
    network = NetworkProcess("good")
    assert network.levels == (0.5,)
    series = NetworkInput(np.ones(3, dtype=np.float32), np.zeros((0, 4), dtype=np.float32))
    with pytest.raises(RuntimeError, match="RuntimeError: no"):
        network.forecast(series, 1, 512)
    with pytest.raises(TrainingError, match=r"fine-tuning failed \(RuntimeError: no\)"):
        network.tune([series], 1, 1, 512, 0)
    network.check()
    with pytest.raises(TrainingError, match=r"it ended with code 3\. Start the run again"):
        network.forecast(series, 9, 512)
    with pytest.raises(TrainingError, match="it ended with code 3"):
        network.check()


@needs_extra
@pytest.mark.flow
def test_a_weekly_run_with_pretrained_weights(
    fork_with_networks: Start, prefect_server: dict[str, str], weights: Path, tmp_path: Path
) -> None:
    settings = mini_company.write(tmp_path / "company")
    models = f"models={{chronos2: {{weights: {weights}}}, ensemble: {{members: [chronos2, moving_average]}}}}"
    day = ("--settings", settings, "--as-of", mini_company.AS_OF, "--set", "backtest.windows=1", "--set", models)
    tuned = ("--set", "expert.models.chronos2.fine_tune_steps=2")
    environment = {**prefect_server, forks.VARIABLE: "1"}
    code, _, err = fork_with_networks("flows", "weekly", *day, *tuned, environment=environment).wait()
    assert code == 0, err
    run = tmp_path / "company/lake/runs" / mini_company.AS_OF
    forecasts = pd.read_parquet(run / "forecast.parquet")
    horizon = mini_company.SETTINGS["horizon"]
    assert forecasts[c.MODEL].value_counts()[["chronos2", "ensemble"]].tolist() == [12 * horizon] * 2
    assert "chronos2" in set(pd.read_parquet(run / "backtest.parquet")[c.MODEL])
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    expected = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weights.iterdir()}
    assert manifest["model_files"] == {"chronos2": expected}
    assert manifest["packages"]["chronos-forecasting"]
    assert "fine-tuned by 2 steps on 12 series before 2024-06-17" in (run / "report.html").read_text("utf-8")
