"""A trajectory's noise depends on its own key alone."""

import numpy as np
from scipy.stats import kstest

from specent.sampling import streams
from specent.sampling.streams import Streams


def read(seed: int, keys: list[tuple[str, int]], features: int = 3, vectors: int = 7) -> np.ndarray:
    source = Streams(seed, keys, features, vectors)
    return np.stack([source.draw() for _ in range(vectors)])


def test_order_and_company_do_not_matter() -> None:
    keys = [("cat", 0), ("cat", 1), ("dog", 0)]
    together = read(5, keys)
    backwards = read(5, keys[::-1])
    np.testing.assert_array_equal(together, backwards[:, ::-1])
    np.testing.assert_array_equal(together[:, 1:2], read(5, [("cat", 1)]))


def test_the_size_of_the_blocks_does_not_matter(monkeypatch: object) -> None:
    expected = read(1, [("a", 0), ("b", 4)])
    monkeypatch.setattr(streams, "_BLOCK", 1)
    np.testing.assert_array_equal(read(1, [("a", 0), ("b", 4)]), expected)


def test_seed_class_and_sample_each_change_the_noise() -> None:
    base = read(0, [("cat", 0)])
    for other in (read(1, [("cat", 0)]), read(0, [("dog", 0)]), read(0, [("cat", 1)])):
        assert np.abs(other - base).min() > 0


def test_the_noise_is_standard_normal_and_uncorrelated_between_streams() -> None:
    values = read(0, [("a", i) for i in range(200)], features=5, vectors=40)
    assert kstest(values.ravel(), "norm").pvalue > 1e-3
    flat = values.transpose(1, 0, 2).reshape(200, -1)
    correlation = np.corrcoef(flat)[~np.eye(200, dtype=bool)]
    # 19900 pairs of 200 numbers: standard deviation 0.071, largest expected near 4.1 of them
    assert np.abs(correlation).max() < 5.5 / np.sqrt(200)
