"""A limit on parallel jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SHARED: dict[tuple[str, int], Slots] = {}


class Slots:
    """A limited number of job slots; a job may take several.

    Args:
        number: number of slots, at least 1.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._free = number
        self._changed = threading.Condition()

    def are_busy(self, wanted: int) -> bool:
        """Whether fewer than this number of slots are free."""
        with self._changed:
            return self._free < min(wanted, self.number)

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Hold slots; wait until all of them are free at once, so that two waiting jobs cannot block each other.

        Args:
            wanted: number of slots; if it exceeds the total, all of them.
        """
        wanted = min(wanted, self.number)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def shared_slots(account: str, number: int) -> Slots:
    """The slots that all backends of this process share.

    Args:
        account: whose quota it is; jobs of one lake and region have the same.
        number: number of slots.
    """
    return _SHARED.setdefault((account, number), Slots(number))
