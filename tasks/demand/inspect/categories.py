"""Propose the product columns that make the forecast category."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from schemas import columns as c
from schemas.errors import numbered
from tasks.demand.inspect.left_out import text_of
from tasks.demand.inspect.tables import Mapped

# From fine to coarse.
_CHOICES = (
    (c.BRAND, c.SUBFAMILY, c.CLUSTER),
    (c.BRAND, c.SUBFAMILY),
    (c.BRAND, c.FAMILY),
    (c.SUBFAMILY,),
    (c.FAMILY,),
    (c.BRAND,),
)
# Minimum number of SKUs per category on average.
_SKUS = 3.0


@dataclass(frozen=True)
class CategoryProposal:
    """Columns of the category, the reason for them, and alternatives in words."""

    columns: tuple[str, ...]
    evidence: str
    alternatives: tuple[str, ...] = ()


def propose_category(products: Mapped | None) -> CategoryProposal:
    """The finest category with enough SKUs; the SKU itself if products have no groups."""
    if products is None:
        return CategoryProposal((c.SKU,), "no products were recognized")
    texts = {
        name: text_of(products, products.columns[name])
        for name in dict.fromkeys(name for choice in _CHOICES for name in choice)
        if name in products.columns
    }
    skus = products.rows
    sizes = {
        choice: pd.DataFrame({name: texts[name] for name in choice}).drop_duplicates().shape[0]
        for choice in _CHOICES
        if set(choice) <= texts.keys()
    }
    sizes = {choice: count for choice, count in sizes.items() if 1 < count < skus}
    fine = [choice for choice, count in sizes.items() if skus / count >= _SKUS]
    others = {choice: _words(choice, count, skus) for choice, count in sizes.items()}
    if not fine:
        return CategoryProposal((c.SKU,), "every SKU is forecast separately", tuple(others.values()))
    best = max(fine, key=lambda choice: (sizes[choice], -len(choice)))
    empty = {name: int((texts[name] == "").sum()) for name in best}
    holes = [f"{name} is empty for {count:,} SKU{'s' if count > 1 else ''}" for name, count in empty.items() if count]
    evidence = "; ".join([_words(best, sizes[best], skus, listed=False), *holes])
    return CategoryProposal(best, evidence, tuple(text for choice, text in others.items() if choice != best))


def _words(choice: tuple[str, ...], count: int, skus: int, listed: bool = True) -> str:
    size = numbered(count, "# categor[y|ies]") + f" with {skus / count:.1f} SKUs on average"
    return f"[{', '.join(choice)}] {size}" if listed else size
