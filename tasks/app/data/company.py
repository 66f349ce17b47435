"""A company: its settings file and its lake, read again when they change."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from schemas.errors import ConfigError, PipelineError
from schemas.outputs import MANIFEST
from schemas.settings import Settings
from tasks.app.data.week import RunWeek, read_week
from tasks.app.language import AppLanguage
from tasks.configuration.settings_file import load_settings
from tasks.publication.earlier_runs import PREVIEWS, RUNS, preview_key, run_key
from tasks.publication.versions import dates_of
from tasks.storage.lake import Lake, open_existing_lake

WEEKS_KEPT = 3
T = TypeVar("T")


@dataclass(frozen=True)
class WeekName:
    """A run of the lake: run date, and whether it is a preview that is not published."""

    as_of: date
    preview: bool = False

    @property
    def key(self) -> str:
        """Its folder in the lake."""
        return preview_key(self.as_of) if self.preview else run_key(self.as_of)

    @property
    def text(self) -> str:
        """Its name in addresses.

        >>> WeekName(date(2025, 2, 21), preview=True).text
        '2025-02-21-preview'
        """
        return f"{self.as_of}-preview" if self.preview else str(self.as_of)

    @classmethod
    def of(cls, text: str) -> WeekName | None:
        """Read the name of a week; None if the text is not such a name."""
        try:
            return cls(date.fromisoformat(text.removesuffix("-preview")), text.endswith("-preview"))
        except ValueError:
            return None


class Company:
    """Settings, lake and weeks of one company. Several threads may use it.

    Attributes:
        settings_file: path of the settings file.
    """

    def __init__(self, settings_file: Path) -> None:
        """Nothing is read until it is needed."""
        self.settings_file = settings_file
        self._lock = threading.RLock()
        self._settings: tuple[float, Settings] | None = None
        self._lakes: dict[str, Lake] = {}
        self._kept: dict[str, tuple[object, Any]] = {}
        self._weeks: OrderedDict[tuple[str, bytes], RunWeek] = OrderedDict()

    @property
    def settings(self) -> Settings:
        """The settings, read again if the file has changed.

        Raises:
            ConfigError: the file is missing or invalid.
        """
        with self._lock:
            try:
                changed = self.settings_file.stat().st_mtime
            except OSError as error:
                raise ConfigError(f"Settings file not found: {self.settings_file} ({error.strerror}).") from error
            if self._settings is None or self._settings[0] != changed:
                self._settings = (changed, load_settings(self.settings_file))
            return self._settings[1]

    @property
    def lake(self) -> Lake:
        """The lake of the settings; only a run creates one.

        Raises:
            ConfigError: there is no lake, or its share is not mounted.
        """
        storage = self.settings.storage
        with self._lock:
            if storage not in self._lakes:
                self._lakes[storage] = open_existing_lake(storage)
            return self._lakes[storage]

    @property
    def say(self) -> AppLanguage:
        """The language of the settings."""
        return AppLanguage.of(self.settings)

    def weeks(self) -> list[WeekName]:
        """Return every published week and every preview, the latest first; a published week before its preview."""
        lake = self.lake
        found = [
            WeekName(day, preview)
            for folder, preview in ((RUNS, False), (PREVIEWS, True))
            for day in dates_of(lake, folder)
            if lake.exists(f"{WeekName(day, preview).key}/{MANIFEST}")
        ]
        return sorted(found, key=lambda week: (week.as_of, not week.preview), reverse=True)

    def chosen(self, text: str | None) -> WeekName | None:
        """Return the week of this name if it exists, else the last published one, else the last preview."""
        weeks = self.weeks()
        asked = WeekName.of(text) if text else None
        if asked in weeks:
            return asked
        published = [week for week in weeks if not week.preview]
        return next(iter(published or weeks), None)

    def shown(self, data: Mapping[str, str] | None) -> RunWeek | None:
        """Return the week that a page shows; None if there is no week.

        Args:
            data: state of the page with the name of its week.
        """
        chosen = self.chosen((data or {}).get("week"))
        return None if chosen is None else self.week(chosen)

    def week(self, name: WeekName) -> RunWeek:
        """Return the tables of a week; they are kept until its manifest or the settings change.

        Raises:
            PipelineError: the week does not exist or cannot be read.
        """
        lake, settings = self.lake, self.settings
        key = (f"{name.key}|{settings.digest()}", lake.read_bytes(f"{name.key}/{MANIFEST}"))
        with self._lock:
            if key in self._weeks:
                self._weeks.move_to_end(key)
                return self._weeks[key]
            week = read_week(lake, name.key, name.as_of, settings)
            self._weeks[key] = week
            while len(self._weeks) > WEEKS_KEPT:
                self._weeks.popitem(last=False)
            return week

    def kept(self, name: str, stamp: object, compute: Callable[[], T]) -> T:
        """Return the last result of this name; compute it again if its stamp has changed.

        Args:
            name: name of the result.
            stamp: equal as long as the result is the same.
            compute: makes the result.
        """
        known: tuple[object, Any] | None = self._kept.get(name)
        if known is None or known[0] != stamp:
            known = (stamp, compute())
            self._kept[name] = known
        found: T = known[1]
        return found

    def stamp(self, name: WeekName) -> str:
        """Return a text that changes when other files are published for a week; empty if it does not exist."""
        try:
            return hashlib.sha256(self.lake.read_bytes(f"{name.key}/{MANIFEST}")).hexdigest()[:16]
        except PipelineError:
            return ""


def manifest_of(lake: Lake, key: str) -> dict[str, Any]:
    """Return the manifest of a folder; empty if it is missing or damaged."""
    try:
        content = json.loads(lake.read_bytes(f"{key}/{MANIFEST}"))
    except (PipelineError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
