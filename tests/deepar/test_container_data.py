"""What the local container takes and refuses: hyperparameters, records, answers, archives. No network is trained."""

import gzip
import io
import json
import math
import tarfile
from datetime import datetime

import numpy as np
import pytest

from tasks.deepar.container.answers import Asked, TestMetrics, answer, parse_configuration
from tasks.deepar.container.archive import pack, unpacked
from tasks.deepar.container.checks import check_inference_series, shape_of
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.hyperparameters import parse_hyperparameters
from tasks.deepar.container.series import parse_record, read_channel

NEEDED = {"time_freq": "W", "prediction_length": "3", "context_length": "6", "epochs": "2"}


def given(**further):
    return parse_hyperparameters(NEEDED | further)


def record(target, **further):
    return {"start": "2024-01-01 00:00:00", "target": target, **further}


def series(target, line=1, **further):
    return parse_record(record(target, **further), f"train.json, line {line}")


def enough(**further):
    """A series that alone fills the least number of observations."""
    return series([1.0] * 300, **further)


# --- hyperparameters


def test_what_is_absent_keeps_sagemakers_default():
    parsed = given()
    assert (parsed.num_cells, parsed.num_layers, parsed.mini_batch_size) == (40, 2, 128)
    assert (parsed.likelihood, parsed.dropout_rate, parsed.learning_rate) == ("student-T", 0.1, 0.001)
    assert (parsed.cardinality, parsed.num_dynamic_feat, parsed.embedding_dimension) == ("auto", "auto", 10)
    assert parsed.early_stopping_patience is None
    assert parsed.test_quantiles == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_values_are_read_from_their_text():
    parsed = given(learning_rate="1e-4", cardinality="[3, 5]", num_dynamic_feat="2", test_quantiles="[0.5, 0.9]")
    assert parsed.learning_rate == 1e-4
    assert parsed.cardinality == (3, 5)
    assert parsed.num_dynamic_feat == 2
    assert parsed.test_quantiles == (0.5, 0.9)


@pytest.mark.parametrize("text", ["ignore", ""])
def test_categories_can_be_left_unused(text):
    assert given(cardinality=text).cardinality == "ignore"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("likelihood", "student-t", "expected one of student-T, gaussian"),
        ("likelihood", "deterministic-L1", "has no such point forecast"),
        ("time_freq", "MS", "expected M, W, D, H or min"),
        ("time_freq", "0D", "expected M, W, D, H or min"),
        ("epochs", "0", "at least 1"),
        ("epochs", "1.5", "whole number"),
        ("epochs", 5, "as text"),
        ("learning_rate", "nan", "above 0"),
        ("dropout_rate", "1", "below 1"),
        ("cardinality", "[0]", "whole numbers of at least 1"),
        ("cardinality", "[true]", "whole numbers of at least 1"),
        ("num_dynamic_feat", "some", "whole number"),
        ("test_quantiles", "[0.5, 1]", "between 0 and 1"),
        ("test_quantiles", "0.5", "an array"),
    ],
)
def test_a_value_that_cannot_serve_is_named_with_what_is_expected(name, value, message):
    with pytest.raises(ClientError, match=f"^ClientError: .*{name}: .*{message}"):
        given(**{name: value})


def test_unknown_and_missing_names_are_told_together():
    with pytest.raises(ClientError) as error:
        parse_hyperparameters({"epochs": "2", "epoch": "3", "time_freq": "D", "seed": "1"})
    for part in (
        "'epoch' was unexpected",
        "'seed' was unexpected",
        "'context_length' is a required",
        "prediction_length",
    ):
        assert part in str(error.value)


# --- records


def test_unknown_values_are_null_or_text():
    parsed = series([1, None, "NaN", 2.5])
    assert np.isnan(parsed.target).tolist() == [False, True, True, False]
    assert parsed.known.tolist() == [1.0, 2.5]
    assert parsed.start == datetime(2024, 1, 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1], "expected a JSON object"),
        ({"target": [1]}, "start missing"),
        (record(5), "target must be an array"),
        (record([1, "2"]), r"target\[1\] must be a number, null"),
        (record([True]), r"target\[0\] must be a number"),
        (record([1, math.inf]), r"target\[1\] is not finite"),
        (record([1]) | {"start": "1 January"}, "start must be text YYYY-MM-DD"),
        (record([1]) | {"start": "2024-01-01T00:00:00+01:00"}, "without time zone"),
        (record([1], cat=[-1]), "cat must be an array of whole numbers from 0"),
        (record([1], cat=["a"]), "cat must be an array of whole numbers from 0"),
        (record([1, 2], dynamic_feat=[1, 2]), "array of arrays"),
        (record([1, 2], dynamic_feat=[[1, 2], [1]]), r"different lengths \(1, 2\)"),
        (record([1, 2], dynamic_feat=[[1, None]]), r"dynamic_feat\[0\]\[1\].*missing values are not supported"),
        (record([1, 2], dynamic_feat=[[1, math.nan]]), r"dynamic_feat\[0\]\[1\].*missing values are not supported"),
    ],
)
def test_a_bad_record_is_told_with_its_line(bad, message):
    with pytest.raises(ClientError, match=f"^ClientError: f.json, line 7: .*{message}"):
        parse_record(bad, "f.json, line 7")


