"""DeepAR's data: one JSON line per series, as SageMaker and the local container read it."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import orjson
import pandas as pd

from schemas import columns as c
from schemas.deepar import DeepArChannel
from schemas.errors import StorageError
from schemas.panel import BoolArray, FloatArray, IndexArray, Panel, SmallFloatArray
from schemas.settings import DeepArConfiguration, Likelihood
from schemas.settings.slices import DeepArTraining
from tasks.deepar.encoding import Encoding
from tasks.storage.lake import Lake

ROOT = "deepar"
OUTPUT = "output"
PERIOD_WORDS = {"D": "daily", "W": "weekly", "MS": "monthly"}
TIME_FREQ: dict[str, Literal["M", "W", "D"]] = {"D": "D", "W": "W", "MS": "M"}
# Minimum number of observations over all training series that DeepAR accepts (as in SageMaker's container).
FEWEST_OBSERVATIONS = 300
_GZIP_LEVEL = 4
_DIGEST_DIGITS = 12


@dataclass(frozen=True)
class Target:
    """The training data of a configuration.

    Attributes:
        values: shape (n, T); units, NaN = unknown.
        first: shape (n,); each series' first known period; T if it has none.
    """

    values: FloatArray
    first: IndexArray

    @classmethod
    def of(cls, panel: Panel, configuration: DeepArConfiguration) -> Target:
        """Demand as cleaned, or units as sold; whole numbers if the likelihood counts.

        Units are rounded only for a likelihood that needs whole units.
        """
        sold = panel.demand if panel.sold is None else panel.sold
        values = panel.demand if configuration.data == "cleaned" else sold
        if _counts(configuration.likelihood):
            values = np.rint(values)
        known = np.isfinite(values)
        first = np.where(known.any(axis=1), known.argmax(axis=1), values.shape[1])
        return cls(values, first.astype(np.int64))

    @property
    def observations(self) -> IndexArray:
        """Known values per series, shape (n,)."""
        return np.isfinite(self.values).sum(axis=1)


def _counts(likelihood: Likelihood) -> bool:
    return likelihood == "negative-binomial"


def served_series(panel: Panel, configuration: DeepArConfiguration, encoding: Encoding | None = None) -> BoolArray:
    """Find the series that DeepAR can forecast: those with any known value, and with categories that it knows."""
    served: BoolArray = Target.of(panel, configuration).observations > 0
    return served if encoding is None else served & encoding.known(panel.series)


def training_lines(panel: Panel, target: Target, encoding: Encoding, order: IndexArray) -> Iterator[bytes]:
    """Lines of a train or test channel: from each series' first known period to the last one of the history."""
    codes = encoding.codes(panel.series)
    for index in order:
        yield _line(panel, target, encoding, codes, int(index), panel.history)


def inference_lines(panel: Panel, target: Target, encoding: Encoding, order: IndexArray) -> Iterator[bytes]:
    """Lines of requests: the whole history, and dynamic features that reach over the horizon."""
    codes = encoding.codes(panel.series)
    for index in order:
        yield _line(panel, target, encoding, codes, int(index), panel.history + panel.horizon)


def _line(panel: Panel, target: Target, encoding: Encoding, codes: IndexArray, index: int, end: int) -> bytes:
    first = int(target.first[index])
    record: dict[str, object] = {
        "start": panel.periods[first].strftime("%Y-%m-%d %H:%M:%S"),
        "target": np.ascontiguousarray(target.values[index, first:]),
    }
    if codes.shape[1]:
        record["cat"] = np.ascontiguousarray(codes[index])
    if encoding.dynamic:
        record["dynamic_feat"] = np.ascontiguousarray(encoding.features(panel, index, first, end))
    # NaN becomes null, which DeepAR reads as missing.
    return orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY)


