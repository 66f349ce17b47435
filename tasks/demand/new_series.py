"""New stores and new articles: pairs of store and SKU without history that get a forecast and a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.alarms import Alarm, raise_alarm
from schemas.errors import first_few, numbered
from tasks.demand.cleaning.prepared import Prepared
from tasks.demand.panel import static_features
from tasks.demand.rows_by_store import RowsByStore, store_ranges
from tasks.demand.sold_units import last_stock, sold_units


@dataclass(frozen=True)
class NewRule:
    """The rules by which a store or SKU without sales counts as new.

    Attributes:
        most_stores: stores without an opening date and without sales count as new if they are at most this fraction of
            all stores, or at most two. A table with more of them probably lists stores that do not operate.
        oldest_opening: a store without sales that opened longer ago than this is not new, days.
        fewest_alike: minimum number of comparable stores of the same type; with fewer, all stores are comparable.
        carried_by: a new store gets the SKUs that at least this fraction of the comparable stores has sold.
    """

    most_stores: float = 0.1
    oldest_opening: int = 182
    fewest_alike: int = 2
    carried_by: float = 0.5


@dataclass(frozen=True)
class NewPairs:
    """Pairs without history.

    Attributes:
        pairs: store_id, sku and expected_units (per 8 weeks, from comparable stores or SKUs).
        stores: new stores.
        articles: new SKUs.
        left_out: stores without sales that do not count as new.
    """

    pairs: pd.DataFrame
    stores: list[str] = field(default_factory=list)
    articles: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def new_pairs(prepared: Prepared, rule: NewRule | None = None) -> NewPairs:
    """Find new stores and articles, and what to expect of them.

    A store is new if the table lists it, nothing was sold there before the run date, and it is not closed. It gets the
    SKUs of the comparable stores, with their mean recent units.

    A SKU is new if it was not sold anywhere, and the distribution center or a store has it in stock, or the
    products say which SKU it is ``like``. A new SKU of the distribution center goes to every active store that sells
    its category (or the SKU that it is like); one that only a store has stays there. It is expected to sell like that
    SKU, else like the median of the store's SKUs of the category, else of all the store's SKUs.
    """
    rule = rule or NewRule()
    sold = RowsByStore.of(sold_units(prepared))
    stores, left_out = _new_stores(prepared, rule)
    parts = [_of_store(store, sold, prepared, rule) for store in stores]
    articles, from_articles = _articles(prepared, sold)
    columns = [c.STORE_ID, c.SKU, c.EXPECTED_UNITS]
    empty = pd.DataFrame({c.STORE_ID: [], c.SKU: [], c.EXPECTED_UNITS: []}).astype({c.EXPECTED_UNITS: np.float64})
    some = [part for part in (*parts, from_articles) if len(part)]
    pairs = pd.concat(some or [empty], ignore_index=True)[columns].astype({c.EXPECTED_UNITS: np.float64})
    pairs = pairs.drop_duplicates([c.STORE_ID, c.SKU]).sort_values([c.STORE_ID, c.SKU], ignore_index=True)
    pairs = pairs.astype({c.STORE_ID: object, c.SKU: object})
    return NewPairs(pairs, [s for s in stores if s in set(pairs[c.STORE_ID])], articles, left_out)


def new_series(prepared: Prepared, facts: pd.DataFrame) -> pd.DataFrame:
    """Series without a sales row that the new pairs need.

    Args:
        prepared: cleaned tables.
        facts: SKU facts of the new pairs.

    Returns:
        store_id, category, like (category of the SKU that the new one is like; missing if unknown), the static features
        of the panel's series, and opened_on if the stores table has it.
    """
    cells = prepared.cells
    products = prepared.products.assign(**{c.SKU: prepared.products[c.SKU].astype(str)}).set_index(c.SKU)
    like = _text(products, c.LIKE).reindex(facts[c.SKU]).fillna("").to_numpy()
    category = products[c.CATEGORY].reindex(like).to_numpy()
    rows = facts[[c.STORE_ID, c.CATEGORY]].assign(**{c.LIKE: category})
    rows = rows.sort_values([c.STORE_ID, c.CATEGORY, c.LIKE]).drop_duplicates([c.STORE_ID, c.CATEGORY])
    known = pd.MultiIndex.from_arrays([cells.stores[cells.series_store], cells.series_category])
    asked = pd.MultiIndex.from_frame(rows[[c.STORE_ID, c.CATEGORY]])
    rows = rows[~asked.isin(known)]
    rows = rows.reset_index(drop=True)
    features = static_features(prepared, rows[[c.STORE_ID, c.CATEGORY]])
    features.insert(2, c.LIKE, rows[c.LIKE])
    stores = prepared.tables["stores"]
    if c.OPENED_ON in stores.columns:
        opened = stores.set_index(stores[c.STORE_ID].astype(str))[c.OPENED_ON]
        features[c.OPENED_ON] = opened.reindex(rows[c.STORE_ID].astype(str)).to_numpy()
    return features


def new_alarms(found: NewPairs) -> list[Alarm]:
    """The alarms ``new_store`` and ``new_article``."""
    alarms = []
    if found.stores or found.left_out:
        text = numbered(len(found.stores), "# store[s] without sales [is|are] forecast from comparable stores")
        text += f": {first_few(found.stores)}" if found.stores else ""
        if found.left_out:
            more = numbered(len(found.left_out), "# more store[s] without sales get[s|] no target")
            text += f". {more}: {first_few(found.left_out)}. State opened_on for those that open, or remove them from "
            text += "the stores table"
        alarms.append(raise_alarm("new_store", text, stores=found.stores, count=len(found.stores)))
    if found.articles:
        text = numbered(len(found.articles), "# SKU[s] [has|have] no sales yet and get[s|] the share of similar SKUs")
        text += f": {first_few(found.articles)}"
        alarms.append(raise_alarm("new_article", text, skus=found.articles, count=len(found.articles)))
    return alarms


def superseded_alarm(prepared: Prepared) -> list[Alarm]:
    """The alarm ``superseded_sku``, in a list; empty if there are none."""
    found = sorted(prepared.replaced.items())
    if not found:
        return []
    text = numbered(len(found), "# SKU[s] [has|have] been replaced")
    text += ": successors inherit the sales, and the old ones are no longer sent: "
    text += f"{first_few([f'{old} (now {new})' for old, new in found])}"
    return [raise_alarm("superseded_sku", text, skus=[old for old, _ in found], count=len(found))]


def _new_stores(prepared: Prepared, rule: NewRule) -> tuple[list[str], list[str]]:
    """New stores, and the other stores without sales."""
    stores = prepared.tables["stores"]
    ids = stores[c.STORE_ID].astype(str)
    unsold = ~ids.isin(prepared.cells.stores) & ids.isin(_run_stores(prepared))
    as_of = pd.Timestamp(prepared.as_of)
    opened = pd.Series(pd.NaT, index=stores.index, dtype="datetime64[ns]")
    if c.OPENED_ON in stores.columns:
        opened = pd.to_datetime(stores[c.OPENED_ON], errors="coerce")
    earliest, latest = as_of - pd.Timedelta(days=rule.oldest_opening), prepared.axis.periods[-1]
    dated = unsold & opened.between(earliest, latest)
    undated = unsold & opened.isna()
    if undated.sum() > max(2.0, rule.most_stores * len(stores)):
        return sorted(ids[dated]), sorted(ids[undated])
    return sorted(ids[dated | undated]), []


def _run_stores(prepared: Prepared) -> set[str]:
    """Stores that the table lists, without those that are closed."""
    stores = prepared.tables["stores"]
    if c.CLOSED_ON in stores.columns:
        closed = pd.to_datetime(stores[c.CLOSED_ON], errors="coerce") <= pd.Timestamp(prepared.as_of)
        stores = stores[~closed]
    return set(stores[c.STORE_ID].astype(str))


def _of_store(store: str, sold: RowsByStore, prepared: Prepared, rule: NewRule) -> pd.DataFrame:
    """SKUs of a new store, with the mean recent units of the comparable stores."""
    units = sold.frame
    run = _run_stores(prepared)
    alike = sorted(run & set(units.loc[units[c.RECENT_UNITS] > 0, c.STORE_ID].unique()))
    stores = prepared.tables["stores"]
    if c.STORE_TYPE in stores.columns:
        types = pd.Series(stores[c.STORE_TYPE].astype(str).to_numpy(), index=stores[c.STORE_ID].astype(str))
        same = [other for other in alike if types.get(other) == types[store]] if pd.notna(types[store]) else []
        alike = same if len(same) >= rule.fewest_alike else alike
    own = units.loc[units[c.STORE_ID].isin(alike), [c.SKU, c.RECENT_UNITS]]
    rows = own.groupby(c.SKU, sort=True, observed=True)[c.RECENT_UNITS].agg(["sum", "size"])
    kept = rows[(rows["sum"] > 0) & (rows["size"] >= rule.carried_by * len(alike))]
    mean = kept["sum"].to_numpy(dtype=np.float64) / max(len(alike), 1)
    return pd.DataFrame({c.STORE_ID: store, c.SKU: kept.index.to_numpy(dtype=object), c.EXPECTED_UNITS: mean})


def _articles(prepared: Prepared, sold: RowsByStore) -> tuple[list[str], pd.DataFrame]:
    """New SKUs and their pairs, in the order of the products; the pairs of a SKU by store."""
    products = prepared.products.assign(**{c.SKU: prepared.products[c.SKU].astype(str)}).set_index(c.SKU)
    like = _text(products, c.LIKE)
    unsold = products.index[~products.index.isin(prepared.cells.skus) & ~products.index.isin(list(prepared.replaced))]
    columns = [c.STORE_ID, c.SKU, c.EXPECTED_UNITS]
    if unsold.empty:
        return [], pd.DataFrame([], columns=columns)
    sent = _in_dc(prepared) | set(like.index[like.isin(prepared.cells.skus)])
    stock = prepared.tables.get("stock")
    held: dict[str, set[str]] = {}
    if stock is not None:
        counted = last_stock(stock[stock[c.SKU].isin(unsold)], prepared.as_of)
        held = _stores_by_sku(counted[counted[c.ON_HAND] > 0])
    of_store: dict[str, float] = {}
    median: dict[tuple[str, str], float] = {}
    units: dict[tuple[str, str], float] = {}
    for rows in _recent(prepared, products, sold):
        of_store |= rows.groupby(c.STORE_ID, sort=True)[c.RECENT_UNITS].median().to_dict()
        alike = rows[rows[c.CATEGORY].isin(products.loc[unsold, c.CATEGORY])]
        median |= alike.groupby([c.STORE_ID, c.CATEGORY], sort=True)[c.RECENT_UNITS].median().to_dict()
        alike = rows[rows[c.SKU].isin(like[unsold])]
        units |= alike.set_index([c.STORE_ID, c.SKU])[c.RECENT_UNITS].to_dict()
    by_sku, by_category, active = _stores_of(units), _stores_of(median), set(of_store)
    category_of, like_of = products[c.CATEGORY].to_dict(), like.to_dict()
    pairs, articles = [], []
    for sku in unsold:
        category, other = category_of[sku], like_of[sku]
        stores = held.get(sku, set())
        if sku in sent:
            stores = stores | ((by_sku.get(other) if other else by_category.get(category)) or active)
        articles += [sku] if stores else []
        for store in sorted(stores):
            usual = median.get((store, category), of_store.get(store, 0.0))
            pairs.append((store, sku, float(units.get((store, other), usual))))
    return articles, pd.DataFrame(pairs, columns=columns)


def _recent(prepared: Prepared, products: pd.DataFrame, sold: RowsByStore) -> Iterator[pd.DataFrame]:
    """Pairs of stores of the run that sold lately, with their category, some stores at a time."""
    run = _run_stores(prepared)
    for first, last in store_ranges([sold]):
        rows = sold.between(first, last)
        rows = rows[rows[c.STORE_ID].isin(run) & (rows[c.RECENT_UNITS] > 0)]
        yield rows.assign(**{c.CATEGORY: products[c.CATEGORY].reindex(rows[c.SKU]).to_numpy()})


def _stores_by_sku(rows: pd.DataFrame) -> dict[str, set[str]]:
    return _stores_of(zip(rows[c.STORE_ID].astype(str), rows[c.SKU].astype(str), strict=True))


def _stores_of(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """The stores of each SKU or category, from pairs with a store."""
    found: dict[str, set[str]] = {}
    for store, name in pairs:
        found.setdefault(name, set()).add(store)
    return found


def _in_dc(prepared: Prepared) -> set[str]:
    """SKUs that the distribution center has today, or expects."""
    found: set[str] = set()
    as_of = pd.Timestamp(prepared.as_of)
    stock, inbound = prepared.tables.get("dc_stock"), prepared.tables.get("dc_inbound")
    if stock is not None:
        if c.DATE in stock.columns:
            stock = stock[stock[c.DATE] <= as_of].sort_values(c.DATE, kind="stable")
            stock = stock.drop_duplicates(c.SKU, keep="last")
        found |= set(stock.loc[stock[c.AVAILABLE] > 0, c.SKU].astype(str))
    if inbound is not None:
        found |= set(inbound.loc[(inbound[c.QUANTITY] > 0) & (inbound[c.DATE] >= as_of), c.SKU].astype(str))
    return found


def _text(products: pd.DataFrame, column: str) -> pd.Series:
    if column not in products.columns:
        return pd.Series("", index=products.index, dtype=object)
    return products[column].astype(object).where(products[column].notna(), "").map(str).str.strip()
