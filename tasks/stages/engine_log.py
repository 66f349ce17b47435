"""Errors in the logs of Prefect's engine: the message of an expected error once, and without its traceback."""

from __future__ import annotations

import logging
import re

from schemas.errors import PipelineError

_ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.flow_engine", "prefect.task_engine")
# Logs temporary folders at level INFO, which it sets itself on import.
_CHATTY_LOGGER = "great_expectations.data_context.types.base"
# An engine's record about a PipelineError: words before it, class, and the beginning of its message.
_HELD = re.compile(r"(?P<before>.*Finished in state Failed)\(", re.DOTALL)  # the state of a run that was held back
_FAILURE = re.compile(r"(?P<before>.*?)(?P<name>\w+Error)[:(]\s*[\"']?(?P<text>.{1,60})", re.DOTALL)


class _MessageOnce(logging.Filter):
    """Log the message of a :class:`PipelineError` once and without its traceback.

    Prefect's engine repeats the message of a failed task up to five times. Later records name the class of the error.

    Attributes:
        shown_at_end: the command line prints the message at its end, so that no record needs it.
    """

    def __init__(self, shown_at_end: bool = False) -> None:
        super().__init__()
        self.shown_at_end = shown_at_end
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record; all records pass."""
        if record.exc_info and isinstance(record.exc_info[1], PipelineError):
            record.exc_info = None
            record.exc_text = None
        found = _FAILURE.match(record.getMessage())
        if found and found["name"] in _names(PipelineError):
            text = " ".join(found["text"].replace("\\n", " ").split()).rstrip("\"')")[:40]
            if self.shown_at_end or text in self._seen:
                where = "below" if self.shown_at_end else "above"
                record.msg, record.args = f"{found['before']}{found['name']} (message {where})", None
            self._seen.add(text)
        elif self.shown_at_end and (found := _HELD.match(record.getMessage())):
            record.msg, record.args = f"{found['before']} (message below)", None
        return True


_MESSAGE_ONCE = _MessageOnce()


def _names(root: type[Exception]) -> set[str]:
    return {root.__name__, *(name for child in root.__subclasses__() for name in _names(child))}


def hide_expected_tracebacks() -> None:
    """Remove tracebacks and repetitions of :class:`PipelineError` from the logs of Prefect's engine."""
    for name in _ENGINE_LOGGERS:
        logger = logging.getLogger(name)
        if _MESSAGE_ONCE not in logger.filters:
            logger.addFilter(_MESSAGE_ONCE)
    logging.getLogger(_CHATTY_LOGGER).addFilter(lambda record: record.levelno >= logging.WARNING)


def show_errors_at_end() -> None:
    """Leave the messages of errors to the command line, which prints them at its end."""
    _MESSAGE_ONCE.shown_at_end = True
