"""Time and memory of a weekly run: the full demo company, or the settings file that is given.

Usage: .venv/bin/python benchmarks/weekly_run.py [--settings FILE --as-of DATE]

Prints wall and CPU seconds of the whole command, the resident memory of its largest process, and the
seconds per stage from the run's manifest. The lake is a temporary folder, so nothing is reused.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tasks.demo.company import write_demo_company
from tasks.demo.timeline import AS_OF


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--as-of", default=AS_OF.isoformat())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = given.settings or write_demo_company(Path(folder), "full", seed=7)
        lake = Path(folder) / "lake"
        command = ["-m", "flows", "weekly", "--settings", str(settings), "--as-of", given.as_of]
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, *command, "--set", f"storage={lake}"], check=False)
        wall = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        manifest = lake / "runs" / given.as_of / "manifest.json"
        stages = json.loads(manifest.read_text("utf-8")) if manifest.exists() else {}
    print(f"exit code {done.returncode}; wall {wall:.0f} s; CPU {used.ru_utime + used.ru_stime:.0f} s")
    print(f"largest process {used.ru_maxrss / 2**20:.2f} GiB")
    print(json.dumps({key: value for key, value in stages.items() if "seconds" in key}, indent=2))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
