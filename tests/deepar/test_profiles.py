"""Hyperparameters where the settings leave them open."""

import json

import pytest

from schemas.frequency import Frequency
from schemas.settings import DeepArConfiguration, DeepArHyperparameters, DeepArSettings
from tasks.deepar.profiles import hyperparameters

STUDENT_T = DeepArConfiguration(data="cleaned", likelihood="student-T")
DEEPAR_STUDY = {
    "time_freq": "M",
    "prediction_length": "6",
    "context_length": "18",
    "epochs": "400",
    "learning_rate": "0.001",
    "mini_batch_size": "449",
    "num_layers": "2",
    "num_cells": "56",
    "likelihood": "student-T",
    "early_stopping_patience": "40",
}


def test_months_on_sagemaker_are_trained_as_in_the_deepar_study():
    chosen = hyperparameters(DeepArSettings(backend="sagemaker"), STUDENT_T, Frequency("MS"), horizon=6, series=27)
    assert {name: chosen[name] for name in DEEPAR_STUDY} == DEEPAR_STUDY


@pytest.mark.parametrize("backend", ["local", "sagemaker"])
@pytest.mark.parametrize(("code", "time_freq"), [("D", "D"), ("W-MON", "W"), ("W-SUN", "W"), ("MS", "M")])
def test_every_value_is_text_and_the_frequency_has_deepars_name(backend, code, time_freq):
    chosen = hyperparameters(DeepArSettings(backend=backend), STUDENT_T, Frequency(code), horizon=4, series=50)
    assert all(isinstance(value, str) and value for value in chosen.values())
    assert chosen["time_freq"] == time_freq
    assert (chosen["cardinality"], chosen["num_dynamic_feat"]) == ("auto", "auto")


def test_what_is_set_wins_over_the_profile():
    settings = DeepArSettings(hyperparameters=DeepArHyperparameters(epochs=3, learning_rate=0.00005, dropout_rate=0.0))
    chosen = hyperparameters(settings, STUDENT_T, Frequency("D"), horizon=28, series=300)
    assert chosen["epochs"] == "3"
    assert float(chosen["learning_rate"]) == 0.00005
    assert float(chosen["dropout_rate"]) == 0.0


def test_the_likelihood_is_the_configurations():
    configuration = DeepArConfiguration(data="original", likelihood="negative-binomial")
    chosen = hyperparameters(DeepArSettings(), configuration, Frequency("MS"), horizon=6, series=27)
    assert chosen["likelihood"] == "negative-binomial"


def test_the_test_metrics_average_over_the_nine_tenths():
    chosen = hyperparameters(DeepArSettings(), STUDENT_T, Frequency("W-MON"), 8, 100)
    assert json.loads(chosen["test_quantiles"]) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.mark.parametrize(("horizon", "context"), [(7, 28), (40, 40), (200, 56)])
def test_the_context_follows_a_long_horizon_up_to_a_bound(horizon, context):
    chosen = hyperparameters(DeepArSettings(), STUDENT_T, Frequency("D"), horizon=horizon, series=100)
    assert chosen["context_length"] == str(context)


def test_batches_grow_with_the_series_here():
    few, many = (
        int(hyperparameters(DeepArSettings(), STUDENT_T, Frequency("W-MON"), 8, n)["mini_batch_size"])
        for n in (27, 599)
    )
    assert few < many


def test_a_training_here_has_fewer_epochs_than_one_on_sagemaker():
    for code in ("D", "W-MON", "MS"):
        local, remote = (
            int(hyperparameters(DeepArSettings(backend=backend), STUDENT_T, Frequency(code), 4, 300)["epochs"])
            for backend in ("local", "sagemaker")
        )
        assert local < remote
