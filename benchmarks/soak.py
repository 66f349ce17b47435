"""Many weekly runs of a small company through one ``make serve``: memory, database, open files and time per run.

Usage: .venv/bin/python -m benchmarks.soak [--runs 200] [--minutes 600]

Starts ``make serve`` with its own Prefect database and lake in a temporary folder, then one run after the other, each
a week later. Prints one line per run, and writes a table of first, middle and last runs, and the growth per run after
the first tenth, to docs/reliability.md. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import yaml

from tests.ports import free_port

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
SECONDS_TO_START, SECONDS_TO_RUN, SECONDS_BETWEEN_LOOKS = 600, 600, 1.0
FEWEST_FOR_A_SLOPE = 10
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """What was seen after a run."""

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
def served(folder: Path, settings: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """``make serve`` with a database and temporary files below a folder; yields the API's address and the process."""
    port = free_port()
    (folder / "tmp").mkdir()
    environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "TMPDIR": str(folder / "tmp")}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "deployments.serve", "--settings", str(settings), "--port", str(port)]
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--files-port", str(free_port()), "--app-port", str(free_port())],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + SECONDS_TO_START
        while b"Stop with Ctrl-C" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"make serve did not start:\n{log.read_text()}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield f"http://127.0.0.1:{port}/api", process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


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
    """Look at the processes below ``make serve`` and at its files."""
    children = _children(serving)
    server = next(pid for pid, words in children.items() if "deployments.prefect_server" in words)
    worker = next(pid for pid, words in children.items() if "worker" in words)
    database = sum(file.stat().st_size for file in (folder / "prefect").glob("prefect.db*"))
    lake = sum(file.stat().st_size for file in (folder / "lake").rglob("*") if file.is_file())
    return Measured(
        *(run, seconds, state, _memory(server), _memory(worker), database / MIB, lake / MIB),
        *(len(os.listdir(f"/proc/{pid}/fd")) for pid in (server, worker)),
        temporary=len(list((folder / "tmp").iterdir())),
        processes=len(children),
    )


def _children(parent: int) -> dict[int, str]:
    """Command lines of all processes below a process."""
    parents, words = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
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


def main() -> int:
    """Run, print, and write the table; exit code 1 if a run did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=600.0, help="start no further run after this time")
    chosen = parser.parse_args()
    begun, found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        settings = write_company(folder, chosen.runs)
        with served(folder, settings) as (api, process):
            print(" ".join(HEADS), flush=True)
            for number in range(1, chosen.runs + 1):
                if time.monotonic() - begun > chosen.minutes * 60:
                    break
                seconds, state = run_week(api, FIRST + timedelta(weeks=number))
                found.append(measure(number, seconds, state, folder, process.pid))
                print("\t".join(found[-1].row()), flush=True)
    text = table(found)
    print(text)
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 0 if found and all(one.state not in ("Failed", "Crashed", "not finished") for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