def write_channel(
    lake: Lake,
    known: Panel,
    tested: Panel | None,
    settings: DeepArTraining,
    configuration: DeepArConfiguration,
    encoding: Encoding,
    seed: int,
) -> DeepArChannel:
    """Write one configuration's train, test and inference files.

    Args:
        lake: gets the files; see :class:`schemas.deepar.DeepArChannel` for the layout.
        known: the model is trained on its history and forecasts its horizon.
        tested: the same series with the horizon's actuals in the history, for the container's own test
            metrics; None = no test channel.
        settings: part of the experiment's name.
        configuration: which data and likelihood.
        encoding: categories and scales of ``known``.
        seed: seed of the order of the training lines, which must not be that of the series.
    """
    target = Target.of(known, configuration)
    served = np.flatnonzero(served_series(known, configuration, encoding))
    prefix = experiment_prefix(known, tested, settings)
    folder = f"{prefix}/data/{configuration.label}"
    shuffled = np.random.default_rng(seed).permutation(served)
    train = lake.write_bytes(f"{folder}/train/train.json.gz", packed(training_lines(known, target, encoding, shuffled)))
    test = None
    if tested is not None:
        lines = training_lines(tested, Target.of(tested, configuration), encoding, served)
        test = lake.write_bytes(f"{folder}/test/test.json.gz", packed(lines))
    requests = packed(inference_lines(known, target, encoding, served))
    return DeepArChannel(
        prefix=prefix,
        configuration=configuration.label,
        train=train,
        test=test,
        inference=lake.write_bytes(f"{folder}/inference/input.json.gz", requests),
        key_file=lake.write_bytes(f"{folder}/inference/keys.csv", _keys(known.series.iloc[served])),
        encoding=lake.write_bytes(f"{folder}/inference/encoding.json", _encoding_file(known, encoding)),
        time_freq=TIME_FREQ[known.frequency.kind],
        prediction_length=known.horizon,
        series=len(served),
        observations=int(target.observations[served].sum()),
        cardinality=encoding.cardinality,
        dynamic_features=len(encoding.dynamic),
    )


def packed(lines: Iterable[bytes]) -> bytes:
    """Lines as a gzip file; the same lines give the same bytes."""
    raw = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=_GZIP_LEVEL, fileobj=raw, mtime=0) as file:
        for line in lines:
            file.write(line + b"\n")
    return raw.getvalue()


def _encoding_file(panel: Panel, encoding: Encoding) -> bytes:
    shape = {"time_freq": TIME_FREQ[panel.frequency.kind], "prediction_length": panel.horizon}
    return orjson.dumps(shape | encoding.record(), option=orjson.OPT_INDENT_2)


def _keys(series: pd.DataFrame) -> bytes:
    return series[[c.STORE_ID, c.CATEGORY]].to_csv(index=False, lineterminator="\n").encode()


def experiment_prefix(known: Panel, tested: Panel | None, settings: DeepArTraining) -> str:
    """The experiment's folder, such as ``deepar/forecasting-monthly-27-v4be1f0a92c33``.

    Its version follows from what is in it: the same data and features give the same folder.
    """
    word = PERIOD_WORDS[known.frequency.kind]
    return f"{ROOT}/forecasting-{word}-{known.n}-v{_content_digest(known, tested, settings)}"


def _content_digest(known: Panel, tested: Panel | None, settings: DeepArTraining) -> str:
    digest = hashlib.sha256(orjson.dumps([settings.categorical, settings.dynamic, known.horizon]))
    for panel in (known, *([tested] if tested is not None else [])):
        digest.update(panel.series.to_csv(index=False).encode())
        digest.update(panel.periods.to_numpy().tobytes())
        for values in (panel.demand, panel.sold):
            digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
    for name, feature in known.known.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(feature.values).tobytes())
        digest.update(np.ascontiguousarray(feature.row_of_series).tobytes())
    return digest.hexdigest()[:_DIGEST_DIGITS]


def read_answers(
    data: bytes, address: str, series: int, horizon: int, levels: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Answers of an inference, one JSON line per series, gzip-packed or plain.

    Args:
        data: the file.
        address: where it came from, for errors.
        series: answers expected.
        horizon: values expected in each.
        levels: Q quantile levels.

    Returns:
        mean, shape (series, H), and quantiles, shape (series, H, Q), as the model gave them.

    Raises:
        StorageError: a line is missing, damaged or too short.
    """
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    lines = [line for line in text.split(b"\n") if line.strip()]
    if len(lines) != series:
        raise StorageError(
            f"{address} has {len(lines)} answers; expected one for each of the {series} requested series."
        )
    mean = np.empty((series, horizon))
    quantiles = np.empty((series, horizon, len(levels)))
    for number, line in enumerate(lines):
        try:
            answer = orjson.loads(line)
            mean[number] = answer["mean"]
            quantiles[number] = np.stack([answer["quantiles"][c.level_text(level)] for level in levels], axis=1)
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{address}, line {number + 1}: no forecast of {horizon} periods with the quantiles "
                f"{', '.join(map(c.level_text, levels))} ({type(error).__name__}: {error}). "
                "Delete the file and run again."
            ) from error
    return mean, quantiles


def read_paths(data: bytes, horizon: int) -> SmallFloatArray | None:
    """Sample paths of answers that were read already, shape (series, H, K); None if they have none."""
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    found = []
    for line in text.split(b"\n"):
        if line.strip():
            samples = np.asarray(orjson.loads(line).get("samples", []), dtype=np.float32)
            if samples.ndim != 2 or samples.shape[1] != horizon:  # noqa: PLR2004  # paths and periods
                return None
            found.append(samples.T)
    same = len({samples.shape for samples in found}) == 1
    return np.stack(found) if same else None
