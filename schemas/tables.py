"""The input tables: one definition of each, from which validation and documentation are made.

See docs/reference/contract.md#input-tables. Unlisted columns are kept as text if they can serve as features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas import columns as c

Kind = Literal["id", "text", "number", "date", "flag"]
# What a repeated key means: a structural error, a bad row, rows to add up, or nothing (lines may repeat).
Repeats = Literal["fault", "bad_row", "sum", "allowed"]
# A number of this size or above cannot be a quantity, a price or an amount.
LARGEST_NUMBER = 1e15
# Numbers closer to zero count as zero: they are rounding errors of decimal fractions.
SMALLEST_NUMBER = 1e-9


@dataclass(frozen=True)
class ColumnRule:
    """The permitted content of one column.

    Attributes:
        name: Restock's name of the column.
        kind: ``id`` and ``text`` are text as written, ``flag`` is 0/1 or true/false.
        required: the file must have the column.
        nullable: a row may leave it empty.
        minimum: smallest value of a number (inclusive); numbers are always finite.
        maximum: greatest value of a number (inclusive).
        references: table whose key column of the same name must hold the value.
        choices: the texts that the column may hold; empty = any.
        stated_from: a number below it, or a cell that is not a number, counts as not stated: the cell counts as empty,
            and an alarm lists it.
        open_ended: an impossible date such as 0000-00-00, or one before 1902 or after 2199, counts as not stated.
        zero_is_empty: many programs write 0 for an empty cell: it counts as empty, without an alarm.
        whole: a number with a fraction counts as not stated.
        floor: a smaller number counts as this one, and an alarm lists it.
        in_units: the number is a quantity in the unit of the column ``unit``.
        default: text of an empty cell, with an alarm; None = an empty cell stays empty.
    """

    name: str
    kind: Kind
    required: bool = False
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    references: str | None = None
    choices: tuple[str, ...] = ()
    stated_from: float | None = None
    open_ended: bool = False
    zero_is_empty: bool = False
    whole: bool = False
    floor: float | None = None
    in_units: bool = False
    default: str | None = None


@dataclass(frozen=True)
class TableContract:
    """One input table.

    Attributes:
        name: as in the settings' ``sources``.
        columns: the columns that the contract knows.
        key: columns that identify a row (those that the file has); empty = rows have no key.
        repeats: what a repeated key means.
        periodic: the date must be a label of the settings' frequency.
        numbered: prefixes of further number columns (``in_transit_1`` ...).
        may_be_empty: a file without rows is no error.
        handmade: people maintain the table: it may be empty, and bad rows never stop a run, regardless of their number.
    """

    name: str
    columns: tuple[ColumnRule, ...]
    key: tuple[str, ...] = ()
    repeats: Repeats = "allowed"
    periodic: bool = False
    numbered: tuple[str, ...] = ()
    may_be_empty: bool = False
    handmade: bool = False

    def rule(self, column: str) -> ColumnRule | None:
        """The rule of a column, or None if the contract does not know it."""
        for rule in self.columns:
            if rule.name == column:
                return rule
        if any(
            column.startswith(f"{prefix}_") and column.rsplit("_", 1)[1].strip("0").isdigit()
            for prefix in self.numbered
        ):
            return ColumnRule(column, "number", nullable=True, minimum=0, in_units=True)
        return None


def _store(required: bool = True, nullable: bool = False) -> ColumnRule:
    return ColumnRule(c.STORE_ID, "id", required=required, nullable=nullable, references="stores")


def _sku(required: bool = True, nullable: bool = False) -> ColumnRule:
    return ColumnRule(c.SKU, "id", required=required, nullable=nullable, references="products")


SALES = TableContract(
    "sales",
    (
        ColumnRule(c.DATE, "date", required=True),
        _store(),
        _sku(),
        ColumnRule(c.UNITS, "number", required=True, in_units=True),
        ColumnRule(c.NET_AMOUNT, "number", nullable=True),
        ColumnRule(c.UNIT, "text", nullable=True),
    ),
    periodic=True,
)
PRODUCTS = TableContract(
    "products",
    (
        ColumnRule(c.SKU, "id", required=True),
        ColumnRule(c.NAME, "text", nullable=True),
        ColumnRule(c.PRICE, "number", nullable=True, stated_from=SMALLEST_NUMBER),
        ColumnRule(c.BRAND, "text", nullable=True),
        ColumnRule(c.FAMILY, "text", nullable=True),
        ColumnRule(c.SUBFAMILY, "text", nullable=True),
        ColumnRule(c.CLUSTER, "text", nullable=True),
        ColumnRule(c.COLLECTION_STATUS, "text", nullable=True),
        ColumnRule(c.SIZE, "text", nullable=True),
        ColumnRule(c.COLOR, "text", nullable=True),
        ColumnRule(c.PACK_SIZE, "number", nullable=True, stated_from=1, whole=True, zero_is_empty=True),
        ColumnRule(c.MIN_PRESENTATION, "number", nullable=True, minimum=0),
        ColumnRule(c.LIKE, "id", nullable=True),
        ColumnRule(c.REPLACES, "id", nullable=True),
        ColumnRule(c.REPLACED_BY, "id", nullable=True),
        ColumnRule(c.REPLACED_ON, "date", nullable=True, open_ended=True),
    ),
    key=(c.SKU,),
    repeats="fault",
)
STORES = TableContract(
    "stores",
    (
        ColumnRule(c.STORE_ID, "id", required=True),
        ColumnRule(c.STORAGE_CAPACITY, "number", nullable=True, stated_from=SMALLEST_NUMBER),
        ColumnRule(c.DISPLAY_CAPACITY, "number", nullable=True, stated_from=SMALLEST_NUMBER),
        ColumnRule(c.VISIT_COST, "number", nullable=True, minimum=0),
        ColumnRule(c.STORE_TYPE, "text", nullable=True),
        ColumnRule(c.OPENED_ON, "date", nullable=True, open_ended=True),
        ColumnRule(c.CLOSED_ON, "date", nullable=True, open_ended=True),
    ),
    key=(c.STORE_ID,),
    repeats="fault",
)
STOCK = TableContract(
    "stock",
    (
        _store(),
        _sku(),
        ColumnRule(c.ON_HAND, "number", required=True, floor=0, in_units=True),
        ColumnRule(c.IN_TRANSIT, "number", nullable=True, minimum=0, in_units=True),
        ColumnRule(c.DATE, "date"),
        ColumnRule(c.UNIT, "text", nullable=True),
    ),
    key=(c.STORE_ID, c.SKU, c.DATE),
    repeats="sum",
    numbered=(c.IN_TRANSIT,),
)
DC_STOCK = TableContract(
    "dc_stock",
    (
        _sku(),
        ColumnRule(c.AVAILABLE, "number", required=True, floor=0, in_units=True),
        ColumnRule(c.RESERVE, "number", nullable=True, minimum=0, in_units=True),
        ColumnRule(c.DATE, "date"),
        ColumnRule(c.UNIT, "text", nullable=True),
    ),
    key=(c.SKU, c.DATE),
    repeats="sum",
)
DC_INBOUND = TableContract(
    "dc_inbound",
    (
        _sku(),
        ColumnRule(c.DATE, "date", required=True),
        ColumnRule(c.QUANTITY, "number", required=True, minimum=0, in_units=True),
        ColumnRule(c.UNIT, "text", nullable=True),
    ),
    key=(c.SKU, c.DATE),
    repeats="sum",
    # Often nothing is on order.
    may_be_empty=True,
)
CALENDAR = TableContract(
    "calendar",
    (
        ColumnRule(c.DATE, "date", required=True),
        _store(required=False),
        ColumnRule(c.OPEN, "flag", nullable=True),
        ColumnRule(c.HOLIDAY, "text", nullable=True),
        ColumnRule(c.EVENT, "text", nullable=True),
        ColumnRule(c.FROZEN, "flag", nullable=True),
    ),
    key=(c.DATE, c.STORE_ID),
    repeats="fault",
)
AVAILABILITY = TableContract(
    "availability",
    (
        ColumnRule(c.DATE, "date", required=True),
        _store(),
        _sku(),
        ColumnRule(c.IN_STOCK, "flag", required=True),
    ),
    key=(c.DATE, c.STORE_ID, c.SKU),
    repeats="bad_row",
    periodic=True,
)
PROMOTIONS = TableContract(
    "promotions",
    (
        _sku(),
        ColumnRule(c.DATE_FROM, "date", required=True),
        ColumnRule(c.DATE_TO, "date", required=True),
        _store(required=False, nullable=True),
        ColumnRule(c.PRICE, "number", nullable=True, minimum=0),
        ColumnRule(c.DISCOUNT, "number", nullable=True, minimum=0, maximum=1),
    ),
)
BUNDLES = TableContract(
    "bundles",
    (
        _sku(),
        ColumnRule(c.COMPONENT_SKU, "id", required=True, references="products"),
        ColumnRule(c.QUANTITY, "number", required=True, minimum=1e-6),
    ),
    key=(c.SKU, c.COMPONENT_SKU),
    repeats="fault",
)

EVENTS = TableContract(
    "events",
    (
        ColumnRule(c.NAME, "text", required=True),
        ColumnRule(c.DATE_FROM, "date", required=True),
        ColumnRule(c.DATE_TO, "date", required=True),
        ColumnRule(c.CATEGORY, "text", nullable=True),
        ColumnRule(c.UPLIFT, "number", nullable=True, stated_from=SMALLEST_NUMBER, maximum=100),
    ),
    handmade=True,
)

# What an override does to a target: replace it, multiply it, or limit it from above.
SET = "set"
MULTIPLY = "multiply"
CAP = "cap"
OVERRIDES = TableContract(
    "overrides",
    (
        _store(required=False, nullable=True),
        _sku(required=False, nullable=True),
        ColumnRule(c.CATEGORY, "text", nullable=True),
        ColumnRule(c.DATE_FROM, "date", required=True),
        ColumnRule(c.DATE_TO, "date", required=True),
        ColumnRule(c.ACTION, "text", required=True, choices=(SET, MULTIPLY, CAP)),
        ColumnRule(c.VALUE, "number", required=True, minimum=0, maximum=1_000_000),
        ColumnRule(c.REASON, "text", required=True),
        ColumnRule(c.AUTHOR, "text", required=True),
    ),
    handmade=True,
)

# Referenced tables come before those that refer to them.
TABLES: dict[str, TableContract] = {
    table.name: table
    for table in (
        *(STORES, PRODUCTS, SALES, STOCK, DC_STOCK, DC_INBOUND),
        *(CALENDAR, AVAILABILITY, PROMOTIONS, BUNDLES, EVENTS, OVERRIDES),
    )
}