def test_a_channel_is_all_its_data_files_but_hidden_ones(tmp_path):
    line = json.dumps(record([1, 2]))
    (tmp_path / "a.jsonl").write_text(f"{line}\n\n{line}\n")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    for skipped in (".hidden.json", "_SUCCESS", "notes.txt"):
        (tmp_path / skipped).write_text("{")
    found = read_channel(tmp_path)
    assert [one.where for one in found] == ["a.jsonl, line 1", "a.jsonl, line 3", "b.json.gz, line 1"]


def test_an_empty_channel_and_a_broken_file_are_told(tmp_path):
    with pytest.raises(ClientError, match="No data files in the"):
        read_channel(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ClientError, match=r"a\.json, line 1: not valid JSON"):
        read_channel(tmp_path)
    (tmp_path / "a.json").write_text("\n")
    with pytest.raises(ClientError, match=r"holds no record: a\.json"):
        read_channel(tmp_path)
    (tmp_path / "a.json").unlink()
    whole = gzip.compress(f"{json.dumps(record([1, 2]))}\n".encode())
    for broken in (b"text", whole[:-9], whole[:12] + b"\xff\xff" + whole[14:]):
        (tmp_path / "b.json.gz").write_bytes(broken)
        with pytest.raises(ClientError, match=r"b\.json\.gz cannot be read"):
            read_channel(tmp_path)


# --- records against hyperparameters


def test_the_shape_follows_from_the_training_data():
    shape = shape_of(
        [enough(cat=[0, 4], dynamic_feat=[[0.0] * 300]), series([2, -1], cat=[2, 1], dynamic_feat=[[1, 2]])], given()
    )
    assert shape.cardinality == (3, 5)
    assert shape.dynamic_features == 1
    assert shape.longest == 300
    assert not shape.non_negative
    assert shape_of([enough()], given()).non_negative


def test_ignored_features_are_not_even_checked():
    shape = shape_of([enough(cat=[7]), series([1], cat=[1, 2])], given(cardinality="ignore"))
    assert shape.cardinality == ()


def test_fewer_than_300_known_values_are_refused():
    with pytest.raises(ClientError, match=r"299 observations.*at least 300"):
        shape_of([series([1.0] * 299 + [None] * 20)], given())
    shape_of([series([1.0] * 299 + [None] * 20), series([1.0])], given())


def test_one_series_must_hold_a_whole_horizon():
    with pytest.raises(ClientError, match="prediction_length 3; the longest has 2"):
        shape_of([series([1, 2], line=number) for number in range(150)], given())


@pytest.mark.parametrize(
    ("likelihood", "target", "message"),
    [
        ("negative-binomial", [1, -2], r"line 2: target\[1\] is -2; .*at least 0"),
        ("negative-binomial", [None, 1.5], r"line 2: target\[1\] is 1.5; .*whole numbers"),
        ("beta", [0.5, 1.0], r"line 2: target\[1\] is 1; .*between 0 and 1"),
        ("beta", [0.0], r"line 2: target\[0\] is 0; .*between 0 and 1"),
    ],
)
def test_a_target_outside_the_likelihood_is_told_with_its_line(likelihood, target, message):
    inside = series([0.5 if likelihood == "beta" else 1.0] * 300)
    with pytest.raises(ClientError, match=message):
        shape_of([inside, series(target, line=2)], given(likelihood=likelihood))


@pytest.mark.parametrize("likelihood", ["student-T", "gaussian"])
def test_real_likelihoods_take_returns(likelihood):
    assert not shape_of([enough(), series([-1.5])], given(likelihood=likelihood)).non_negative


@pytest.mark.parametrize(
    ("features", "further", "message"),
    [
        ({"cat": [3]}, {"cardinality": "[3]"}, r"cat\[0\] is 3, expected 0 to 2"),
        ({"cat": [0]}, {"cardinality": "[3, 2]"}, "cat has 1 values, expected 2"),
        ({"dynamic_feat": [[1.0] * 299]}, {}, "dynamic_feat has 299 values per row, expected 300"),
        ({"dynamic_feat": [[1.0] * 300]}, {"num_dynamic_feat": "2"}, "dynamic_feat has 1 rows, expected 2"),
    ],
)
def test_features_must_fit(features, further, message):
    with pytest.raises(ClientError, match=rf"train\.json, line 1: {message}"):
        shape_of([enough(**features)], given(**further))


