"""A backfill leaves what the weekly run of each day would have left, side by side or in order, and resumes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas import columns as c
from tests.commands import Process, Restock, Start
from tests.flows import forks, mini_company

WEEKS = ("2024-06-17", "2024-06-24")
SECONDS_TO_WAIT = 150


def runs(settings: Path) -> Path:
    return settings.parent / "lake" / "runs"


def contents(settings: Path) -> dict[str, bytes]:
    """Every published file, byte for byte; manifests without how long the stages took."""
    found = {str(path.relative_to(runs(settings))): path.read_bytes() for path in runs(settings).glob("*/*")}
    for name in (name for name in found if name.endswith("manifest.json")):
        found[name] = json.dumps({**json.loads(found[name]), "seconds": None}).encode()
    return found


@pytest.fixture(scope="module")
def environment(prefect_server: dict[str, str]) -> dict[str, str]:
    """The weeks that run in processes are forks."""
    return {**prefect_server, forks.VARIABLE: "1"}


@pytest.fixture(scope="module")
def backfill(restock: Restock, environment: dict[str, str]) -> Restock:
    """Run a backfill of all weeks."""

    def run(settings: Path, *more: object) -> tuple[int, str, str]:
        given = ("--settings", settings, "--from", WEEKS[0], "--to", "2024-06-29", *more)
        return restock("backfill", *given, environment=environment)

    return run


@pytest.fixture(scope="module")
def one_company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini_company.write(tmp_path_factory.mktemp("backfill") / "company")


@pytest.fixture
def company(one_company: Path) -> Path:
    """Settings file of this module's company, as on its first day."""
    mini_company.write(one_company.parent)
    shutil.rmtree(one_company.parent / "lake", ignore_errors=True)
    return one_company


@pytest.fixture(scope="module")
def begin(start: Start, environment: dict[str, str]) -> Start:
    """Start a backfill of all weeks."""

    def run(settings: Path, *more: object) -> Process:
        given = ("--settings", settings, "--from", WEEKS[0], "--to", WEEKS[-1], *more)
        return start("flows", "backfill", *given, environment=environment)

    return run


class Finished(NamedTuple):
    """What a backfill left that was killed after its first week and started again.

    Attributes:
        settings: settings file of the company.
        files: every published file, byte for byte.
        summary: lines of the summary, split into columns.
    """

    settings: Path
    files: dict[str, bytes]
    summary: list[list[str]]


@pytest.fixture(scope="module")
def finished(begin: Start, backfill: Restock, one_company: Path) -> Finished:
    """The weeks one after the other."""
    process = begin(one_company)
    until = time.monotonic() + SECONDS_TO_WAIT
    while not (runs(one_company) / WEEKS[0] / "replenishment.csv").exists():
        assert process.poll() is None, "the backfill ended before its first week"
        assert time.monotonic() < until, "the first week did not come"
        time.sleep(0.05)
    process.kill_all()
    assert len(list(runs(one_company).iterdir())) < len(WEEKS)
    first = {path: path.stat().st_mtime_ns for path in (runs(one_company) / WEEKS[0]).iterdir()}

    code, out, err = backfill(one_company, "--as-of", mini_company.AS_OF)
    assert code == 0, err
    assert {path: path.stat().st_mtime_ns for path in first} == first, "a finished week was published again"
    summary = [re.split(r" {2,}", line) for line in out.splitlines() if line.startswith("2024-")]
    return Finished(one_company, contents(one_company), summary)


@pytest.mark.flow
def test_a_backfill_leaves_byte_for_byte_what_weekly_runs_leave(restock: Restock, finished: Finished) -> None:
    assert [line[:2] for line in finished.summary] == [
        [WEEKS[0], "already published"],
        *([week, "published"] for week in WEEKS[1:]),
    ]
    # Sales are known up to the end of June: all 14 days of the first week, 7 of the second.
    assert [line[4] for line in finished.summary] == ["14", "7"]
    # A weekly run has the same results: it finds those of the backfill in the lake.
    shutil.rmtree(runs(finished.settings) / WEEKS[-1])
    code, _, err = restock("weekly", "--settings", finished.settings, "--as-of", WEEKS[-1])
    assert code == 0, err
    assert [line for line in err.splitlines() if ": computed" in line and "publish" not in line] == []
    assert contents(finished.settings) == finished.files


def session(number: int) -> list[int]:
    """The living processes of a session; those that only wait to be collected do not count."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = entry.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its) == number and state != "Z":
            found.append(int(entry.parent.name))
    return found


def remembered(settings: Path) -> dict[Path, int]:
    """Every record of a finished stage, and its file: a record that is written again is another file."""
    return {path: path.stat().st_ino for path in (settings.parent / "lake" / "records").glob("*/*.json")}


@pytest.mark.flow
def test_weeks_side_by_side_are_the_same_also_after_a_kill_and_nothing_is_computed_twice(
    begin: Start, backfill: Restock, finished: Finished, company: Path
) -> None:
    process = begin(company, "--parallel", 2)
    until = time.monotonic() + SECONDS_TO_WAIT
    while not any(path.parent.name == "compare" for path in remembered(company)):
        assert process.poll() is None, "the backfill ended before a week was compared"
        assert time.monotonic() < until, "no week was compared"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)  # the parent alone, as the machine does where memory ends
    process.wait()
    while left := session(process.pid):
        assert time.monotonic() < until, f"processes {left} outlive the backfill"
        time.sleep(0.1)
    assert not runs(company).exists()
    before = remembered(company)

    code, _, err = backfill(company, "--parallel", 2, "--as-of", mini_company.AS_OF)
    assert code == 0, err
    assert contents(company) == finished.files
    after = remembered(company)
    assert {path: after[path] for path in before} == before, "a finished stage was computed again"
    assert err.count("optimize: computed") + sum(path.parent.name == "optimize" for path in before) == len(WEEKS)


@pytest.mark.flow
def test_a_failed_week_stops_no_other_and_fails_the_backfill(backfill: Restock, company: Path) -> None:
    late = mini_company.sales()
    mini_company.write(company.parent, sales=late[late[c.DATE] >= "2024-06-19"])
    code, out, err = backfill(company)
    assert code == 2
    assert "1 of 2 weeks failed" in err
    assert f"week {WEEKS[0]}: sales" in err
    assert "rerun the same backfill" in err
    assert "Traceback" not in out + err
    assert sorted(path.name for path in runs(company).iterdir()) == list(WEEKS[1:])


@pytest.mark.flow
@pytest.mark.parametrize(
    ("options", "words"),
    [(("--from", "2024-06-17", "--to", "2024-06-10"), "from <= to"), (("--parallel", "0"), "x>=1")],
)
def test_bad_parameters_are_refused_before_work_starts(
    backfill: Restock, company: Path, options: tuple[str, ...], words: str
) -> None:
    code, _, err = backfill(company, *options)
    assert code == 2
    assert words in err
    assert not (company.parent / "lake").exists()
