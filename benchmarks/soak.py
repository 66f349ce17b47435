"""Many weekly runs of a small company through one ``make serve``: memory, database, open files and time per run.

Usage: .venv/bin/python -m benchmarks.soak [--runs 200] [--minutes 600]

Starts ``make serve`` with its own Prefect database and lake in a temporary folder, then one run after the other, each
a week later. Prints one line per run. Then it makes all but the last eight weeks older than Prefect's and Restock's
limits, and lets the server and ``restock prune`` remove them. Writes a table of first, middle and last runs, the growth
per run after the first tenth, and what the removal left, to docs/reliability.md.

Server, worker and runs are forks of a process that has imported their modules (``tests/flows/warm.py``): a run takes a
third of the time, and does the same. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import yaml

from tasks.publication.prune import prune
from tasks.publication.versions import verify
from tasks.storage.lake import open_lake
from tests.commands import Process
from tests.flows import forks
from tests.ports import free_port, listens

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- soak table: python -m benchmarks.soak -->", "<!-- end of the soak table -->"
FIRST = date(2018, 3, 5)
SETTINGS = {
    "name": "soak",
    "horizon": 14,
    "storage": "lake",
    "sources": {name: {"path": f"{name}.csv"} for name in ("sales", "products", "stores")},
    "models": {},
    "backtest": {"windows": 1},
    "inventory": {"policies": ["newsvendor"]},
    "publication": {"max_total_change": None},
}
SECONDS_TO_START, SECONDS_TO_RUN, SECONDS_BETWEEN_LOOKS = 600, 600, 0.25
SECONDS_TO_REMOVE = 240
WEEKS_KEPT, DAYS_OLDER = 8, 200
# The worker asks for runs, and the server removes old records, far more often than in operation.
IMPATIENT = {
    forks.VARIABLE: "1",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "20",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "20",
}
FEWEST_FOR_A_SLOPE = 10
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """The measurements after a run."""

    run: int
    seconds: float
    state: str
    server_mib: float
    worker_mib: float
    database_mib: float
    lake_mib: float
    server_files: int
    worker_files: int
    temporary: int
    processes: int

    def row(self) -> list[str]:
        """The cells of the table."""
        return [
            *(str(self.run), self.state, f"{self.seconds:.0f}", f"{self.server_mib:.0f}", f"{self.worker_mib:.0f}"),
            *(f"{self.database_mib:.1f}", f"{self.lake_mib:.1f}", str(self.server_files), str(self.worker_files)),
            *(str(self.temporary), str(self.processes)),
        ]


HEADS = [
    *("run", "state", "seconds", "server, MiB", "worker, MiB", "database, MiB", "lake, MiB"),
    *("open files, server", "open files, worker", "temporary entries", "processes"),
]


def write_company(folder: Path, runs: int) -> Path:
    """Write two stores with two SKUs and sales for every run date; returns the settings file."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2018-01-01", FIRST + timedelta(weeks=runs))
    parts = [
        pd.DataFrame(
            {"date": days.strftime("%Y-%m-%d"), "store_id": store, "sku": sku, "units": rng.poisson(8, len(days))}
        )
        for store in ("01", "02")
        for sku in ("a", "b")
    ]
    pd.concat(parts).query("units > 0").to_csv(folder / "sales.csv", index=False)
    pd.DataFrame({"sku": ["a", "b"], "price": 10}).to_csv(folder / "products.csv", index=False)
    pd.DataFrame({"store_id": ["01", "02"], "storage_capacity": 500}).to_csv(folder / "stores.csv", index=False)
    settings = folder / "settings.yaml"
    settings.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    return settings


@contextmanager
def served(folder: Path, settings: Path) -> Iterator[tuple[str, int]]:
    """``make serve`` with a database and temporary files below a folder; yields the API's address and the process."""
    port, warm_port = free_port(), free_port()
    (folder / "tmp").mkdir()
    environment = {**os.environ, **IMPATIENT, "PREFECT_HOME": str(folder / "prefect"), "TMPDIR": str(folder / "tmp")}
    environment.pop("PREFECT_API_URL", None)
    # Ends with this process, also if that is killed.
    command = [sys.executable, "-m", "tests.end_with", str(os.getpid())]
    command += [sys.executable, "-m", "tests.flows.warm", str(warm_port)]
    # Prefect reads the times between removals when it is imported.
    known = {name: value for name, value in IMPATIENT.items() if name != forks.VARIABLE}
    warm = subprocess.Popen(command, env={**os.environ, **forks.PLACE, **known}, start_new_session=True)
    try:
        _wait(lambda: listens(warm_port), warm.poll)
        words = ["deployments.serve", "--settings", str(settings), "--port", str(port)]
        words += ["--files-port", str(free_port()), "--app-port", str(free_port())]
        process = Process(warm_port, folder, {"arguments": words, "environment": environment, "seconds": 0})
        _wait(lambda: "Stop with Ctrl-C" in process.output()[0], process.poll)
        yield f"http://127.0.0.1:{port}/api", process.pid
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
    finally:
        os.killpg(warm.pid, signal.SIGKILL)
        warm.wait()


