"""``make audit``: known vulnerabilities of the packages in requirements.lock, from PyPI's advisories.

Exit codes: 0 = every package was looked up and has no known vulnerability; 1 = vulnerabilities; 2 = some packages could
not be looked up, for example without the internet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
SECONDS = 900


def judged(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code and the lines to print.

    Args:
        dependencies: of pip-audit's JSON: ``name``, ``version`` and ``vulns``, or ``name`` and ``skip_reason``.
    """
    skipped = [one["name"] for one in dependencies if "skip_reason" in one]
    found = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability.get('fix_versions', [])) or 'no version'}"
        for one in dependencies
        for vulnerability in one.get("vulns", [])
    ]
    audited = len(dependencies) - len(skipped)
    lines = [*found, f"{audited} of {len(dependencies)} packages looked up, {len(found)} known vulnerabilities."]
    if skipped or not dependencies:
        named = ", ".join(skipped[:5])
        lines.append(f"NOT AUDITED: {len(skipped)} packages could not be looked up ({named}). Is PyPI reachable?")
    return (2 if skipped or not dependencies else 1 if found else 0), lines


def main() -> int:
    """Run pip-audit on the lock file and judge its answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"NOT AUDITED: pip-audit failed.\n{done.stderr}")  # noqa: T201
        return 2
    code, lines = judged(dependencies)
    print("\n".join(lines))  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
