"""A table under Restock's column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.raw import RawTable
from schemas.settings import SourceSettings
from schemas.tables import ColumnRule, TableContract
from tasks.demand.ingest.left_out import LeftOut
from tasks.demand.ingest.parsing import ParsedColumn
from tasks.demand.ingest.units import Units


@dataclass(frozen=True)
class MappedTable:
    """A raw table under the contract's column names.

    Attributes:
        contract: its contract.
        raw: as it was read.
        source: how its files are written.
        names: Restock's column name to the files' name, in file order, further columns included.
        rules: the rules of the contract's columns that are present.
        parsed: Restock's column name to the typed column, for the columns with a rule.
        left_out: the rows that are not in ``raw``, because they are not data.
        ignored: rows left out, per file.
        units: factors of the quantities, and alarms about them.
        month_ends: its dates are last days of months, and were read as the first days.
    """

    contract: TableContract
    raw: RawTable
    source: SourceSettings
    names: Mapping[str, str]
    rules: tuple[ColumnRule, ...]
    parsed: Mapping[str, ParsedColumn]
    left_out: LeftOut
    ignored: NDArray[np.int64]
    units: Units
    month_ends: bool = False

    def written(self, column: str) -> pd.Series:
        """A column, by Restock's name, as the files have it."""
        return self.raw.frame[self.names[column]]

    def intact(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether some rows have as many cells as the header."""
        if not self.raw.malformed:
            return np.ones(len(rows), dtype=bool)
        return np.isin(rows, list(self.raw.malformed), invert=True)
