"""The base of every group of settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
