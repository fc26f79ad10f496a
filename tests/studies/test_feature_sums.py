"""Sums of features against NumPy's mean and covariance, and feature spaces and references that are none."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from specent.errors import SpecentError
from specent.studies.feature_sums import FeatureSums, features_of, read_reference


class Pooled(nn.Module):
    """Like the published Inception in TorchScript: whole greys in, features out."""

    def forward(self, pictures: Tensor, return_features: bool = False) -> Tensor:
        assert return_features
        return pictures.float().mean(dim=(2, 3))


def write_pooled(file: Path) -> None:
    """A file with such a network."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
        torch.jit.script(Pooled()).save(str(file))


def test_moments_of_batches_are_those_of_all(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(3.0, [1.0, 2.0, 0.5], size=(57, 3))
    sums = FeatureSums.none(3)
    for low in range(0, 57, 10):
        sums.add(values[low : low + 10])
    sums.save(tmp_path / "a.npz")
    for one in (sums, FeatureSums.read(tmp_path / "a.npz")):
        mean, covariance = one.moments()
        assert one.count == 57
        np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(covariance, np.cov(values.T), rtol=1e-10)


def test_features_that_do_not_fit_are_refused() -> None:
    sums = FeatureSums.none(3)
    with pytest.raises(SpecentError, match=r"features of shape \(2, 4\)"):
        sums.add(np.zeros((2, 4)))
    with pytest.raises(SpecentError, match="finite numbers"):
        sums.add([[0.0, np.nan, 1.0]])
    with pytest.raises(SpecentError, match="0 samples have no covariance"):
        sums.moments()


def test_a_network_in_torchscript_gets_whole_greys_of_three_channels(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    write_pooled(file)
    features = features_of(f"inception:{file}")
    # half of 255 is rounded down
    np.testing.assert_array_equal(features(torch.full((2, 1, 4, 4), 0.5)), np.full((2, 3), 127.0))


def test_what_is_no_network_or_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="there is no such file"):
        features_of(f"inception:{tmp_path / 'none.pt'}")
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(SpecentError, match="is no network in TorchScript"):
        features_of(f"inception:{tmp_path / 'text.pt'}")
    with pytest.raises(SpecentError, match=r"none.npz' does not exist; give an .npz file with mu and sigma"):
        read_reference(tmp_path / "none.npz")
    np.savez(tmp_path / "half.npz", mu=np.zeros(3))
    with pytest.raises(SpecentError, match=r"holds \['mu'\]; mu and sigma are needed"):
        read_reference(tmp_path / "half.npz")
    np.savez(tmp_path / "odd.npz", mu=np.zeros(3), sigma=np.eye(2))
    with pytest.raises(SpecentError, match=r"mu has shape \(3,\) and sigma \(2, 2\)"):
        read_reference(tmp_path / "odd.npz")
