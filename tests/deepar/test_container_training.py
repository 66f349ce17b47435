"""The local container really trains: a planted pattern, the same bits again, stops, and models without pickle."""

import io
import json
import math
import os
import signal
import tarfile
import time
import zipfile
from datetime import date, timedelta

import numpy as np
import pytest

from tasks.deepar.container import commands
from tasks.deepar.container.answers import TestMetrics
from tasks.deepar.container.failures import ClientError, non_finite_in_short
from tests.breadth import sample

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")]

HORIZON, PERIODS, SERIES = 14, 182, 8
WEEKDAY_SHAPE = np.array([0.5, 0.6, 0.8, 1.0, 1.4, 2.0, 0.3])
LEVELS = ("0.1", "0.5", "0.9")
INFERENCE = "DEEPAR_INFERENCE_CONFIG"


def planted(periods, seed=4):
    """Counts with a weekly shape, doubled by a promotion that is known in advance; shapes (series, periods)."""
    rng = np.random.default_rng(seed)
    promotion = (rng.random((SERIES, periods)) < 0.2).astype(float)
    level = np.linspace(20, 160, SERIES)[:, None]
    expected = level * WEEKDAY_SHAPE[np.arange(periods) % 7] * (1 + promotion)
    return rng.poisson(expected).astype(float), promotion


def record(target, promotion, series, start="2023-01-02"):
    values = [None if np.isnan(value) else value for value in target.tolist()]
    return {"start": f"{start} 00:00:00", "target": values, "cat": [series], "dynamic_feat": [promotion.tolist()]}


def write_lines(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(one)}\n" for one in records))


def write_job(root, records, tested=None, local=None, **hyperparameters):
    asked = {
        "time_freq": "D",
        "prediction_length": HORIZON,
        "context_length": 14,
        "epochs": 25,
        "num_cells": 24,
        "mini_batch_size": 32,
        "learning_rate": 0.01,
        "embedding_dimension": 3,
        "num_eval_samples": 50,
        "test_quantiles": "[0.1, 0.5, 0.9]",
        "likelihood": "negative-binomial",
    }
    texts = {name: str(value) for name, value in (asked | hyperparameters).items()}
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(texts))
    options = {"seed": 7, "batches_per_epoch": 10, "device": "cpu"} | (local or {})
    (root / "input" / "config" / "local.json").write_text(json.dumps(options))
    write_lines(root / "input" / "data" / "train" / "train.json", records)
    if tested is not None:
        write_lines(root / "input" / "data" / "test" / "test.json", tested)


@pytest.fixture
def container(fork_with_networks):
    """A command of the container in another process, a fork of one that has imported torch."""
    return lambda *arguments: fork_with_networks("tasks.deepar.container", *arguments, environment=dict(os.environ))


def ended_well(process):
    code, out, err = process.wait()
    assert code == 0, out + err


def train_here(root, code=0):
    """Train in this process, where torch is imported once for all tests; SIGTERM means what it meant afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert commands.train(root) == code, (root / "output" / "failure").read_text()
    finally:
        signal.signal(signal.SIGTERM, before)


def asked(root, records, model=None):
    write_lines(root / "asked.json", records)
    assert commands.transform(model or root / "model", root / "asked.json", root / "answers.json", 11) == 0
    return [json.loads(line) for line in (root / "answers.json").read_text().splitlines()]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A model of the planted pattern; a tenth of its targets is unknown. Its test channel is the last horizon."""
    root = tmp_path_factory.mktemp("planted")
    actual, promotion = planted(PERIODS)
    seen = actual.copy()
    seen[np.random.default_rng(1).random(seen.shape) < 0.1] = np.nan
    known = PERIODS - HORIZON
    write_job(
        root,
        [record(seen[one, :known], promotion[one, :known], one) for one in range(SERIES)],
        [record(seen[one], promotion[one], one) for one in range(SERIES)],
    )
    train_here(root)
    return root


@pytest.fixture
def options(monkeypatch):
    configuration = {"num_samples": 60, "output_types": ["mean", "quantiles", "samples"], "quantiles": LEVELS}
    monkeypatch.setenv(INFERENCE, json.dumps(configuration))


def requests_of_the_test():
    actual, promotion = planted(PERIODS)
    known = PERIODS - HORIZON
    return actual[:, known:], [record(actual[one, :known], promotion[one], one) for one in range(SERIES)]


def test_weekdays_and_promotions_are_learnt(job, options):
    actual, requests = requests_of_the_test()
    medians = np.array([answer["quantiles"]["0.5"] for answer in asked(job, requests)])
    flat = np.array([np.mean(one["target"]) for one in requests])[:, None]
    # A perfect forecast of the planted counts would still miss about 7 %, a flat one about 50 %.
    assert np.abs(medians - actual).sum() < 0.4 * np.abs(flat - actual).sum()


