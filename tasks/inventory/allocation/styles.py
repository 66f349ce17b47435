"""Articles (SKUs without their size) and the core sizes of each."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from schemas import columns as c
from schemas.plan import BoolArray, IndexArray
from tasks.inventory.allocation.sku_shares import SIZE_TRUST

# A SKU may end with its size without a mark between them only where nearly all do: it is a code then, no chance.
NEARLY_ALL = 0.9
# Rows of a series are compared by sums of floats.
TOLERANCE = 1e-9
_MARKS = r"[\s/_.:|,;#-]+"
GIVEN = "the products' column article"
MARKED = "the SKU without its size, which a mark sets apart"
ENDING = "the SKU without the size that it ends with"
SINGLE = "the SKU itself: no size can be told from it"


def article_labels(facts: pd.DataFrame) -> tuple[np.ndarray, str]:
    """The article of each row, and the rule by which it was found.

    Without a column ``article`` it is the SKU less its size: first where marks (space, slash, dash, dot,
    underscore) set the size apart; else where at least nine of ten sized SKUs end with their size, zeros before it
    allowed; else every SKU is an article.

    Args:
        facts: SKU facts: sku, size, and article where the products have it (empty = unknown).
    """
    skus = facts[c.SKU].astype(str)
    known = facts[[c.SKU, c.SIZE]].astype(str).drop_duplicates(c.SKU)
    pairs = list(zip(known[c.SKU], known[c.SIZE], strict=True))
    sized = [(sku, size) for sku, size in pairs if size]
    rule, cut = SINGLE, {sku: sku for sku, _ in pairs}
    for name, pattern in ((MARKED, _apart), (ENDING, _at_the_end)):
        found = {sku: pattern(sku, size) for sku, size in sized}
        share = sum(short != sku for sku, short in found.items()) / max(len(sized), 1)
        if share >= NEARLY_ALL or (name == MARKED and share > 0):
            rule, cut = name, {**cut, **found}
            break
    labels = skus.map(cut).to_numpy(dtype=object)
    if c.ARTICLE in facts.columns:
        given = facts[c.ARTICLE].astype(str).to_numpy(dtype=object)
        if (given != "").any():
            return np.where(given != "", given, labels), GIVEN
    return labels, rule


def _apart(sku: str, size: str) -> str:
    """The SKU without its size where marks set it apart.

    >>> _apart("000-36", "36"), _apart("10000/XL ( 158-170 )", "XL ( 158-170 )"), _apart("1036", "36")
    ('000', '10000', '1036')
    """
    cut = re.sub(rf"(?:^|{_MARKS}){re.escape(size)}(?={_MARKS}|$)", "", sku).strip()
    return cut or sku


def _at_the_end(sku: str, size: str) -> str:
    """The SKU without the size at its end, and without the zeros before it.

    >>> _at_the_end("120101035", "35"), _at_the_end("ABC", "M")
    ('120101', 'ABC')
    """
    cut = re.sub(rf"0*{re.escape(size)}$", "", sku)
    return cut or sku


def core_sizes(facts: pd.DataFrame, article: np.ndarray, core_share: float) -> BoolArray:
    """Rows whose size is a core size of their article.

    An article's size curve is its own sales by size in the whole network, shrunk towards its category's (20 units
    of it); its core sizes are the fewest best ones that make up ``core_share`` of the curve. An article of one
    size has no size run.

    Args:
        facts: SKU facts.
        article: label per row.
        core_share: 0 to 1.

    Returns:
        One flag per row. A curve of 50, 30, 15 and 5 % has two core sizes at 0.6.
    """
    size = facts[c.SIZE].astype(str).to_numpy(dtype=object)
    keys = pd.DataFrame({c.CATEGORY: facts[c.CATEGORY].astype(str), c.ARTICLE: article, c.SIZE: size})
    units = np.maximum(facts[c.TOTAL_UNITS].to_numpy(dtype=float), 0.0)
    network = keys.assign(**{c.UNITS: units}).groupby([c.CATEGORY, c.ARTICLE, c.SIZE], as_index=False)[c.UNITS].sum()
    network = network[network[c.SIZE] != ""]
    if network.empty or core_share <= 0:
        return np.zeros(len(facts), dtype=bool)
    group = network.groupby([c.CATEGORY, c.ARTICLE]).ngroup().to_numpy()
    curve = network.groupby([c.CATEGORY, c.SIZE])[c.UNITS].transform("sum").to_numpy() + TOLERANCE
    curve = curve / np.bincount(group, weights=curve)[group]
    weight = network[c.UNITS].to_numpy() + SIZE_TRUST * curve
    marked = _best_part(weight, group, core_share) & (np.bincount(group)[group] > 1)
    found = pd.MultiIndex.from_frame(network.loc[marked, [c.CATEGORY, c.ARTICLE, c.SIZE]])
    core: BoolArray = pd.MultiIndex.from_frame(keys).isin(found)
    return core


def _best_part(weight: np.ndarray, group: IndexArray, share: float) -> BoolArray:
    """The fewest heaviest members of each group that make up a share of its weight."""
    order = np.lexsort((np.arange(len(weight)), -weight, group))
    running = np.cumsum(weight[order])
    whole = np.bincount(group, weights=weight)
    start = np.concatenate([[0.0], np.cumsum(whole)[:-1]])
    before = running - weight[order] - start[group[order]]
    chosen = np.zeros(len(weight), dtype=bool)
    chosen[order] = before < share * whole[group[order]] - TOLERANCE * whole[group[order]]
    return chosen
