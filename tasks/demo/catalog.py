"""The products of the demo company: categories, styles with their life, and SKUs with sizes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas import columns as c
from tasks.demo.timeline import AUDIENCES

IndexArray = NDArray[np.int64]

ARTICLE = "article"
SUBBRAND = "subbrand"
SEASON = "season"
AUDIENCE = "audience"
WEIGHT = "weight"
TIMELESS = "timeless"
LAUNCH = "launch"
FULL_PRICE_DAYS = "full_price_days"
SIZE_SHARE = "size_share"

BRANDS = {"ANDINA": ("ANDINA", "ANDINA PREMIUM", "ANDINA OUTDOOR"), "LITORAL": ("LITORAL", "LITORAL KIDS")}
BRAND_WEIGHT = {"ANDINA": 1.0, "LITORAL": 0.7}
SANDAL = "SANDALIA"
SANDAL_VARIANTS = ("SANDALIA", "SANDALIA PLANA", "SANDALIA TACO", "SANDALIA PLATAFORMA")
COLORS = ("NEGRO", "CAFE", "BLANCO", "AZUL", "CAMEL", "ROJO", "BEIGE", "GRIS")
KIDS = "NIÑA/NIÑO"


@dataclass(frozen=True)
class Range:
    """One subfamily: its clusters, season, typical net price in CLP and weight in sales."""

    subfamily: str
    clusters: tuple[str, ...]
    season: str
    price: float
    weight: float
    family: str = "ZAPATO"


# 59 subfamily and cluster pairs; times two brands = 118 categories.
RANGES = (
    Range("BOTA", ("DAMA CASUAL", "DAMA VESTIR", "HOMBRE CASUAL", "OUTDOOR", KIDS), "winter", 50_000, 1.6),
    Range("BOTIN", ("DAMA CASUAL", "DAMA VESTIR", "HOMBRE CASUAL", "HOMBRE VESTIR", "OUTDOOR"), "winter", 42_000, 2.0),
    Range(
        SANDAL,
        ("DAMA CASUAL", "DAMA VESTIR", "DAMA FIESTA", "HOMBRE CASUAL", "OUTDOOR", KIDS),
        "summer",
        25_000,
        2.4,
    ),
    Range(
        "ZAPATILLA",
        ("DAMA URBANA", "HOMBRE URBANO", "DEPORTIVO", "OUTDOOR", KIDS),
        "flat",
        34_000,
        3.0,
    ),
    Range("ZAPATILLA", ("ESCOLAR",), "school", 24_000, 1.4),
    Range(
        "ZAPATO",
        ("DAMA CASUAL", "DAMA VESTIR", "HOMBRE CASUAL", "HOMBRE VESTIR", "CONFORT", "TRABAJO"),
        "flat",
        36_000,
        2.2,
    ),
    Range("ZAPATO", ("ESCOLAR",), "school", 22_000, 2.2),
    Range("MOCASIN", ("DAMA CASUAL", "HOMBRE CASUAL", "HOMBRE VESTIR", "CONFORT"), "flat", 33_000, 1.2),
    Range("BALLERINA", ("DAMA CASUAL", "DAMA VESTIR", KIDS), "flat", 24_000, 1.2),
    Range("ALPARGATA", ("DAMA", "HOMBRE"), "summer", 19_000, 1.0),
    Range("CHALA", ("DAMA", "HOMBRE", KIDS), "summer", 13_000, 1.2),
    Range("PANTUFLA", ("DAMA", "HOMBRE", KIDS), "winter", 13_000, 1.0),
    Range("BOTA LLUVIA", ("DAMA", KIDS), "winter", 21_000, 0.6),
    Range("BILLETERA", ("DAMA", "HOMBRE"), "flat", 17_000, 0.7, "ACCESORIO"),
    Range("CARTERA", ("CASUAL", "VESTIR", "FIESTA"), "flat", 29_000, 0.8, "ACCESORIO"),
    Range("CINTURON", ("DAMA", "HOMBRE CASUAL", "HOMBRE VESTIR"), "flat", 14_000, 0.6, "ACCESORIO"),
    Range("CALCETIN", ("DAMA", "HOMBRE", KIDS), "flat", 4_500, 1.2, "ACCESORIO"),
    Range("MOCHILA", ("URBANA",), "flat", 23_000, 0.6, "ACCESORIO"),
    Range("MOCHILA", ("ESCOLAR",), "school", 21_000, 0.6, "ACCESORIO"),
)

SHOE_SIZES = {
    "women": tuple(str(size) for size in range(35, 41)),
    "men": tuple(str(size) for size in range(39, 45)),
    "kids": tuple(str(size) for size in range(27, 33)),
    "everyone": tuple(str(size) for size in range(37, 44)),
}
ACCESSORY_SIZES = {"CINTURON": ("90", "100", "110"), "CALCETIN": ("S", "M", "L")}
# Weeks at full price, as a range; then three months of clearance.
FULL_PRICE_WEEKS = {"flat": (21, 28), "winter": (21, 28), "summer": (19, 24), "school": (21, 28)}
# First day (from 2023-01-01) of each season's collection: mid September, mid February, mid December.
COLLECTIONS = {"summer": (-109, 256, 622), "winter": (41, 406, 772), "school": (-18, 347, 713)}


def audience_of(cluster: str, subfamily: str) -> str:
    """The group of persons that a category is bought for. It decides which events change the demand."""
    if cluster in (KIDS, "ESCOLAR"):
        return "kids"
    if cluster.startswith("DAMA") or subfamily == "CARTERA":
        return "women"
    return "men" if cluster.startswith("HOMBRE") else "everyone"


def category_table(rng: np.random.Generator) -> pd.DataFrame:
    """The 118 categories.

    Returns:
        One row per brand, subfamily (sandals merged) and cluster with family, season, audience (index
        into ``AUDIENCES``), typical net price in CLP and weight in sales.
    """
    rows = [
        {
            c.BRAND: brand,
            c.SUBFAMILY: line.subfamily,
            c.CLUSTER: cluster,
            c.FAMILY: line.family,
            SEASON: line.season,
            AUDIENCE: AUDIENCES.index(audience_of(cluster, line.subfamily)),
            c.PRICE: line.price,
            WEIGHT: line.weight * BRAND_WEIGHT[brand],
        }
        for brand, line in product(BRANDS, RANGES)
        for cluster in line.clusters
    ]
    table = pd.DataFrame(rows)
    table[WEIGHT] *= rng.lognormal(-0.1, 0.45, len(table))
    table[c.PRICE] *= rng.lognormal(0, 0.12, len(table))
    return table


def style_table(categories: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The styles (model and color) of every category, with their life.

    Flat categories have a timeless style and two fashion styles launched about a year apart;
    seasonal ones a new style for each season's collection; school categories have both.

    Returns:
        One row per style: category (row of ``categories``), brand, sub-brand, family, subfamily as
        the company writes it, cluster, color, launch (day number, may be negative), days at full
        price, timeless, net list price in CLP and weight in its category.
    """
    rows: list[dict[str, object]] = []
    for index, category in enumerate(categories.to_dict("records")):
        lives = _lives(str(category[SEASON]), category[c.FAMILY] == "ZAPATO", rng)
        colors = rng.permutation(len(COLORS))
        subbrands = BRANDS[category[c.BRAND]]
        for number, (timeless, launch) in enumerate(lives):
            subfamily = str(category[c.SUBFAMILY])
            rows.append(
                {
                    c.CATEGORY: index,
                    c.BRAND: category[c.BRAND],
                    SUBBRAND: subbrands[int(rng.integers(len(subbrands)))],
                    c.FAMILY: category[c.FAMILY],
                    c.SUBFAMILY: SANDAL_VARIANTS[int(rng.integers(4))] if subfamily == SANDAL else subfamily,
                    c.CLUSTER: category[c.CLUSTER],
                    c.COLOR: COLORS[int(colors[number % len(COLORS)])],
                    LAUNCH: launch,
                    FULL_PRICE_DAYS: 7 * int(rng.integers(*FULL_PRICE_WEEKS[str(category[SEASON])])),
                    TIMELESS: timeless,
                    c.PRICE: _net_price(float(category[c.PRICE]) * float(rng.lognormal(0, 0.1))),
                    WEIGHT: float(rng.lognormal(0, 0.35)) * (1.2 if timeless else 1.0),
                }
            )
    return pd.DataFrame(rows)


