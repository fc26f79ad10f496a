import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from specent.analysis.crossings import crossings, peaks


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 0.95), st.floats(-1, 1), st.floats(0.5, 2.0))
def test_crossing_of_a_smooth_curve_is_found_between_the_points(level, middle, width):
    grid = np.linspace(-8, 8, 401) ** 3 / 64
    place = crossings(grid, 1 / (1 + np.exp((grid[None] - middle) / width)), np.array([level]))
    expected = middle + width * np.log(1 / level - 1)
    if grid[0] < expected < grid[-1]:
        # the spacing is at most 0.12 of a unit: its fourth power over 384, times derivatives of order one
        assert abs(place.item() - expected) < 1e-5


def test_error_of_crossings_and_peaks_falls_with_high_order():
    shift = np.linspace(0.0, 0.4, 23)[:, None]
    found = []
    for points in (21, 41, 81):
        grid = np.linspace(-4.0, 4.0, points)
        at = crossings(grid, 1 / (1 + np.exp(2 * (grid - shift))), np.array([0.3])) - shift - np.log(1 / 0.3 - 1) / 2
        top = peaks(grid, np.exp(-((grid - shift) ** 2)))[0] - shift[:, 0]
        found.append([np.abs(at).max(), np.abs(top).max()])
    ratios = np.array(found[:-1]) / np.array(found[1:])
    # where the curve lies between the points varies over all of an interval: fourth and third order
    assert (ratios[1] > [12, 6]).all(), ratios


def test_middle_of_several_crossings_is_taken():
    grid = np.arange(8.0)
    curve = np.array([[1.0, 0.4, 0.6, 0.4, 0.6, 0.4, 0.2, 0.0], [1.0, 0.8, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95]])
    place = crossings(grid, curve, np.array([0.5]))[:, 0]
    assert 2 < place[0] < 3  # the third of five
    assert 1 < place[1] < 2  # the first of two: it rises again


def test_curve_that_never_falls_or_starts_below_has_no_crossing():
    grid = np.arange(4.0)
    assert np.isnan(crossings(grid, np.array([[1.0, 0.9, 0.8, 0.7], [0.4, 0.6, 0.3, 0.2]]), np.array([0.5]))).all()


def test_a_crossing_stays_in_its_interval_however_rough_the_curve():
    rng = np.random.default_rng(0)
    grid = np.sort(rng.uniform(0, 10, 20))
    curves = np.where(np.arange(20) < 11, 1.0, 0.0) + rng.uniform(-0.45, 0.45, (50, 20))
    place = crossings(grid, curves, np.array([0.5]))[:, 0]
    assert ((grid[10] <= place) & (place <= grid[11])).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(0.3, 2.7), st.floats(0.2, 3.0), st.floats(-5, 5))
def test_peak_of_a_cubic_is_exact(place, curvature, height):
    grid = np.array([0.0, 0.2, 0.7, 1.0, 1.6, 1.9, 2.4, 3.0])
    curve = height - curvature * (grid - place) ** 2 + 0.05 * (grid - place) ** 3
    at, top = peaks(grid, curve[None])
    assert np.allclose([at[0], top[0]], [place, height], atol=1e-7)


def test_peak_at_an_end_is_that_end():
    grid = np.array([1.0, 2.0, 4.0, 5.0])
    at, top = peaks(grid, np.array([grid, -grid]))
    assert at.tolist() == [5.0, 1.0]
    assert top.tolist() == [5.0, -1.0]
    assert peaks(grid[:2], np.array([[1.0, 3.0]]))[0].tolist() == [2.0]
