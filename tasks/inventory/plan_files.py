"""Files of ``restock plan``: problem folder and output folder (docs/reference/contract.md#problem-folder)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from pydantic import Field, ValidationError

from schemas import columns as c
from schemas.errors import ConfigError, DataContractError, first_few
from schemas.plan import FloatArray, PlanProblem
from schemas.settings import InventorySettings, Strict
from schemas.spreadsheets import neutralized
from tasks.configuration.problems import check_plain_values, in_words
from tasks.configuration.settings_file import complete_tree, parse_override
from tasks.inventory.registry import unknown_policies

PROBLEM_FILE = "problem.yaml"
_ID_COLUMNS = (c.STORE_ID, c.CATEGORY)


class _Terms(Strict):
    """Content of problem.yaml."""

    inventory: InventorySettings
    periods_per_week: int = Field(ge=1)
    seed: int = Field(ge=0)
    max_visits_per_period: int | None = Field(default=None, ge=1)

    @property
    def settings(self) -> InventorySettings:
        """The inventory settings; the default review period is a week."""
        if "review_period" in self.inventory.model_fields_set:
            return self.inventory
        return self.inventory.model_copy(update={"review_period": self.periods_per_week})

    @property
    def visit_limit(self) -> int | None:
        """The smaller of the two limits on deliveries per period; None without a limit."""
        given = [
            limit for limit in (self.max_visits_per_period, self.inventory.max_visits_per_period) if limit is not None
        ]
        return min(given) if given else None


def read_problem(folder: Path, overrides: Sequence[str] = ()) -> PlanProblem:
    """Read a problem folder: demand, stores, stock, optional dc_stock (parquet or csv) and problem.yaml.

    Args:
        folder: the problem folder.
        overrides: ``key.path=value`` texts that replace values of problem.yaml.

    Returns:
        The plan problem. Prices are the cost of a lost unit. A store without a ``visit_cost`` has one delivery per
        review period.

    Raises:
        ConfigError: the folder or problem.yaml is missing, or problem.yaml has invalid content.
        DataContractError: a table is missing, has missing columns or invalid values.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"problem folder {folder} does not exist; set --problem to the folder that contains {PROBLEM_FILE}"
        )
    terms = _read_terms(folder / PROBLEM_FILE, overrides)
    demand = _read_demand(folder)
    stores = _read_stores(folder, demand)
    stock = _read_stock(folder, stores)
    dc_stock = _read_dc_stock(folder)
    return _assemble(terms, demand, stores, stock, dc_stock)


def _read_terms(path: Path, overrides: Sequence[str]) -> _Terms:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; it must contain inventory, periods_per_week and seed")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path} must be a mapping with inventory, periods_per_week and seed, got {given!r}")
    changes = [(override, parse_override(override)) for override in overrides]
    tree, _, problems = complete_tree(_Terms, given, path.name, changes)
    if tree.get("inventory", "") is None:
        tree["inventory"] = {}
    tree, found = check_plain_values(_Terms, tree)
    problems += found
    try:
        terms = _Terms.model_validate(tree)
    except ValidationError as error:
        problems += in_words(_Terms, tree, error)
    problems += unknown_policies(tree)
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise ConfigError(f"{path} has {len(problems)} problem(s):{lines}")
    return terms


def _find(folder: Path, name: str, required: bool = True) -> Path | None:
    found = [folder / f"{name}{suffix}" for suffix in (".parquet", ".csv", ".csv.gz")]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        raise DataContractError(f"{folder} contains {first_few([p.name for p in found])}; keep one file for {name}")
    if not found and required:
        raise DataContractError(f"{folder} contains no {name}.parquet or {name}.csv; add it")
    return found[0] if found else None


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            frame = pq.read_table(path).to_pandas()
        else:
            text = dict.fromkeys(_ID_COLUMNS, str)
            frame = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={})
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataContractError(f"{path} could not be read: {error}") from error
    if frame.empty:
        raise DataContractError(f"{path} has no rows; add at least one")
    return frame


