"""Alarms, warnings and remarks in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.alarms import ALARMS, Alarm, Severity
from schemas.outputs import RunFacts
from schemas.run import RunContext
from tasks.report.language import Language

SHOWN = 20
_NAMED = 10


@dataclass(frozen=True)
class Alert:
    """A problem at the top of the page.

    Attributes:
        severity: ``hold``, ``warning`` or ``info``.
        title: name of the alarm; empty for a warning without a name.
        text: what was found.
        detail: stores, SKUs and dates concerned, and the message if the text is a translation; empty if the text is
            complete.
    """

    severity: str
    title: str
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Remarks:
    """Remarks of one type.

    Attributes:
        kind: heading of the type.
        count: number of distinct remarks.
        texts: the first :data:`SHOWN` remarks, and a line with the number of the others.
    """

    kind: str
    count: int
    texts: Sequence[str]


def alerts(run: RunContext, facts: RunFacts, say: Language) -> list[Alert]:
    """Return the messages that come first: alarms that hold the file back, alarms with a warning, other warnings."""
    named = [_alert(alarm, say) for severity in (Severity.HOLD, Severity.WARNING) for alarm in _of(facts, severity)]
    texts = list(dict.fromkeys([*_headlines(run, facts, say), *facts.warnings]))
    rest = len(texts) - SHOWN
    more = [say("{count} more in the log of the run", count=say.number(rest))] if rest > 0 else []
    return [*named, *(Alert(Severity.WARNING, "", text) for text in [*texts[:SHOWN], *more])]


def infos(facts: RunFacts, say: Language) -> list[Alert]:
    """Return the alarms that only inform."""
    return [_alert(alarm, say) for alarm in _of(facts, Severity.INFO)]


def remarks(facts: RunFacts, say: Language) -> list[Remarks]:
    """Return the stages' remarks without duplicates; empty types are left out."""
    distinct = {kind: list(dict.fromkeys(texts)) for kind, texts in facts.notes.items()}
    return [Remarks(say.known(kind), len(texts), _first(texts, say)) for kind, texts in distinct.items() if texts]


def _headlines(run: RunContext, facts: RunFacts, say: Language) -> list[str]:
    """Return warnings that concern the whole page."""
    found = []
    if run.scoped:
        scope = ", ".join([*(say("store {store}", store=store) for store in run.stores), *run.categories])
        found.append(say("This run covers only a part of the network: {scope}.", scope=scope))
    if not facts.stock_given:
        found.append(say("There is no stock table; the opening stock of every store is taken as 0."))
    return found


def _of(facts: RunFacts, severity: Severity) -> list[Alarm]:
    return [alarm for alarm in facts.alarms if alarm.severity is severity]


def _alert(alarm: Alarm, say: Language) -> Alert:
    """Return an alarm as an alert.

    Its message is in English. In another language the meaning and the remedy come first, and the message last.
    """
    parts = []
    registered = ALARMS.get(alarm.name)
    for title, ids in ((say("Stores"), alarm.stores), (say("SKUs"), alarm.skus)):
        if ids:
            parts.append(f"{title}: {', '.join(ids[:_NAMED])}{' …' if len(ids) > _NAMED else ''}")
    if alarm.date_from is not None:
        last = alarm.date_to or alarm.date_from
        parts.append(f"{say.day(alarm.date_from)} – {say.day(last)}")
    if registered is None or say.code == "en":
        return Alert(alarm.severity, alarm.name, alarm.message, " · ".join(parts))
    text = f"{say.known(registered.meaning)} {say.known(registered.remedy)}"
    return Alert(alarm.severity, alarm.name, text, " · ".join([*parts, alarm.message]))


def _first(texts: Sequence[str], say: Language) -> list[str]:
    rest = len(texts) - SHOWN
    more = [say("{count} more in the log of the run", count=say.number(rest))] if rest > 0 else []
    return [*texts[:SHOWN], *more]
