"""Settings of DeepAR: defaults, and values that are refused before a job starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.settings import Settings
from schemas.settings.slices import DeepArTraining

SOURCES = {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")}
ROLE = "arn:aws:iam::123456789012:role/restock-sagemaker"


def _deepar(storage: str = "./lake", **given: Any) -> Any:
    named = {"name": "shoes", "sources": SOURCES, "storage": storage, "models": {"deepar": given}}
    return Settings.model_validate(named).models.deepar


def test_default_configurations_and_tuning_ranges() -> None:
    deepar = _deepar()
    assert sorted(configuration.label for configuration in deepar.configurations) == [
        "cleaned-negative-binomial",
        "cleaned-student-t",
        "original-negative-binomial",
        "original-student-t",
    ]
    assert (deepar.tuning.configurations, deepar.tuning.parallel) == (20, 2)
    ranges = {name: (given.min, given.max) for name, given in deepar.tuning.ranges.items()}
    assert ranges == {
        "learning_rate": (0.001, 0.1),
        "epochs": (50, 200),
        "num_layers": (2, 4),
        "dropout_rate": (0.1, 0.3),
    }


def test_sagemaker_with_a_bucket_and_a_role_is_accepted() -> None:
    deepar = _deepar("s3://bucket/lake", backend="sagemaker", sagemaker={"role": ROLE})
    assert deepar.sagemaker.inference == "transform"


@pytest.mark.parametrize(
    ("storage", "given", "message"),
    [
        ("./lake", {"backend": "sagemaker", "sagemaker": {"role": ROLE}}, "set storage to s3://bucket/prefix"),
        ("s3://b/p", {"backend": "sagemaker"}, "models.deepar.sagemaker.role is absent"),
        ("./lake", {"backend": "cloud"}, "Input should be 'local' or 'sagemaker'"),
        ("./lake", {"hyperparameters": {"epoch": 3}}, "Extra inputs are not permitted"),
        ("./lake", {"configurations": [{}, {"data": "cleaned"}]}, "contains cleaned-student-t twice"),
        ("./lake", {"tuning": {"ranges": {"likelihood": {"min": 1, "max": 2}}}}, "unknown hyperparameter 'likelihood'"),
        ("./lake", {"tuning": {"ranges": {"epochs": {"min": 1.5, "max": 2}}}}, "epochs must be an integer"),
        ("./lake", {"tuning": {"ranges": {"dropout_rate": {"min": 0.3, "max": 0.1}}}}, "min 0.3 must be below max 0.1"),
        ("./lake", {"tuning": {"ranges": {}}}, "must not be empty"),
        (
            "./lake",
            {"tuning": {"ranges": {"learning_rate": {"min": 0, "max": 0.1}}}},
            "range of learning_rate ends at 0; expected a value greater than",
        ),
        (
            "./lake",
            {"tuning": {"ranges": {"learning_rate": {"min": 0.1, "max": 2}}}},
            "ends at 2; expected a value less than or equal to 1",
        ),
        ("./lake", {"tuning": {"ranges": {"dropout_rate": {"min": 0, "max": 1}}}}, "expected a value less than 1"),
        ("./lake", {"tuning": {"ranges": {"num_layers": {"min": 1, "max": 9}}}}, "range of num_layers ends at 9"),
        ("./lake", {"tuning": {"ranges": {"epochs": {"min": 0, "max": 9}}}}, "range of epochs ends at 0"),
        ("./lake", {"tuning": {"ranges": {"num_cells": {"min": 10, "max": 1001}}}}, "range of num_cells ends at 1001"),
        ("./lake", {"hyperparameters": {"num_cells": 1001}}, "less than or equal to 1000"),
        ("./lake", {"hyperparameters": {"mini_batch_size": 10_001}}, "less than or equal to 10000"),
        ("./lake", {"hyperparameters": {"epochs": 10_001}}, "less than or equal to 10000"),
        ("./lake", {"hyperparameters": {"context_length": 2001}}, "less than or equal to 2000"),
        ("./lake", {"hyperparameters": {"embedding_dimension": 1001}}, "less than or equal to 1000"),
        ("./lake", {"num_samples": 10_001}, "less than or equal to 10000"),
        ("./lake", {"categorical": ["store_type", "cluster", "store_type"]}, "contains store_type twice"),
        ("./lake", {"dynamic": ["promo", "promo"]}, "contains promo twice"),
        ("./lake", {"sagemaker": {"tags": {"AWS:team": "a"}}}, "AWS:team: tag keys that begin with aws:"),
        ("./lake", {"sagemaker": {"max_runtime_seconds": 432_001}}, "less than or equal to 432000"),
        ("./lake", {"sagemaker": {"spot": "require"}}, "max_runtime_seconds alone is 3600; lower it"),
        ("./lake", {"sagemaker": {"spot": True, "max_wait_seconds": 7_200}}, "set spot to never"),
        ("./lake", {"sagemaker": {"subnets": ["a"]}}, "subnets and security_groups must be set together"),
        ("./lake", {"sagemaker": {"max_wait_seconds": 60}}, "must be larger than max_runtime_seconds (3600)"),
        (
            "./lake",
            {"sagemaker": {"endpoint": {"weights": {"cleaned-student-t": -1}}}},
            "the weight of cleaned-student-t is -1",
        ),
        (
            "./lake",
            {"sagemaker": {"endpoint": {"weights": {"cleaned-student-t": float("inf")}}}},
            "the weight of cleaned-student-t is inf",
        ),
        ("./lake", {"sagemaker": {"endpoint": {"weights": {"cleaned-student-t": 0}}}}, "all weights are 0"),
        (
            "./lake",
            {"sagemaker": {"endpoint": {"weights": {"student": 1}}}},
            "weights contains student; expected labels",
        ),
        ("./lake", {"sagemaker": {"training_instance": {"type": "c5.large"}}}, "String should match pattern"),
    ],
)
def test_what_cannot_work_is_refused(storage: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _deepar(storage, **given)
    assert message in str(refused.value)


def test_a_cache_key_reads_what_decides_the_training_and_nothing_else() -> None:
    read = DeepArTraining.of(_deepar())
    assert DeepArTraining.of(_deepar(tuning={"configurations": 3})) == read
    assert DeepArTraining.of(_deepar(local={"parallel_jobs": 4})) == read
    assert DeepArTraining.of(_deepar(local={"batches_per_epoch": 4})) != read
    assert DeepArTraining.of(_deepar(local={"device": "cpu"})) != read
    assert DeepArTraining.of(_deepar(num_samples=50)) != read
    assert DeepArTraining.of(_deepar(sagemaker={"image_uri": "other"})) == read


def test_a_cache_key_reads_what_names_the_jobs_on_sagemaker() -> None:
    def read(**further: Any) -> Any:
        sagemaker = {"role": ROLE, **further}
        return DeepArTraining.of(_deepar("s3://bucket/lake", backend="sagemaker", sagemaker=sagemaker))

    assert read(volume_gb=50, spot=True) == read()
    assert read(image_uri="123456789012.dkr.ecr.eu-west-1.amazonaws.com/deepar:2") != read()
    assert read(training_instance={"type": "ml.c5.4xlarge"}) != read()


def test_the_ends_of_a_range_may_be_the_hyperparameters_own() -> None:
    ranges = {"learning_rate": {"min": 0.001, "max": 1}, "num_layers": {"min": 1, "max": 8}}
    assert set(_deepar(tuning={"ranges": ranges}).tuning.ranges) == set(ranges)
