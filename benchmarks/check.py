"""Time and memory of `restock init` and `restock check`: the full demo company, or the settings file that is given.

The full demo company has 2.8 million sale lines.

Usage: .venv/bin/python benchmarks/check.py [--settings FILE --as-of DATE]

Prints wall and CPU seconds and the peak resident memory of each command. The limits of `check` are 30 s and 2 GB on
two cores; figures are in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tasks.demo.company import write_demo_company
from tasks.demo.timeline import AS_OF


def measure(name: str, arguments: list[str]) -> int:
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "flows", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    shown = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    print(shown)
    cpu = used.ru_utime + used.ru_stime
    print(f"{name}: exit code {code}; wall {wall:.1f} s; CPU {cpu:.1f} s; peak {used.ru_maxrss / 2**20:.2f} GiB\n")
    return code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--as-of", default=AS_OF.isoformat())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = given.settings
        if settings is None:
            settings = write_demo_company(Path(folder), "full", seed=7)
            measure("init", ["init", str(settings.parent / "data"), "--settings", str(Path(folder) / "proposed.yaml")])
        code = measure("check", ["check", "--settings", str(settings), "--as-of", given.as_of])
    print(f"cores: {os.cpu_count()}")
    sys.exit(code)


if __name__ == "__main__":
    main()