def _require(path: Path, frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataContractError(f"{path}: missing columns {first_few(missing)}; found {first_few(list(frame.columns))}")


def _with_text_ids(path: Path, frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    frame = frame.copy()
    for name in names:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.dtype.categories.dtype)
        empty = values.isna() | values.astype(str).eq("")
        _require_valid(path, frame, name, empty, "a label")
        frame[name] = values.astype(np.int64).astype(str) if _is_whole_float(values) else values.astype(str)
    return frame


def _is_whole_float(values: pd.Series) -> bool:
    return bool(pd.api.types.is_float_dtype(values) and (values % 1 == 0).all())


def _numbers(
    path: Path, frame: pd.DataFrame, name: str, minimum: float = 0.0, empty: float | None = None, infinite: bool = False
) -> FloatArray:
    """A column as floats; empty cells get the value ``empty`` (an error if None)."""
    values = frame[name]
    blank = values.isna() | values.astype(str).str.strip().eq("")
    numbers = pd.to_numeric(values.where(~blank), errors="coerce").astype(float)
    bad = (numbers.isna() & ~blank) | (numbers < minimum) | (np.isinf(numbers) & (not infinite))
    if empty is None:
        bad |= blank
    _require_valid(path, frame, name, bad, f"a number of at least {minimum:g}")
    filled = numbers.to_numpy(dtype=float, copy=True)
    if empty is not None:
        filled[blank.to_numpy()] = empty
    return filled


def _require_valid(path: Path, frame: pd.DataFrame, name: str, bad: pd.Series, expected: str) -> None:
    if not bad.any():
        return
    rows = np.flatnonzero(bad.to_numpy())
    got = [f"row {row + 1}: {frame[name].iloc[row]!r}" for row in rows[:5]]
    raise DataContractError(
        f"{path}: column {name} has invalid values in {len(rows)} rows ({'; '.join(got)}); expected {expected}"
    )


def _no_repeats(path: Path, frame: pd.DataFrame, key: list[str]) -> None:
    repeated = frame[frame.duplicated(key)]
    if len(repeated):
        shown = [" / ".join(map(str, row)) for row in repeated[key].itertuples(index=False)]
        raise DataContractError(f"{path}: repeated rows of {', '.join(key)}: {first_few(shown)}; keep one row each")


def _path_columns(frame: pd.DataFrame) -> list[str]:
    numbers = sorted(int(name[1:]) for name in frame.columns if name[0] == "s" and name[1:].isdigit())
    return [c.sample_path_column(number) for number in numbers]


def _read_demand(folder: Path) -> pd.DataFrame:
    path = _find(folder, c.DEMAND)
    assert path is not None  # required
    frame = _read(path)
    _require(path, frame, (c.STORE_ID, c.CATEGORY, c.T, c.MEAN, c.PRICE))
    frame = _with_text_ids(path, frame, _ID_COLUMNS)
    frame[c.T] = _numbers(path, frame, c.T)
    _require_valid(path, frame, c.T, frame[c.T] % 1 != 0, "a whole period number")
    frame[c.T] = frame[c.T].astype(np.int64)
    for name in (c.MEAN, c.PRICE, *_path_columns(frame)):
        frame[name] = _numbers(path, frame, name)
    _no_repeats(path, frame, [c.STORE_ID, c.CATEGORY, c.T])
    return frame


def _read_stores(folder: Path, demand: pd.DataFrame) -> pd.DataFrame:
    path = _find(folder, "stores")
    assert path is not None  # required
    frame = _read(path)
    _require(path, frame, (c.STORE_ID,))
    frame = _with_text_ids(path, frame, (c.STORE_ID,))
    for name, empty in ((c.STORAGE_CAPACITY, np.inf), (c.VISIT_COST, np.nan)):
        frame[name] = _numbers(path, frame, name, empty=empty, infinite=True) if name in frame.columns else empty
    _no_repeats(path, frame, [c.STORE_ID])
    unknown = sorted(set(demand[c.STORE_ID]) - set(frame[c.STORE_ID]))
    if unknown:
        raise DataContractError(f"{path}: no rows for the stores {first_few(unknown)} of the demand table; add them")
    return frame.sort_values(c.STORE_ID, ignore_index=True)


def _read_stock(folder: Path, stores: pd.DataFrame) -> pd.DataFrame:
    path = _find(folder, c.STOCK)
    assert path is not None  # required
    frame = _read(path)
    _require(path, frame, (c.STORE_ID, c.CATEGORY, c.ON_HAND))
    frame = _with_text_ids(path, frame, _ID_COLUMNS)
    for name in (c.ON_HAND, *_transit_columns(frame)):
        frame[name] = _numbers(path, frame, name, empty=None if name == c.ON_HAND else 0.0)
    _no_repeats(path, frame, [c.STORE_ID, c.CATEGORY])
    unknown = sorted(set(frame[c.STORE_ID]) - set(stores[c.STORE_ID]))
    if unknown:
        raise DataContractError(f"{path}: stores {first_few(unknown)} are not in the stores table; add or remove them")
    return frame


def _transit_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the columns in_transit_1 … in_transit_k; in_transit means arrival in the first period."""
    names = [name for name in frame.columns if name == c.IN_TRANSIT or name.startswith(f"{c.IN_TRANSIT}_")]
    return [name for name in names if name == c.IN_TRANSIT or name.rsplit("_", 1)[1].isdigit()]


def _read_dc_stock(folder: Path) -> pd.DataFrame | None:
    path = _find(folder, "dc_stock", required=False)
    if path is None:
        return None
    frame = _read(path)
    _require(path, frame, (c.CATEGORY, c.AVAILABLE))
    frame = _with_text_ids(path, frame, (c.CATEGORY,))
    frame[c.AVAILABLE] = _numbers(path, frame, c.AVAILABLE, empty=np.inf, infinite=True)
    _no_repeats(path, frame, [c.CATEGORY])
    return frame


def _assemble(
    terms: _Terms, demand: pd.DataFrame, stores: pd.DataFrame, stock: pd.DataFrame, dc_stock: pd.DataFrame | None
) -> PlanProblem:
    store_ids = tuple(stores[c.STORE_ID])
    categories = tuple(sorted(set(demand[c.CATEGORY]) | set(stock[c.CATEGORY])))
    store_index, category_index = pd.Index(store_ids), pd.Index(categories)
    keys = [_keys(frame, store_index, category_index) for frame in (demand, stock)]
    series = np.unique(np.concatenate(keys))
    row, stock_row = (np.searchsorted(series, key) for key in keys)
    t = demand[c.T].to_numpy()
    periods = int(t.max()) + 1
    mean = _filled(demand[c.MEAN], row, t, (len(series), periods))
    names = _path_columns(demand)
    paths = np.stack([_filled(demand[name], row, t, mean.shape) for name in names]) if names else None
    on_hand = np.zeros(len(series))
    on_hand[stock_row] = stock[c.ON_HAND]
    visit_cost = stores[c.VISIT_COST].to_numpy(dtype=float)
    return PlanProblem(
        store_ids=store_ids,
        categories=categories,
        series_store=series // len(categories),
        series_category=series % len(categories),
        mean=mean,
        price=_prices(terms.settings, demand, row, t, mean.shape),
        on_hand=on_hand,
        in_transit=_in_transit(stock, stock_row, len(series)),
        capacity=stores[c.STORAGE_CAPACITY].to_numpy(dtype=float),
        visit_cost=np.nan_to_num(visit_cost, nan=0.0),
        dc_available=_dc_available(dc_stock, category_index),
        settings=terms.settings,
        periods_per_week=terms.periods_per_week,
        seed=terms.seed,
        paths=paths,
        max_visits_per_period=terms.visit_limit,
        free_visits=np.isnan(visit_cost),
    )


def _keys(frame: pd.DataFrame, stores: pd.Index, categories: pd.Index) -> np.ndarray:
    return stores.get_indexer(frame[c.STORE_ID]) * len(categories) + categories.get_indexer(frame[c.CATEGORY])


def _filled(values: pd.Series, row: np.ndarray, t: np.ndarray, shape: tuple[int, ...]) -> FloatArray:
    full = np.zeros(shape)
    full[row, t] = values
    return full


def _prices(
    settings: InventorySettings, demand: pd.DataFrame, row: np.ndarray, t: np.ndarray, shape: tuple[int, ...]
) -> FloatArray:
    if settings.shortage_cost != "price":
        return np.full(shape, float(settings.shortage_cost))
    return _filled(demand[c.PRICE], row, t, shape)


def _in_transit(stock: pd.DataFrame, row: np.ndarray, series: int) -> FloatArray:
    names = _transit_columns(stock)
    order = {name: 1 if name == c.IN_TRANSIT else int(name.rsplit("_", 1)[1]) for name in names}
    arriving = np.zeros((series, max(order.values(), default=0)))
    for name, period in order.items():
        arriving[row, period - 1] += stock[name].to_numpy()
    return arriving


def _dc_available(dc_stock: pd.DataFrame | None, categories: pd.Index) -> FloatArray:
    available = np.full(len(categories), np.inf)
    if dc_stock is not None:
        place = categories.get_indexer(dc_stock[c.CATEGORY])
        available[place[place >= 0]] = dc_stock[c.AVAILABLE].to_numpy()[place >= 0]
    return available


def write_solution(out: Path, tables: Mapping[str, pd.DataFrame], summary: Mapping[str, Any]) -> None:
    """Write one CSV file per table, then plan.yaml.

    Args:
        out: folder, created if needed.
        tables: file name without extension to its rows.
        summary: content of plan.yaml.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, frame in tables.items():
            _without_formulas(frame).to_csv(out / f"{name}.csv", index=False)
        (out / "plan.yaml").write_text(yaml.safe_dump(dict(summary), sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error}; choose a writable folder") from error


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Neutralize texts that a spreadsheet may execute, as in the published files."""

    def as_text(value: object) -> object:
        return neutralized(value) if isinstance(value, str) else value

    texts = frame.select_dtypes(exclude=["number", "datetime"]).columns
    return frame.assign(**{column: frame[column].map(as_text) for column in texts})
