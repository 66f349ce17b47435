"""GluonTS's DeepAR network for checked hyperparameters, and records in the form that GluonTS reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import torch
from gluonts.time_feature import get_lags_for_frequency

from schemas.frequency import WEEKDAYS
from tasks.deepar.container.checks import DataShape
from tasks.deepar.container.failures import ClientError
from tasks.deepar.container.gluonts_parts import (
    BetaOutput,
    DeepAREstimator,
    DeepARLightningModule,
    DistributionOutput,
    MeanScaler,
    NegativeBinomialOutput,
    NormalOutput,
    StudentTOutput,
)
from tasks.deepar.container.hyperparameters import TIME_FREQUENCY, Hyperparameters
from tasks.deepar.container.series import Series

_PANDAS_UNITS = {"M": "M", "W": "W", "D": "D", "H": "h", "min": "min"}


@dataclass(frozen=True)
class Network:
    """The facts from which an untrained network is built.

    Attributes:
        given: hyperparameters.
        shape: shape of the training data.
        lags: earlier periods that the network reads in addition to the context.
    """

    given: Hyperparameters
    shape: DataShape
    lags: tuple[int, ...]

    @classmethod
    def of(cls, given: Hyperparameters, shape: DataShape) -> Network:
        """GluonTS's lags of the frequency, without those longer than the longest series (they would read padding)."""
        with _quiet():
            lags = get_lags_for_frequency(_frequency(given.time_freq))
        return cls(given, shape, tuple(lag for lag in lags if lag < shape.longest) or (1,))

    @property
    def past_length(self) -> int:
        """Periods that one forecast reads."""
        return self.given.context_length + max(self.lags)

    def estimator(self, batches_per_epoch: int = 1, num_samples: int = 1) -> DeepAREstimator:
        """The estimator, without weights."""
        given, shape = self.given, self.shape
        # Mean scaling would move values out of (0, 1), the range of the beta distribution.
        with _quiet():
            return DeepAREstimator(
                freq=_frequency(given.time_freq),
                prediction_length=given.prediction_length,
                context_length=given.context_length,
                num_layers=given.num_layers,
                hidden_size=given.num_cells,
                lr=given.learning_rate,
                dropout_rate=given.dropout_rate,
                num_feat_dynamic_real=shape.dynamic_features,
                num_feat_static_cat=len(shape.cardinality),
                cardinality=list(shape.cardinality) or None,
                embedding_dimension=[given.embedding_dimension] * len(shape.cardinality) or None,
                distr_output=_distribution(given.likelihood),
                scaling=given.likelihood != "beta",
                lags_seq=list(self.lags),
                num_parallel_samples=num_samples,
                batch_size=given.mini_batch_size,
                num_batches_per_epoch=batches_per_epoch,
            )

    def module(self, estimator: DeepAREstimator) -> DeepARLightningModule:
        """An untrained network.

        GluonTS divides a context without any sale by 1e-10, which makes losses and samples explode. Here the scale is
        at least that of a context that contains the smallest value once.
        """
        module = estimator.create_lightning_module()
        if isinstance(module.model.scaler, MeanScaler):
            least = self.shape.smallest / self.given.context_length
            module.model.scaler = MeanScaler(dim=-1, keepdim=True, minimum_scale=least)
        return module

    def entries(self, series: Iterable[Series], periods: int | None = None) -> list[dict[str, Any]]:
        """Convert records to the form that GluonTS reads, without the features that the network does not use.

        Args:
            series: the records.
            periods: number of first periods of the target; negative = all but this number of last ones; None = all.
        """
        return [self._entry(one, one.target[:periods]) for one in series]

    def _entry(self, series: Series, target: Any) -> dict[str, Any]:
        entry: dict[str, Any] = {"start": period(series.start, self.given.time_freq), "target": target}
        if self.shape.cardinality:
            entry["feat_static_cat"] = series.cat
        if self.shape.dynamic_features:
            entry["feat_dynamic_real"] = series.dynamic_feat
        return entry


def period(start: datetime, time_freq: str) -> pd.Period:
    """The first period of a record; a week begins on the weekday of its label.

    A pandas week is named by its last day: a week that begins on Monday ends on Sunday, so no date moves.
    """
    unit = _frequency(time_freq)
    if unit.endswith("W"):
        unit = f"{unit}-{WEEKDAYS[(start.weekday() - 1) % len(WEEKDAYS)]}"
    with _quiet():
        return pd.Period(start, freq=unit)


def device_of(asked: str) -> torch.device:
    """The device to train on.

    Raises:
        ClientError: a GPU is required and torch finds none.
    """
    if asked == "gpu" and not torch.cuda.is_available():
        raise ClientError("device is gpu, but torch finds no GPU here; set auto or cpu.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def seed_everything(seed: int) -> None:
    """Seed every generator that GluonTS and torch draw from."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _frequency(time_freq: str) -> str:
    found = TIME_FREQUENCY.fullmatch(time_freq)
    assert found is not None
    return f"{found[1] or ''}{_PANDAS_UNITS[found[2]]}"


def _distribution(likelihood: str) -> DistributionOutput:
    outputs: dict[str, type[DistributionOutput]] = {
        "student-T": StudentTOutput,
        "gaussian": NormalOutput,
        "negative-binomial": NegativeBinomialOutput,
        "beta": BetaOutput,
    }
    return outputs[likelihood]()


def _quiet() -> warnings.catch_warnings[None]:
    # GluonTS requires M, the old name of a month, for which pandas warns.
    return warnings.catch_warnings(action="ignore", category=FutureWarning)
