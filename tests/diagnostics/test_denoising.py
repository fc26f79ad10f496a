"""The measured denoising error against closed forms and integrals, and the grids that are made of it."""

import numpy as np
import pytest
import torch

import specent as sp
from specent.errors import SpecentError

LEVELS = np.geomspace(0.05, 50, 7)


def within(made, expected, factor=4.0):
    """Whether errors are within so many standard errors of what is expected."""
    error = (made.denoising_error_upper - made.denoising_error) / 1.959964
    return np.all(np.abs(made.denoising_error - expected) < factor * error + 1e-12)


def test_the_error_of_a_mixture_is_that_of_its_closed_form():
    mix = sp.exact.GaussianMixture([[4.0, 0.0], [-4.0, 0.0], [0.0, 3.0]], [1.0, 0.5, 2.0], labels=["a", "a", "b"])
    for conditional in (False, True):
        made = sp.denoising_error(sp.models.mixture(mix), LEVELS, conditional=conditional, samples=4000, progress=False)
        exact = sp.exact.denoising_error(mix, LEVELS, conditional=conditional)
        assert within(made, exact.denoising_error)
        assert made.attrs["denoiser"] == "Gaussian mixture"


def test_the_error_of_two_data_is_an_integral():
    made = sp.denoising_error(sp.models.finite([[-1.0], [1.0]], ["a", "b"]), LEVELS, samples=4000, progress=False)
    z = np.linspace(-12, 12, 48_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    # the denoiser of +-1 is tanh(x / sigma ** 2), and E tanh ** 2 = E tanh given the datum +1
    expected = [float(np.sum(density * (1 - np.tanh((1 + s * z) / s**2))) * (z[1] - z[0])) for s in LEVELS]
    # where all of thousands of data are found again, the sampling error cannot be seen in the sample
    seen = np.array(expected) > 0.01
    assert within(made.isel(time=seen), np.array(expected)[seen])
    assert np.all(made.denoising_error.values[~seen] < 0.02)
    assert made.attrs["denoiser"] == "finite data"


def test_the_error_of_a_network_is_measured_on_images():
    class Half:
        """Denoises standard normal data by one half, under each of its labels by another number."""

        schedule, conditions, shape = sp.schedules.VE(), ["a", "b"], (3,)
        null_condition = True

        def __call__(self, x, t, condition):
            return torch.tensor([0.0, 1.0, 0.5])[condition][:, None] * x

    images = np.random.default_rng(0).normal(size=(3000, 3))
    labels = np.arange(3000) % 2
    options = {"samples": 3000, "progress": False, "batch_size": 700}
    null = sp.denoising_error(Half(), [0.5, 2.0], images, labels, **options)
    assert within(null, 3 * (0.25 + 0.25 * np.array([0.25, 4.0])))
    own = sp.denoising_error(Half(), [0.5, 2.0], images, labels, conditional=True, **options)
    assert within(own, 3 * (0.5 + 0.5 * np.array([0.25, 4.0])))
    assert own.attrs["denoiser"] == "network"
    with pytest.raises(SpecentError, match="entropic grids serve"):
        sp.grids.entropic(own, 4)
    # the log-SNR says it, whatever the schedule
    schedule = sp.schedules.VP()
    other = sp.denoising_error(
        Half(), schedule.time_at_level(np.array([0.5, 2.0])), images, labels, schedule=schedule, **options
    )
    assert np.allclose(other.denoising_error, null.denoising_error, rtol=1e-5)


def test_batches_change_nothing_and_seeds_do():
    model = sp.models.finite(np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2)
    made = [
        sp.denoising_error(model, LEVELS, samples=100, batch_size=size, seed=seed, progress=False).denoising_error
        for size, seed in ((7, 0), (100, 0), (100, 1))
    ]
    assert np.allclose(made[0], made[1], rtol=1e-10)
    assert not np.allclose(made[1], made[2], rtol=1e-3)


def test_entropic_grids_of_finite_data_share_the_information():
    rng = np.random.default_rng(3)
    model = sp.models.finite(rng.normal(size=(30, 4)), np.arange(30) % 2)
    error = sp.denoising_error(model, np.geomspace(0.02, 40, 120), samples=2000, progress=False)
    nodes = sp.grids.entropic(error, 9)
    # information about the data that is still to be gained: the entropy of which datum it is, by fresh draws
    image = sp.models.finite(model.images.numpy(), [f"{i:03d}" for i in range(30)])
    left = (
        sp.exact.profiles(image, sp.schedules.VE(), nodes, "full", samples=100, progress=False).entropy.squeeze().values
    )
    gained = np.diff(left)
    assert np.isclose(gained.sum(), np.log2(30), atol=0.02)
    # a share is known to the sampling error of the curve, 2000 draws: a few percent
    assert np.all(np.abs(gained / gained.mean() - 1) < 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 1}, "samples"),
        ({"confidence": 1.0}, "confidence"),
        ({"batch_size": 0}, "batch_size"),
        ({"time": [1.0, 0.5]}, "time"),
        ({"images": np.zeros((4, 1))}, "labels is missing"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    call = {"time": [0.5, 1.0], "progress": False} | arguments
    with pytest.raises(SpecentError, match=message):
        sp.denoising_error(sp.models.finite([[-1.0], [1.0]], ["a", "b"]), **call)


def test_networks_need_images_and_finite_answers():
    def net(x, t, condition):
        return torch.where(t[:, None] > 1, torch.nan, x)

    model = sp.models.network(
        net, labels=["a", "b"], shape=(1,), prediction="data", schedule=sp.schedules.VE(), null=False
    )
    with pytest.raises(SpecentError, match="images is missing"):
        sp.denoising_error(model, [0.5, 2.0], conditional=True, progress=False)
    with pytest.raises(SpecentError, match="no null condition"):
        sp.denoising_error(model, [0.5, 2.0], [[0.0], [1.0]], ["a", "b"], progress=False)
    with pytest.raises(SpecentError, match="not finite at noise level 2"):
        sp.denoising_error(model, [0.5, 2.0], [[0.0], [1.0]], ["a", "b"], conditional=True, progress=False)