def _wait(ready: Callable[[], bool], ended: Callable[[], int | None]) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while not ready():
        if ended() is not None or time.monotonic() > until:
            raise SystemExit("make serve did not start")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def run_week(api: str, as_of: date) -> tuple[float, str]:
    """Run a week through the deployment; returns seconds from submission to the end, and the final state."""
    found = httpx.post(f"{api}/deployments/filter", json={}).raise_for_status().json()
    weekly = next(one for one in found if one["name"].startswith("weekly-"))
    asked = {"parameters": {**weekly["parameters"], "as_of": as_of.isoformat()}, "state": {"type": "SCHEDULED"}}
    begun = time.monotonic()
    run = httpx.post(f"{api}/deployments/{weekly['id']}/create_flow_run", json=asked).raise_for_status().json()
    while time.monotonic() - begun < SECONDS_TO_RUN:
        seen: dict[str, Any] = httpx.get(f"{api}/flow_runs/{run['id']}", timeout=60).json()
        if seen["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return time.monotonic() - begun, str(seen["state"]["name"])
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return time.monotonic() - begun, "not finished"


def measure(run: int, seconds: float, state: str, folder: Path, serving: int) -> Measured:
    """Measure the processes of ``make serve`` and its files."""
    children = _children(serving)
    server = next(pid for pid, name in children.items() if "deployments.prefect_server".startswith(name))
    worker = next(pid for pid, name in children.items() if "prefect worker".startswith(name.strip()))
    database = sum(file.stat().st_size for file in (folder / "prefect").glob("prefect.db*"))
    lake = sum(file.stat().st_size for file in (folder / "lake").rglob("*") if file.is_file())
    return Measured(
        *(run, seconds, state, _memory(server), _memory(worker), database / MIB, lake / MIB),
        *(len(os.listdir(f"/proc/{pid}/fd")) for pid in (server, worker)),
        temporary=len(list((folder / "tmp").iterdir())),
        processes=len(children),
    )


def _children(parent: int) -> dict[int, str]:
    """Names of all processes below a process, the nearest first: the beginning of module and arguments."""
    parents, words = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, above = (path / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if state == "Z":  # ended; a fork of a fork is not waited for
                continue
            parents[int(path.name)] = int(above)
            words[int(path.name)] = (path / "comm").read_text().rstrip("\n")
        except (OSError, IndexError):
            continue
    found: dict[int, str] = {}
    level = {parent}
    while level:
        level = {pid for pid, above in parents.items() if above in level}
        found |= {pid: words[pid] for pid in level}
    return found


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def table(found: list[Measured]) -> str:
    """First, middle and last runs as Markdown, and the growth per run."""
    count = len(found)
    shown = sorted({0, 1, count // 4, count // 2, 3 * count // 4, count - 2, count - 1} & set(range(count)))
    lines = ["| " + " | ".join(row) + " |" for row in (HEADS, ["---"] * len(HEADS), *(found[k].row() for k in shown))]
    completed = sum(one.state not in ("Failed", "Crashed", "not finished") for one in found)
    return "\n".join([*lines, "", f"{count} runs, {completed} of them completed. {growth(found)}"])


def growth(found: list[Measured]) -> str:
    """Slope per run after the first tenth, in which caches fill: least squares."""
    rest = found[len(found) // 10 :]
    if len(rest) < FEWEST_FOR_A_SLOPE:
        return "Too few runs for a slope."
    measured = {
        "seconds": [one.seconds for one in rest],
        "MiB of the server": [one.server_mib for one in rest],
        "MiB of the worker": [one.worker_mib for one in rest],
        "MiB of the database": [one.database_mib for one in rest],
        "MiB of the lake": [one.lake_mib for one in rest],
        "open files of the server": [one.server_files for one in rest],
        "open files of the worker": [one.worker_files for one in rest],
    }
    slopes = {
        name: np.polyfit(np.arange(len(rest)), np.asarray(values, dtype=float), 1)[0]
        for name, values in measured.items()
    }
    return "Growth per run after the first tenth: " + ", ".join(f"{slopes[name]:+.2f} {name}" for name in slopes) + "."


def age(folder: Path, weeks: dict[str, int], last: int) -> None:
    """Make everything but the last weeks' records and files older than the limits: 200 days."""
    with sqlite3.connect(folder / "prefect" / "prefect.db", timeout=60) as database:
        ids = "SELECT id FROM flow_run WHERE end_time IS NOT NULL ORDER BY end_time DESC LIMIT -1 OFFSET ?"
        for table, columns in (("flow_run", ("end_time", "created")), ("events", ("occurred",))):
            chosen = f"id IN ({ids})" if table == "flow_run" else "? > 0"
            for column in columns:
                older = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{DAYS_OLDER} days') || '000'"
                database.execute(f"UPDATE {table} SET {column} = {older} WHERE {chosen}", (WEEKS_KEPT,))
        database.execute(f"UPDATE event_resources SET occurred = datetime('now', '-{DAYS_OLDER} days')")
    old = (datetime.now(UTC) - timedelta(days=DAYS_OLDER)).timestamp()
    for key, week in weeks.items():
        if week <= last - WEEKS_KEPT:
            with suppress(FileNotFoundError):
                os.utime(folder / "lake" / key, (old, old))


def removed(folder: Path, weeks: dict[str, int], last: int) -> str:
    """Let the server and prune remove what is old; one sentence about what is left."""

    def used() -> tuple[int, float, float]:
        with sqlite3.connect(folder / "prefect" / "prefect.db", timeout=60) as database:
            (runs,) = database.execute("SELECT count(end_time) FROM flow_run").fetchone()
            pragmas = ("page_count", "freelist_count", "page_size")
            pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
        return runs, (pages - free) * size / MIB, pages * size / MIB

    before = used()
    lake = open_lake(str(folder / "lake"))
    lake_before = sum(found.bytes for found in lake.objects("").values()) / MIB
    age(folder, weeks, last)
    until = time.monotonic() + SECONDS_TO_REMOVE
    while used()[0] > WEEKS_KEPT and time.monotonic() < until:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    time.sleep(2 * float(IMPATIENT["PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS"]))
    after = used()
    prune(lake, timedelta(weeks=WEEKS_KEPT), datetime.now(UTC), dry_run=False)
    kept = lake.objects("")
    checked, problems = verify(lake)
    published = sum(found.bytes for key, found in kept.items() if key.startswith(("runs/", "versions/"))) / MIB
    return (
        f"With all but the last {WEEKS_KEPT} weeks {DAYS_OLDER} days older: the server removed "
        f"{before[0] - after[0]} of {before[0]} runs; records in the database {before[1]:.1f} MiB, afterwards "
        f"{after[1]:.1f} (the file keeps its {after[2]:.1f} MiB and reuses them). `restock prune`: lake "
        f"{lake_before:.1f} MiB, afterwards {sum(found.bytes for found in kept.values()) / MIB:.1f}, of it "
        f"{published:.1f} of publications; {checked} published folders verified, {len(problems)} problems."
    )


def main() -> int:
    """Run the weeks, print and write the table; exit code 1 if a run did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=600.0, help="start no further run after this time")
    chosen = parser.parse_args()
    begun, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = write_company(folder, chosen.runs)
        weeks: dict[str, int] = {}
        with served(folder, settings) as (api, process):
            print(" ".join(HEADS), flush=True)
            for number in range(1, chosen.runs + 1):
                if time.monotonic() - begun > chosen.minutes * 60:
                    break
                seconds, state = run_week(api, FIRST + timedelta(weeks=number))
                found.append(measure(number, seconds, state, folder, process))
                weeks |= {key: number for key in open_lake(str(folder / "lake")).keys("") if key not in weeks}
                print("\t".join(found[-1].row()), flush=True)
            text = f"{table(found)}\n\n{removed(folder, weeks, len(found))}"
    print(text)
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 0 if found and all(one.state not in ("Failed", "Crashed", "not finished") for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
