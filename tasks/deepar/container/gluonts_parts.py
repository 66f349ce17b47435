"""The parts of GluonTS that the container uses, imported without Lightning.

The outer class of GluonTS's network derives from a class of Lightning. The container has its own training loop and
needs only the ``torch.nn.Module`` in that class. Importing Lightning takes more processor time than all other imports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch


@contextmanager
def _without_lightning() -> Iterator[None]:
    """Put an empty package in the place of Lightning, if Lightning is not imported yet."""
    lightning, pytorch = (ModuleType(name) for name in ("lightning", "lightning.pytorch"))
    lightning.pytorch = pytorch  # type: ignore[attr-defined]
    pytorch.LightningModule, pytorch.Trainer = torch.nn.Module, None  # type: ignore[attr-defined]
    added = {one.__name__: one for one in (lightning, pytorch) if "lightning" not in sys.modules}
    sys.modules.update(added)
    try:
        yield
    finally:
        for name in added:
            del sys.modules[name]


with _without_lightning():
    from gluonts.torch.distributions import (
        BetaOutput,
        DistributionOutput,
        NegativeBinomialOutput,
        NormalOutput,
        StudentTOutput,
    )
    from gluonts.torch.model.deepar import DeepAREstimator, DeepARLightningModule, DeepARModel
    from gluonts.torch.scaler import MeanScaler

__all__ = [
    "BetaOutput",
    "DeepAREstimator",
    "DeepARLightningModule",
    "DeepARModel",
    "DistributionOutput",
    "MeanScaler",
    "NegativeBinomialOutput",
    "NormalOutput",
    "StudentTOutput",
]
