"""Constants of the inventory plan; the accuracy guard does not plan."""

from __future__ import annotations

from benchmarks.constants import evidence as e
from benchmarks.constants.record import Group


def _constant(path: str, data: str, unit: str, meaning: str) -> Group:
    return Group(e.INVENTORY, f"tasks.inventory.{path}", data, {"": unit}, meaning, unmeasured=e.NO_FORECAST)


GROUPS = (
    _constant("replay.overstock_cost:FACTORS", e.D6, "factor", "Overstock cost multipliers that the replay compares."),
    _constant(
        "replay.overstock_cost:SHRINKAGE",
        e.D6,
        "review periods",
        "Prior weight of the multiplier 1: the best multiplier is shrunk toward it by n / (n + k).",
    ),
    _constant(
        "replay.overstock_cost:FEWEST_REVIEWS", e.D6, "review periods", "With fewer known costs nothing is calibrated."
    ),
    _constant(
        "replay.overstock_cost:FEWEST_CELLS", e.D6, "series periods", "With fewer known costs nothing is calibrated."
    ),
    _constant(
        "replay.overstock_cost:TIE", e.D6, "fraction", "Multipliers whose costs differ by less count as equally good."
    ),
    _constant(
        "model.demand_paths:DEFAULT_PERSISTENT",
        e.UNRECORDED,
        "fraction",
        "Persistent part of the error variance without enough folds.",
    ),
    _constant(
        "model.demand_paths:DEFAULT_AUTOREGRESSIVE",
        e.UNRECORDED,
        "fraction",
        "Autoregressive part of the rest of the error variance without enough folds.",
    ),
    _constant(
        "model.demand_paths:DEFAULT_COMMON",
        e.UNRECORDED,
        "fraction",
        "Part that the series share of the error variance without enough folds.",
    ),
    _constant(
        "model.demand_paths:LARGEST_SHARE", e.UNRECORDED, "fraction", "Upper limit of each part of the error variance."
    ),
    _constant(
        "model.demand_paths:FEWEST_PAIRS",
        e.UNRECORDED,
        "pairs",
        "With fewer pairs of residuals the default correlations are used.",
    ),
    _constant(
        "model.demand_paths:LONGEST_TAIL",
        e.UNRECORDED,
        "factor",
        "Upper limit of the mean excess over the highest quantile, as a multiple of the other quantiles' size.",
    ),
    _constant(
        "model.loss_function:SHRINKAGE",
        e.UNRECORDED,
        "units",
        "Prior weight of the store's variance ratio against that of the series.",
    ),
    _constant(
        "model.loss_function:SHRINKAGE_PATHS", e.UNRECORDED, "paths", "Sample paths to which that prior weight refers."
    ),
    _constant("search.store_search:SHARES", e.UNRECORDED, "fraction", "Shares of its capacity that a store may use."),
    _constant(
        "search.store_search:HOLDING_FACTORS", e.UNRECORDED, "factor", "Multiples of the holding cost that are tried."
    ),
    _constant(
        "search.store_search:FITNESS_PATHS", e.LIMIT, "paths", "Sample paths on which generations are evaluated."
    ),
    _constant(
        "search.store_search:RAMP", e.UNRECORDED, "fraction", "Share of the capacity over which its limit is smoothed."
    ),
    _constant("search.store_search:SHARE_STEP", e.UNRECORDED, "fraction", "Step of the share of a single delivery."),
    _constant("search.store_search:ROUNDS", e.LIMIT, "rounds", "Rounds of the local search."),
    _constant(
        "search.store_search:SMALLEST_GAIN", e.LIMIT, "fraction", "A round that saves less cost ends the local search."
    ),
    _constant(
        "allocation.sku_shares:RECENT_TRUST", e.UNRECORDED, "units", "Prior weight of all sales against recent sales."
    ),
    _constant(
        "allocation.sku_shares:STORE_TRUST", e.UNRECORDED, "units", "Prior weight of the network against the store."
    ),
    _constant(
        "allocation.sku_shares:SIZE_TRUST", e.UNRECORDED, "units", "Prior weight of the size curve against the SKU."
    ),
    _constant(
        "allocation.assortment:NEAREST_RUN",
        e.D5,
        "fraction",
        "A style gets its whole size run if its part of the level is at least this fraction of it, otherwise nothing.",
    ),
    _constant(
        "allocation.assortment:NEARLY_ALL",
        e.UNRECORDED,
        "fraction",
        "Sizes at the end of SKUs without a delimiter are read if at least this fraction of the SKUs has one.",
    ),
    _constant(
        "allocation.shortages:SHARE_OF_PATHS",
        e.UNRECORDED,
        "fraction",
        "A store is reported as over capacity if more than this fraction of the sample paths exceeds it on a day.",
    ),
)
