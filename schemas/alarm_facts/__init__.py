"""Registry of the alarms: name, severity, meaning and remedy (docs/reference/alarms.md)."""

from __future__ import annotations

from schemas.alarm_facts.meaning import MEANING
from schemas.alarm_facts.tables import TABLES

ALARMS = {facts.name: facts for facts in (*TABLES, *MEANING)}