def test_records_with_different_numbers_of_categories_are_refused():
    with pytest.raises(ClientError, match=r"line 2: cat has 2 values, train\.json, line 1 has 1"):
        shape_of([enough(cat=[1]), series([1], line=2, cat=[1, 2])], given())


def test_a_forecast_needs_features_over_the_horizon():
    hyperparameters = given()
    shape = shape_of([enough(dynamic_feat=[[0.0] * 300])], hyperparameters)
    check_inference_series(series([1, 2], dynamic_feat=[[0.0] * 5]), shape, hyperparameters)
    with pytest.raises(ClientError, match="2 values per row, expected 5: the target's 2 and 3 to forecast"):
        check_inference_series(series([1, 2], dynamic_feat=[[0.0] * 2]), shape, hyperparameters)


def test_a_category_that_training_did_not_hold_is_refused():
    hyperparameters = given()
    shape = shape_of([enough(cat=[1])], hyperparameters)
    with pytest.raises(ClientError, match=r"cat\[0\] is 2, expected 0 to 1"):
        check_inference_series(series([1, 2], cat=[2]), shape, hyperparameters)


# --- answers


def test_an_answer_holds_what_is_asked():
    paths = np.array([[0, 10], [1, 10], [2, 40]], dtype=np.float32)
    found = answer(paths, Asked(3, ("mean", "quantiles", "samples"), ("0.5", "0.75")))
    assert found["mean"] == [1.0, 20.0]
    assert found["quantiles"] == {"0.5": [1.0, 10.0], "0.75": [1.5, 25.0]}
    assert found["samples"] == [[0.0, 10.0], [1.0, 10.0], [2.0, 40.0]]
    assert list(answer(paths, Asked(3, ("mean",), ("0.5",)))) == ["mean"]


def test_options_that_are_absent_keep_sagemakers_default():
    assert parse_configuration({}) == Asked()
    assert parse_configuration('{"num_samples": 7, "quantiles": [0.5]}') == Asked(7, ("mean", "quantiles"), ("0.5",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{", "is not valid JSON"),
        ([], "must be a JSON object"),
        ({"samples": 3}, "does not know samples"),
        ({"num_samples": 0}, "num_samples must be"),
        ({"num_samples": True}, "num_samples must be"),
        ({"output_types": ["median"]}, "output_types must be some of"),
        ({"output_types": []}, "output_types must be some of"),
        ({"quantiles": ["0.5", "1.0"]}, "not '1.0'"),
        ({"quantiles": ["high"]}, "not 'high'"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(ClientError, match=message):
        parse_configuration(options)


def test_metrics_are_the_ones_worked_out_by_hand():
    metrics = TestMetrics([0.5, 0.9])
    # One path: mean and every quantile are 4 and 8. Misses of 2 and -2.
    metrics.add(np.array([[4.0, 8.0]], dtype=np.float32), np.array([6.0, 6.0], dtype=np.float32))
    # An unknown value counts for nothing.
    metrics.add(np.array([[1.0, 5.0]], dtype=np.float32), np.array([np.nan, 8.0], dtype=np.float32))
    values = metrics.values()
    assert values["test:RMSE"] == pytest.approx(math.sqrt((4 + 4 + 9) / 3))
    # 0.5: pinball 1 + 1 + 1.5, 0.9: 1.8 + 0.2 + 2.7; twice that over 20.
    assert values["test:mean_wQuantileLoss"] == pytest.approx((2 * 3.5 / 20 + 2 * 4.7 / 20) / 2)


def test_metrics_without_a_base_are_left_out():
    metrics = TestMetrics([0.5])
    assert metrics.values() == {}
    metrics.add(np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.float32))
    assert metrics.values() == {"test:RMSE": 0.0}


# --- archives


def test_the_same_files_give_the_same_archive(tmp_path):
    archives = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("b.json", "a.npz") if name == "one" else ("a.npz", "b.json"):
            (folder / file).write_text(file)
        pack(folder, tmp_path / f"{name}.tar.gz")
        archives.append((tmp_path / f"{name}.tar.gz").read_bytes())
    assert archives[0] == archives[1]
    with unpacked(tmp_path / "one.tar.gz") as folder:
        assert {file.name: file.read_text() for file in folder.iterdir()} == {"a.npz": "a.npz", "b.json": "b.json"}


@pytest.mark.parametrize("name", ["../outside", "/outside", "folder/inside"])
def test_an_archive_cannot_write_beside_its_folder(tmp_path, name):
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(ClientError, match="not a plain file at its root"), unpacked(archive):
        pass


def test_no_archive_without_a_model(tmp_path):
    with pytest.raises(ClientError, match="no model to pack"):
        pack(tmp_path / "absent", tmp_path / "model.tar.gz")


def test_a_file_that_is_no_archive_is_told(tmp_path):
    (tmp_path / "model.tar.gz").write_bytes(b"text")
    with pytest.raises(ClientError, match="not a readable model archive"), unpacked(tmp_path / "model.tar.gz"):
        pass