def test_a_promotion_in_the_horizon_raises_the_forecast(job, options):
    _, requests = requests_of_the_test()
    without = [one | {"dynamic_feat": [one["dynamic_feat"][0][:-HORIZON] + [0.0] * HORIZON]} for one in requests]
    everywhere = [one | {"dynamic_feat": [one["dynamic_feat"][0][:-HORIZON] + [1.0] * HORIZON]} for one in requests]
    plain, raised = (np.sum([answer["mean"] for answer in asked(job, one)]) for one in (without, everywhere))
    assert 1.5 < raised / plain < 2.5


def test_the_training_loss_falls(job):
    losses = [json.loads(line)["train_loss"] for line in (job / "output" / "progress.jsonl").read_text().splitlines()]
    assert len(losses) == 25
    assert max(losses[-5:]) < min(losses[:5])
    assert json.loads((job / "output" / "metrics.json").read_text())["train:final_loss"] == min(losses)


def test_quantiles_rise_and_follow_from_the_samples(job, options):
    _, requests = requests_of_the_test()
    for answer in asked(job, requests):
        low, middle, high = (np.array(answer["quantiles"][level]) for level in LEVELS)
        assert (low <= middle).all()
        assert (middle <= high).all()
        assert (low < high).any()
        samples = np.array(answer["samples"])
        assert samples.shape == (60, HORIZON)
        assert (samples >= 0).all()
        assert (samples == np.floor(samples)).all()
        assert answer["mean"] == pytest.approx(samples.mean(axis=0))
        assert answer["quantiles"]["0.9"] == pytest.approx(np.quantile(samples, 0.9, axis=0))


def test_the_test_metrics_are_those_of_the_models_own_samples(job, monkeypatch):
    told = json.loads((job / "output" / "metrics.json").read_text())
    configuration = {"num_samples": 50, "output_types": ["samples"]}
    monkeypatch.setenv(INFERENCE, json.dumps(configuration))
    tested = [json.loads(line) for line in (job / "input" / "data" / "test" / "test.json").read_text().splitlines()]
    write_lines(job / "own.json", [one | {"target": one["target"][:-HORIZON]} for one in tested])
    # The seed of the training, as the container's own measurement has it.
    assert commands.transform(job / "model", job / "own.json", job / "own-answers.json", None) == 0
    answers = [json.loads(line) for line in (job / "own-answers.json").read_text().splitlines()]
    squares, count = 0.0, 0
    pinball, absolute = dict.fromkeys((0.1, 0.5, 0.9), 0.0), 0.0
    for one, answer in zip(tested, answers, strict=True):
        for step, value in enumerate(one["target"][-HORIZON:]):
            if value is None:
                continue
            paths = np.array(answer["samples"])[:, step]
            squares, count, absolute = squares + (value - paths.mean()) ** 2, count + 1, absolute + abs(value)
            for level in pinball:
                missed = value - np.quantile(paths, level)
                pinball[level] += level * missed if missed > 0 else (level - 1) * missed
    assert 0 < count < SERIES * HORIZON
    assert told["test:RMSE"] == pytest.approx((squares / count) ** 0.5, rel=1e-4)
    expected = np.mean([2 * found / absolute for found in pinball.values()])
    assert told["test:mean_wQuantileLoss"] == pytest.approx(expected, rel=1e-4)


def test_another_process_gives_the_same_bits(container, tmp_path, options):
    actual, promotion = planted(60)
    records = [record(actual[one], promotion[one], one) for one in range(SERIES)]
    hyperparameters = {"epochs": 2, "likelihood": "student-T"}
    for name in ("here", "there"):
        write_job(tmp_path / name, records, None, {"batches_per_epoch": 2}, **hyperparameters)
    train_here(tmp_path / "here")
    ended_well(container("train", "--root", tmp_path / "there"))
    for name in ("here", "there"):
        assert commands.pack(tmp_path / name, tmp_path / name / "model.tar.gz") == 0
    packed = [(tmp_path / name / "model.tar.gz").read_bytes() for name in ("here", "there")]
    assert packed[0] == packed[1]
    requests = [record(actual[one], np.zeros(60 + HORIZON), one) for one in range(SERIES)]
    write_lines(tmp_path / "asked.json", requests)
    files = ("--input", tmp_path / "asked.json", "--output", tmp_path / "there-answers.json")
    model = tmp_path / "there" / "model.tar.gz"
    ended_well(container("transform", "--model", model, "--seed", "11", *files))
    there = [json.loads(line) for line in (tmp_path / "there-answers.json").read_text().splitlines()]
    assert there == asked(tmp_path / "here", requests, tmp_path / "here" / "model.tar.gz")