def _lives(season: str, shoe: bool, rng: np.random.Generator) -> list[tuple[bool, int]]:
    """Timeless flag and launch day of each style of a category."""
    lives: list[tuple[bool, int]] = []
    if season in ("flat", "school"):
        lives += [(True, -400)] * (2 if shoe and rng.random() < 0.5 else 1)  # noqa: PLR2004
    if season == "flat":
        first = int(rng.integers(-90, 120))
        lives += [(False, first), (False, first + int(rng.integers(300, 420)))]
    else:
        starts = COLLECTIONS[season] if season != "school" else COLLECTIONS[season][::2]
        twice = rng.random() < 0.12  # noqa: PLR2004
        for start in starts:
            shift = int(rng.integers(-10, 11))
            lives += [(False, start + shift)] * (2 if twice else 1)
    return lives


def _net_price(net: float) -> int:
    """Net CLP of the nearest gross price that ends in 990 (value-added tax is 19 %)."""
    gross = max(round(net * 1.19 / 1000), 2) * 1000 - 10
    return round(gross / 1.19)


def sku_table(styles: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per SKU = style x size.

    Returns:
        sku (digits with leading zeros), style (row of ``styles``), size and the size's share of the
        style's sales (sums to 1 per style, highest in the middle of the run).
    """
    rows: list[tuple[str, int, str, float]] = []
    for index, style in enumerate(styles.to_dict("records")):
        sizes = sizes_of(str(style[c.FAMILY]), str(style[c.SUBFAMILY]), str(style[c.CLUSTER]))
        center = (len(sizes) - 1) / 2 + rng.normal(0, 0.3)
        share = np.exp(-0.5 * ((np.arange(len(sizes)) - center) / 1.4) ** 2)
        code = f"{1201 + 7 * index:07d}{COLORS.index(str(style[c.COLOR])):02d}"
        for number, size in enumerate(sizes):
            suffix = f"{int(size):03d}" if size.isdigit() else f"{number:03d}"
            rows.append((code + suffix, index, size, float(share[number] / share.sum())))
    return pd.DataFrame(rows, columns=[c.SKU, ARTICLE, c.SIZE, SIZE_SHARE])


def sizes_of(family: str, subfamily: str, cluster: str) -> tuple[str, ...]:
    """The size run of a style; ``U`` is the one size of bags and wallets.

    >>> sizes_of("ACCESORIO", "CALCETIN", "DAMA")
    ('S', 'M', 'L')
    """
    if family != "ZAPATO":
        return ACCESSORY_SIZES.get(subfamily, ("U",))
    return SHOE_SIZES[audience_of(cluster, subfamily)]
