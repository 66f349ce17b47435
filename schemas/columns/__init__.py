"""Column names of all tables, one module per topic.

Code outside this package refers to a column by its constant: ``from schemas import columns as c``, then
``c.STORE_ID``. Functions make the numbered columns: :func:`quantile_column`, :func:`in_transit_column`
and :func:`sample_path_columns`.
"""

from __future__ import annotations

from schemas.columns.demand import *
from schemas.columns.forecasts import *
from schemas.columns.inputs import *
from schemas.columns.keys import *
from schemas.columns.metrics import *
from schemas.columns.performance import *
from schemas.columns.plans import *
from schemas.columns.targets import *
