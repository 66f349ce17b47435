"""One forecast by AutoGluon-TimeSeries, in a separate environment: imports nothing of Restock.

Usage: .venv-autogluon/bin/python benchmarks/accuracy/autogluon_run.py FOLDER

FOLDER holds history.parquet (unique_id, ds, y, known covariates), ahead.parquet (the same without y, for the horizon),
statics.parquet (unique_id and static features) and task.json (horizon, freq, levels, seconds, preset, seed). Writes
forecast.parquet: unique_id, ds, mean and one column per level, named by the level.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd

ID, DATE, VALUE = "unique_id", "ds", "y"
# Their weights would have to be loaded from a hub.
PRETRAINED = ["Chronos", "Chronos2", "Toto", "Toto2"]


def main(folder: Path) -> None:
    """Fit and forecast what lies in the folder."""
    from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

    warnings.simplefilter("ignore")
    task = json.loads((folder / "task.json").read_text("utf-8"))
    names = [name for name in pd.read_parquet(folder / "ahead.parquet").columns if name not in (ID, DATE)]

    def read(name: str, statics: pd.DataFrame | None = None) -> TimeSeriesDataFrame:
        rows = pd.read_parquet(folder / f"{name}.parquet")
        return TimeSeriesDataFrame.from_data_frame(rows, ID, DATE, static_features_df=statics)

    history = read("history", pd.read_parquet(folder / "statics.parquet"))
    predictor = TimeSeriesPredictor(
        target=VALUE,
        prediction_length=task["horizon"],
        freq=task["freq"],
        eval_metric="WQL",
        quantile_levels=task["levels"],
        known_covariates_names=names,
        path=str(folder / "models"),
        verbosity=1,
    )
    predictor.fit(
        history,
        presets=task["preset"],
        time_limit=task["seconds"],
        excluded_model_types=PRETRAINED,
        random_seed=task["seed"],
    )
    found = predictor.predict(history, known_covariates=read("ahead") if names else None, random_seed=task["seed"])
    rows = found.to_data_frame() if hasattr(found, "to_data_frame") else pd.DataFrame(found)
    rows = rows.reset_index().rename(columns={"item_id": ID, "timestamp": DATE})
    rows.to_parquet(folder / "forecast.parquet", index=False)
    print(predictor.leaderboard().to_string(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
