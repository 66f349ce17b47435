"""The company of a settings file: part of the names of its deployments, so that two companies share one server."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import yaml

from tasks.publication.addresses import COMPANY_VARIABLE

USUAL_FILE = "settings"


def company_of(settings_file: str) -> str:
    """Return the company's name in lowercase letters, digits and dashes.

    It is the value of RESTOCK_COMPANY, or the setting ``name`` and, unless it is ``settings.yaml``, the name of the
    file. A file that cannot be read here (it lies in a container image or a bucket), or whose name has no Latin letter
    and no digit, has the name of its folder.

    >>> company_of("/app/settings.yaml")
    'app'
    """
    given = _slug(os.environ.get(COMPANY_VARIABLE, ""))
    if given:
        return given
    path = Path(settings_file)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        name = _slug(str(content["name"]))
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        name = ""
    name = name or _slug(path.parent.name) or _slug(path.stem)
    stem = _slug(path.stem)
    return name if stem in (USUAL_FILE, name) else f"{name}-{stem}"


def name_deployments(settings_file: str) -> dict[str, str]:
    """Build step of prefect.yaml: return the name of the company for the names of deployments and work queue.

    Args:
        settings_file: path of the settings file.

    Raises:
        ValueError: a deployment of this name belongs to another settings file.
    """
    company = company_of(settings_file)
    owner = _owner(f"weekly_replenishment/weekly-{company}")
    if owner is not None and owner != settings_file:
        raise ValueError(
            f"The server has deployments of the company '{company}' for another settings file: {owner}. Registering "
            f"{settings_file} would replace them. Give the company another `name` in the settings, or set "
            f"{COMPANY_VARIABLE}. To replace them, delete the old deployments first: "
            f"prefect deployment delete weekly_replenishment/weekly-{company}"
        )
    return {"name": company}


def _owner(deployment: str) -> str | None:
    """The settings file of a deployment on the server; None if there is no such deployment."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            return str(client.read_deployment_by_name(deployment).parameters.get("settings_file"))
        except ObjectNotFound:
            return None


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
