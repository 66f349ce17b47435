"""The computation of a run: seconds per stage, code and packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.app.data.week import RunWeek
from tasks.publication.manifest import SECONDS


@dataclass(frozen=True)
class Effort:
    """How a run was computed.

    Attributes:
        stages: stage and seconds, the longest first. A reused stage has the seconds of the run that computed it.
        code_version: version of the code.
        packages: package and version.
    """

    stages: tuple[tuple[str, float], ...]
    code_version: str
    packages: tuple[tuple[str, str], ...]


def effort_of(week: RunWeek) -> Effort:
    """Return the facts in a run's manifest about its computation."""
    return effort(week.manifest)


def effort(manifest: Mapping[str, Any]) -> Effort:
    """Return the facts of a manifest; numbers that another version did not write are left out."""
    seconds = manifest.get(SECONDS) or {}
    stages = [(str(name), float(value)) for name, value in seconds.items() if isinstance(value, int | float)]
    packages = manifest.get("packages") or {}
    return Effort(
        stages=tuple(sorted(stages, key=lambda one: -one[1])),
        code_version=str(manifest.get("code_version") or ""),
        packages=tuple((str(name), str(version)) for name, version in sorted(packages.items())),
    )
