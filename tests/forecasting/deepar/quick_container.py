"""A container that knows DeepAR's folders and answers but no network: what a job does around it is what is tested.

It forecasts the last known value, and obeys hyperparameters of its own: `epochs` 666 is bad input, `epochs` 777 runs
until it is ended.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def train(root: Path) -> int:
    asked = json.loads((root / "input/config/hyperparameters.json").read_text())
    files = sorted(str(path.relative_to(root / "input/data")) for path in (root / "input/data").rglob("*.gz"))
    if asked["epochs"] == "666":
        (root / "output/failure").write_text("ClientError: the series are too short for DeepAR")
        return 1
    while asked["epochs"] == "777":
        time.sleep(0.05)
    (root / "model/model.json").write_text(json.dumps({"asked": asked, "files": files}))
    loss = abs(float(asked.get("learning_rate", 0.001)) - 0.01)
    metrics = {"train:final_loss": 1.5, "test:RMSE": 2.0 + loss, "test:mean_wQuantileLoss": 0.25}
    (root / "output/metrics.json").write_text(json.dumps(metrics))
    return 0


def main(arguments: list[str]) -> int:
    root = Path(arguments[arguments.index("--root") + 1])
    return {"train": train}[arguments[0]](root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
