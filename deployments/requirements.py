"""List what an image installs: ``python deployments/requirements.py [EXTRA ...]``. Needs only the standard library.

The versions come from requirements.lock, which is given to pip as constraints. Without extras: a run with local models
and a lake in a folder. ``aws``: storage and sources in buckets, DeepAR on SageMaker. ``deepar``: DeepAR in the
container, on torch. ``pretrained``: the network Chronos-2, on torch.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# Restock imports only `sagemaker.core`; the package that the extra names also installs mlflow and training libraries.
LIGHTER = {"sagemaker": "sagemaker-core"}
# XGBoost requires NVIDIA's communication library, but loads it only on several GPUs.
UNUSED = ("nvidia-nccl-cu12",)


def wanted(extras: list[str]) -> list[str]:
    """The requirements of the project and of some extras, without versions if another package takes their place."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    found = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return [next((new for old, new in LIGHTER.items() if _name(one) == old), one) for one in found]


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return found[0] if found else requirement


if __name__ == "__main__":
    print("\n".join(wanted(sys.argv[1:])))  # noqa: T201
