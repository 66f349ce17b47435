import numpy as np
import pytest

from tasks.evaluation.metrics.stats import Band, acceptance_band

E, G, A, P = Band.EXCELLENT, Band.GOOD, Band.ACCEPTABLE, Band.POOR


def bands(forecast, actual):
    return acceptance_band(np.array(actual, dtype=float), np.array(forecast, dtype=float)).tolist()


# docs/reference/domain.md#golden-rows; the ratio of each row is computed by hand.
DEEPAR = [
    (33.1474152, 33, E),  # 100.4
    (44.7514839, 44, E),  # 101.7
    (17.3929882, 17, E),  # 102.3
    (10.6521606, 10, G),  # 106.5
    (11.0567541, 14, P),  # 79.0
    (7.17127132, 4, P),  # 179.3
    (5.63880157, 5, A),  # 112.8
    (13.9024096, 14, E),  # 99.3
    (4.82056952, 5, E),  # 96.4
    (3.51785421, 4, A),  # 87.9
    (4.48396111, 1, P),  # 448.4
    (1.31956029, 2, P),  # 66.0
]
PROPHET = [
    (13.3700539, 22, P),  # 60.8
    (41.6506319, 41, E),  # 101.6
    (20.0863052, 17, A),  # 118.2
    (10.8655244, 10, G),  # 108.7
    (19.5959672, 14, P),  # 140.0
    (14.8386539, 3, P),  # 494.6
    (45.1977426, 25, P),  # 180.8
    (38.0156204, 34, A),  # 111.8
    (14.5159021, 6, P),  # 241.9
    (8.25130099, 11, P),  # 75.0
    (27.5406353, 4, P),  # 688.5
    (15.2724635, 13, A),  # 117.5
]


@pytest.mark.parametrize("rows", [DEEPAR, PROPHET], ids=["deepar", "prophet"])
def test_golden_rows_of_the_source_study(rows):
    forecast, actual, expected = zip(*rows, strict=True)
    assert bands(forecast, actual) == list(expected)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(95, E), (105, E), (90, G), (110, G), (80, A), (120, A), (94.99, G), (105.01, G), (89.99, A), (110.01, A)],
)
@pytest.mark.parametrize("actual", [1.0, 3.0, 7.0, 10.0, 13.0, 44.0, 1e6])
def test_an_edge_belongs_to_the_better_band_whatever_the_float(percent, expected, actual):
    assert bands([actual * (percent / 100)], [actual]) == [expected]
    assert bands([actual * percent / 100], [actual]) == [expected]


def test_beyond_the_last_band_is_poor():
    assert bands([79.99, 120.01, 0.0], [100, 100, 100]) == [P, P, P]


def test_nothing_sold_wants_a_forecast_that_rounds_to_nothing():
    assert bands([0.0, 0.3, 0.49, 0.5, 0.51, 1.0], [0] * 6) == [E, E, E, E, P, P]


def test_bands_exclude_each_other_and_cover_everything():
    random = np.random.default_rng(1)
    found = bands(random.gamma(2, 5, 1000), random.poisson(3, 1000))
    assert set(found) == {0, 1, 2, 3}


def test_a_negative_forecast_of_nothing_is_poor():
    assert bands(forecast=[-3.0, -0.4, 0.6], actual=[0, 0, 0]) == [P, E, P]
