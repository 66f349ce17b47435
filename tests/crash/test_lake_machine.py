"""Publications, rollbacks, withdrawals, kills and prunes in any order, against a model of the lake."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.errors import ConfigError
from tasks.publication.earlier_runs import run_key
from tasks.publication.prune import prune
from tasks.publication.versions import events_of, roll_back, verify, versions_of, withdraw
from tasks.storage.lake import open_lake
from tests.breadth import NIGHTLY, examples
from tests.crash.disk import KILLED, Disk, Fault
from tests.crash.scenarios import AS_OF, publish, run_files

FILES = 2
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class LakeMachine(RuleBasedStateMachine):
    """The model: content of each kept version by number, and which one is in force."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self._root = self._folder / "lake"
        self._kept: dict[int, int] = {}
        self._last = 0
        self._in_force: int | None = None

    def teardown(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _lake(self):
        return open_lake(str(self._root))

    def _published(self, content: int) -> None:
        """What publishing means in the model: the last version again, or a new one."""
        newest = max(self._kept, default=0)
        if self._kept.get(newest) != content:
            newest = self._last = self._last + 1
            self._kept[newest] = content
        self._in_force = newest

    @rule(content=st.integers(1, 3))
    def publish(self, content: int) -> None:
        publish(self._root, content, FILES)
        self._published(content)

    @rule(content=st.integers(1, 3), call=st.integers(1, 60))
    def killed_and_started_again(self, content: int, call: int) -> None:
        child = os.fork()
        if child == 0:
            with Disk(self._root, call, Fault.KILL_AFTER):
                publish(self._root, content, FILES)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, KILLED)
        publish(self._root, content, FILES)
        self._published(content)

    @precondition(lambda self: self._kept)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self._kept)))
        if number == self._in_force:
            with pytest.raises(ConfigError, match="already in force"):
                roll_back(self._lake, AS_OF, number, "Ana")
            return
        roll_back(self._lake, AS_OF, number, "Ana")
        self._in_force = number

    @precondition(lambda self: self._in_force is not None)
    @rule()
    def withdraw(self) -> None:
        withdraw(self._lake, AS_OF, "Ana")
        self._in_force = None

    @rule(old=st.booleans())
    def prune(self, old: bool) -> None:
        prune(self._lake, timedelta(weeks=8), NOW if old else datetime.now(UTC), dry_run=False)
        if old:
            self._kept = {number: content for number, content in self._kept.items() if number == self._in_force}

    @invariant()
    def what_is_in_force_is_what_the_model_says(self) -> None:
        lake = self._lake
        found = {key.removeprefix(f"{run_key(AS_OF)}/"): lake.read_bytes(key) for key in lake.keys(run_key(AS_OF))}
        expected = {} if self._in_force is None else run_files(self._kept[self._in_force], FILES)
        assert found == expected
        assert verify(lake)[1] == []
        versions = versions_of(lake, AS_OF)
        assert [version.number for version in versions] == sorted(self._kept)
        assert [version.number for version in versions if version.in_force] == [self._in_force] * bool(self._in_force)
        if self._in_force is not None:
            assert events_of(lake, AS_OF)[-1].version == self._in_force


pytestmark = pytest.mark.slow
TestLakeMachine = LakeMachine.TestCase
TestLakeMachine.settings = settings(
    max_examples=examples(8), stateful_step_count=10, deadline=None, derandomize=not NIGHTLY
)
