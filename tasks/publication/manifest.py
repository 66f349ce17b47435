"""The manifest: inputs, settings, code version, running times and outputs of a run."""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from schemas.outputs import MANIFEST, RunFacts
from schemas.run import RunContext
from schemas.secrets import MASK, without_secrets
from tasks.forecasting.registry import packages
from tasks.storage.code_version import code_version
from tasks.storage.lake import sha256_of

SECONDS = "seconds"
OUTPUTS = "outputs"
SETTINGS = "settings"
SCOPE = "scope"
ALARMS = "alarms"
BILLED = "aws_billed"
MODEL_FILES = "model_files"
TOTALS = "totals"
CHANGED_SHARE = "changed_share"
PLAN_INPUTS = "plan_inputs"
APPROVAL = "approval"
REPLACES = "replaces"
CSV_FORMAT = "csv_format"
SETTINGS_CHECKSUM, INPUTS, CODE_VERSION = "settings_sha256", "inputs", "code_version"
PROMOTION = "promotion"

# Packages of every run whose version may affect results; the facts of a model name its packages.
BASE_PACKAGES = (
    *("deap", "great-expectations", "holidays", "joblib", "numba", "numpy", "pandas", "prefect", "pyarrow"),
    *("pydantic", "scipy"),
)
_SECRET_KEY = re.compile(r"passw|secret|token|credential|api_?key|access_?key|private_?key|(^|_)key$", re.IGNORECASE)


def masked(value: Any, name: str = "") -> Any:
    """Mask secrets in a JSON value.

    Masks values whose key looks like a password, secret, token or key, and user names, passwords and secret
    query parameters in URLs.

    >>> masked({"api_key": "abc", "path": "https://me:pw@host/x.csv?token=1&page=2"})
    {'api_key': '***', 'path': 'https://***@host/x.csv?token=***&page=2'}
    """
    if value is not None and _SECRET_KEY.search(name):
        return MASK
    if isinstance(value, Mapping):
        return {key: masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return without_secrets(value)
    return value


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that compute results, by name."""
    found = {"python": platform.python_version()}
    for name in sorted({*BASE_PACKAGES, *packages()}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def build_manifest(run: RunContext, facts: RunFacts, checksums: Mapping[str, str], against: date | None) -> bytes:
    """Return the bytes of the manifest: JSON with sorted keys, equal for equal runs.

    Args:
        run: settings (masked; the checksum covers the unmasked settings, without ``compute``), ``as_of`` and scope.
        facts: input files, alarms, totals, seconds per stage, planners' overrides, approval and replaced publication.
        checksums: maps output files to SHA-256, without the manifest.
        against: ``as_of`` of the earlier file in the report's comparison; None if it does not exist.
    """
    inputs = sorted((masked(file.model_dump(mode="json")) for file in facts.inputs), key=_table_and_path)
    content = {
        "name": run.settings.name,
        "as_of": run.as_of.isoformat(),
        SETTINGS: masked(run.settings.file_layout()),
        SETTINGS_CHECKSUM: run.settings.digest(),
        SCOPE: scope_of(run),
        INPUTS: inputs,
        TOTALS: dict(facts.totals),
        ALARMS: [alarm.model_dump(mode="json") for alarm in facts.alarms],
        CODE_VERSION: code_version(),
        "packages": package_versions(),
        SECONDS: {stage: round(seconds, 3) for stage, seconds in facts.seconds.items()},
        OUTPUTS: dict(checksums),
        CSV_FORMAT: run.settings.output.model_dump(mode="json"),
        "overrides": list(facts.overrides),
        APPROVAL: None if facts.approval is None else facts.approval.model_dump(mode="json"),
        REPLACES: None if facts.replaces is None else dict(facts.replaces),
        PLAN_INPUTS: dict(facts.plan_inputs),
        **(
            {MODEL_FILES: {name: dict(files) for name, files in facts.model_files.items()}} if facts.model_files else {}
        ),
        **({BILLED: [job.model_dump(mode="json") for job in facts.billed]} if facts.billed else {}),
        "compared_with": None if against is None else against.isoformat(),
        **({PROMOTION: run.promotion} if run.promotion else {}),
    }
    return (json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def scope_of(run: RunContext) -> dict[str, list[str]]:
    """Return the stores and categories that a run is limited to; empty lists mean no limit."""
    return {"stores": list(run.stores), "categories": list(run.categories)}


def folder_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run's folder except the manifest."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if two manifests describe the same run.

    Running times, charges, approval and replacement are ignored. The settings are compared by their checksum, which
    does not cover ``compute``: the same week computed by another engine is the same run.
    """
    ignored = {SECONDS: None, BILLED: None, APPROVAL: None, REPLACES: None, SETTINGS: None}
    return {**one, **ignored} == {**other, **ignored}


def _table_and_path(file: Mapping[str, Any]) -> tuple[str, str]:
    return str(file["table"]), str(file["path"])
