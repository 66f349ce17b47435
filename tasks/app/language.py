"""Texts of the app: the report's catalog and the app's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from schemas.settings import Settings
from tasks.report.language import Language

CATALOG = Path(__file__).parent / "messages.es.yaml"


@cache
def app_texts() -> dict[str, str]:
    """Return the app's catalog: English text to Spanish text."""
    import yaml

    catalog: dict[str, str] = yaml.safe_load(CATALOG.read_text(encoding="utf-8"))
    return catalog


class AppLanguage(Language):
    """The language of the settings; texts of the app come from its catalog, others from the report's."""

    @classmethod
    def of(cls, settings: Settings) -> AppLanguage:
        """Return the language and currency of the settings."""
        return cls(settings.language, settings.currency or "")

    def known(self, text: str) -> str:
        """Translate a text; return it unchanged if it is unknown."""
        if self.code == "es" and text in app_texts():
            return app_texts()[text]
        return super().known(text)
