"""Training: steps over GluonTS's batches, early stopping on the training loss, the best weights at the end.

Restock has its own loop instead of Lightning's for two reasons. An error in a step ends the job; Lightning would return
to a checkpoint and end without an error. A stop takes effect after the current step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.deepar.container.failures import ClientError, non_finite_in_short
from tasks.deepar.container.gluonts_parts import DeepARModel
from tasks.deepar.container.job import TrainingJob
from tasks.deepar.container.network import Network, device_of, seed_everything

_WEIGHT_DECAY = 1e-8
_LONGEST_GRADIENT = 10.0
# After this number of epochs without progress, the learning rate is halved.
_STEP_PATIENCE = 10
_DIVERGED = "the training loss is not a number; a smaller learning_rate may help"


@dataclass(frozen=True)
class Progress:
    """One finished epoch."""

    epoch: int
    of: int
    train_loss: float


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: how it is built.
        weights: weights of the best epoch, on the CPU.
        loss: training loss of that epoch; None if the job was stopped before its first one ended.
        stopped: whether it was stopped.
    """

    network: Network
    weights: dict[str, torch.Tensor]
    loss: float | None
    stopped: bool


def fit(job: TrainingJob, report: Callable[[Progress], None], stopping: Callable[[], bool]) -> Fitted:
    """Train the network of a job.

    Args:
        job: checked data and hyperparameters.
        report: receives every epoch.
        stopping: called after every step; True ends the training.

    Raises:
        ClientError: there is no such device, or the loss is not a number.
    """
    torch.set_num_threads(1)
    device = device_of(job.local.device)
    seed_everything(job.local.seed)
    network = Network.of(job.given, job.shape)
    estimator = network.estimator(job.local.batches_per_epoch)
    long_enough = [series for series in job.training if len(series.target) >= job.given.prediction_length]
    prepared = list(estimator.create_transformation().apply(network.entries(long_enough), is_train=True))
    module = network.module(estimator).to(device)
    batches = estimator.create_training_data_loader(_Mixed(prepared), module)
    model = module.model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=job.given.learning_rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=_STEP_PATIENCE)

    best_loss, best_epoch = math.inf, 0
    weights = _copied(model)
    for epoch in range(1, job.given.epochs + 1):
        losses: list[float] = []
        for loss in _steps(model, optimizer, batches, device):
            losses.append(loss)
            if stopping():
                return Fitted(network, weights, best_loss if best_epoch else None, stopped=True)
        epoch_loss = sum(losses) / len(losses)
        schedule.step(epoch_loss)
        report(Progress(epoch, job.given.epochs, epoch_loss))
        if epoch_loss < best_loss:
            best_loss, best_epoch, weights = epoch_loss, epoch, _copied(model)
        patience = job.given.early_stopping_patience
        if patience is not None and epoch - best_epoch >= patience:
            break
    return Fitted(network, weights, best_loss, stopped=False)


class _Mixed:
    """Series in a different order on every pass.

    About one window of each series is drawn per pass, so that the loss of an epoch, on which early stopping and the
    best epoch depend, varies little with the series drawn.
    """

    def __init__(self, series: Sequence[dict[str, Any]]) -> None:
        self._series = series

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index in np.random.permutation(len(self._series)):
            yield self._series[index]


def _steps(
    model: DeepARModel,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[dict[str, torch.Tensor]],
    device: torch.device,
) -> Iterator[float]:
    for batch in batches:
        optimizer.zero_grad()
        given = {name: values.to(device) for name, values in batch.items()}
        past = given["past_observed_values"]
        seen = past[:, past.shape[1] - model.context_length + 1 :]
        known = torch.cat((seen, given["future_observed_values"]), dim=1)
        with non_finite_in_short(_DIVERGED):
            # GluonTS counts an unknown period, and one before a series began, as a loss of 0: mean over the known ones.
            loss = model.loss(**given).mean() * (known.numel() / known.sum().clamp(min=1.0))
        _check_finite(loss)
        loss.backward()
        # A step along a gradient that is not a number would make the weights unusable, and only the next step would
        # fail.
        _check_finite(torch.nn.utils.clip_grad_norm_(model.parameters(), _LONGEST_GRADIENT))
        optimizer.step()
        yield float(loss.detach())


def _check_finite(value: torch.Tensor) -> None:
    if not torch.isfinite(value):
        raise ClientError(_DIVERGED)


def _copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: values.detach().cpu().clone() for name, values in model.state_dict().items()}