def test_a_model_archive_holds_no_pickle(job, tmp_path):
    assert commands.pack(job, tmp_path / "model.tar.gz") == 0
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        content = {entry.name: tar.extractfile(entry).read() for entry in tar}
    assert sorted(content) == ["model.json", "weights.npz"]
    json.loads(content["model.json"])
    with zipfile.ZipFile(io.BytesIO(content["weights.npz"])) as arrays:
        assert arrays.namelist()
        for name in arrays.namelist():
            assert name.endswith(".npy")
            # An array of objects would be read by unpickling; allow_pickle=False refuses it.
            assert np.load(io.BytesIO(arrays.read(name)), allow_pickle=False).dtype.kind in "fi"


@pytest.mark.parametrize(
    ("time_freq", "start", "likelihood"),
    sample(
        [
            (time_freq, start, likelihood)
            for time_freq, start in (("W", "2023-01-02"), ("W", "2023-01-04"), ("M", "2020-01-01"))
            for likelihood in ("student-T", "negative-binomial", "gaussian")
        ],
        [("W", "2023-01-04", "negative-binomial"), ("M", "2020-01-01", "gaussian")],
    ),
)
def test_every_frequency_and_likelihood_trains_and_answers(tmp_path, options, time_freq, start, likelihood):
    actual, promotion = planted(60)
    # A series that is unknown throughout and one without a sale: neither may spoil the others.
    actual[0], actual[1] = np.nan, 0.0
    records = [record(actual[one], promotion[one], one, start) for one in range(SERIES)]
    write_job(tmp_path, records, None, {"batches_per_epoch": 2}, epochs=2, time_freq=time_freq, likelihood=likelihood)
    train_here(tmp_path)
    requests = [record(actual[one, : 60 - HORIZON], promotion[one], one, start) for one in range(SERIES)]
    answers = asked(tmp_path, requests)
    assert [len(answer["mean"]) for answer in answers] == [HORIZON] * SERIES
    assert np.isfinite([answer["mean"] for answer in answers]).all()


@pytest.mark.parametrize("weekday", range(7))
def test_a_week_begins_on_the_day_of_its_label(weekday):
    from tasks.deepar.container.network import period

    start = date(2024, 1, 1) + timedelta(days=weekday)
    week = period(np.datetime64(start).astype("datetime64[s]").item(), "W")
    assert week.start_time.date() == start
    assert (week + 1).start_time.date() == start + timedelta(days=7)


def test_a_stop_in_the_middle_ends_well_and_keeps_the_best_model_so_far(container, tmp_path):
    actual, promotion = planted(60)
    records = [record(actual[one], promotion[one], one) for one in range(SERIES)]
    write_job(tmp_path, records, None, {"batches_per_epoch": 2}, epochs=100_000)
    process = container("train", "--root", tmp_path)
    progress = tmp_path / "output" / "progress.jsonl"
    end = time.monotonic() + 120
    while not (progress.exists() and progress.read_text().count("\n") >= 2):
        assert process.poll() is None, process.output()
        assert time.monotonic() < end, "it never trained"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    ended_well(process)
    output = {file.name for file in (tmp_path / "output").iterdir()}
    assert output == {"progress.jsonl", "stopped"}
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"model.json", "weights.npz"}


def test_early_stopping_ends_before_the_last_epoch(tmp_path):
    actual, promotion = planted(60)
    records = [record(actual[one], promotion[one], one) for one in range(SERIES)]
    # So large a step learns nothing for long.
    write_job(
        tmp_path, records, None, {"batches_per_epoch": 2}, epochs=60, early_stopping_patience=2, learning_rate=0.5
    )
    train_here(tmp_path)
    lines = (tmp_path / "output" / "progress.jsonl").read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in lines]
    assert len(losses) < 60
    assert len(losses) - 1 - int(np.argmin(losses)) == 2


def test_a_loss_that_is_no_number_ends_the_job_with_what_may_help(tmp_path):
    # The mean of such numbers is beyond 32 bits.
    write_job(tmp_path, [{"start": "2023-01-02 00:00:00", "target": [3e38] * 100}] * 4, likelihood="student-T")
    train_here(tmp_path, code=1)
    reason = (tmp_path / "output" / "failure").read_text()
    assert reason == "ClientError: the training loss is not a number; a smaller learning_rate may help"


def test_a_refusal_of_other_values_than_parameters_is_left_as_it_is():
    import torch

    with pytest.raises(ClientError, match="told"), non_finite_in_short("told"):
        torch.distributions.Normal(torch.tensor([math.nan]), 1.0)
    with pytest.raises(ValueError, match="other"), non_finite_in_short("told"):
        raise ValueError("other")


def test_metrics_of_unknown_periods_alone_are_left_out():
    metrics = TestMetrics((0.5,))
    metrics.add(np.ones((3, 2), dtype=np.float32), np.array([np.nan, np.nan], dtype=np.float32))
    assert metrics.values() == {}
