"""DeepAR's configurations compared on the periods that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from schemas import columns as c
from schemas.deepar import ConfigurationRecord, DeepArChoice, DeepArTrial
from schemas.errors import TrainingError
from schemas.panel import Fold
from schemas.records import PanelRef, Record
from schemas.settings import DeepArConfiguration
from schemas.settings.slices import QuantileSlice
from tasks.demand.stored import load_panel
from tasks.evaluation.backtest.split import attach_actuals
from tasks.evaluation.metrics.table import OVERALL, metrics_table, seasonal_scales
from tasks.evaluation.selection.configurations import rank_configurations
from tasks.storage.json_rows import rows_of
from tasks.storage.lake import Lake

COMPARED = [c.RMSE, c.MAE, c.WAPE, c.WQL, c.SHARE_EXCELLENT, c.SHARE_GOOD, c.SHARE_ACCEPTABLE, c.SHARE_POOR, c.N]


class ChoiceInputs(Record):
    """Trained configurations and the periods that they are compared on."""

    panel: PanelRef
    trial: DeepArTrial
    records: list[ConfigurationRecord]


def choose_without_comparison(
    records: Sequence[ConfigurationRecord], configurations: Sequence[DeepArConfiguration]
) -> DeepArChoice | None:
    """Return the first configuration if insufficient history leaves none to compare; None if one has a forecast.

    Args:
        records: trained configurations.
        configurations: the configurations of the settings, in order.

    Raises:
        TrainingError: a configuration failed for another reason, and none has a forecast.
    """
    if any(record.forecast is not None for record in records):
        return None
    broken = [record.failed for record in records if not record.kind.is_insufficient_history]
    if broken:
        raise TrainingError("DeepAR: no configuration could be trained. " + "; ".join(broken))
    why = "the first configuration of the settings: insufficient history for a comparison" + "".join(
        f" ({record.failed})" for record in records[:1]
    )
    return DeepArChoice(configuration=configurations[0], why=why)


def choose_configuration(lake: Lake, inputs: ChoiceInputs, use: QuantileSlice) -> DeepArChoice:
    """Choose the configuration with the lowest RMSE on the test periods.

    :func:`tasks.evaluation.selection.configurations.rank_configurations` sorts them.

    All are compared with the same actuals, those of the cleaned demand.
    """
    trial, records = inputs.trial, inputs.records
    base = load_panel(lake, inputs.panel, use.period).until(trial.history)
    rows = pd.concat(
        [lake.read_table(record.forecast) for record in records if record.forecast is not None], ignore_index=True
    )
    split = attach_actuals(rows, base, base.horizon_periods[0], use.quantiles)
    fold = Fold(base.periods[trial.known], trial.known)
    table = metrics_table(split.backtest, seasonal_scales(base, [fold]), use.quantiles)
    order = rank_configurations(table[table[c.LEVEL] == OVERALL].set_index(c.MODEL))
    by_label = {record.configuration.label: record for record in records}
    shown = rows_of(order[COMPARED].reset_index().rename(columns={c.MODEL: "configuration"}))
    for row in shown:
        model = by_label[row["configuration"]].model
        row |= {
            "job": model.job if model else "",
            **{name: round(value, 4) for name, value in (model.metrics if model else {}).items()},
        }
    shown += [{"configuration": r.configuration.label, "failed": r.failed} for r in records if r.failed]
    return DeepArChoice(
        configuration=by_label[str(order.index[0])].configuration,
        why=f"RMSE {order[c.RMSE].iloc[0]:.4g} over {trial.window} periods, the best of {len(order)}",
        summary={"configurations": shown},
        billed=[job for record in records for job in record.billed],
    )
