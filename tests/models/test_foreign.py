"""Denoisers of other libraries, by their shape: against the exact denoiser that they stand for."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import ModelError
from specent.models.foreign import ForeignSchedule, foreign
from specent.schedules import DDPM

MIX = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 1.0]], labels=["left", "right"])
EXACT = sp.models.mixture(MIX)


def ve(t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ones_like(t), 0.001 * 1e6**t


def vp(t: Tensor) -> tuple[Tensor, Tensor]:
    alpha = torch.exp(np.log(1e-3) * t**2)
    return alpha, torch.sqrt(1 - alpha**2 + 1e-6)


def rectified(t: Tensor) -> tuple[Tensor, Tensor]:
    """Without noise at the one end and without signal at the other, with an axis of length one at the end."""
    return (1 - t)[..., None], t[..., None]


class SingleOnly(torch.nn.Module):
    """A schedule that holds single-precision tensors and takes no others."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ends", torch.log(torch.tensor([1e-3, 1e2])))

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), torch.exp(torch.lerp(self.ends[0], self.ends[1], t))


SCHEDULES = {"ve": ve, "vp": vp, "rectified": rectified, "single": SingleOnly()}


class Denoiser:
    """The exact denoiser of the mixture, in the shape of azula's."""

    def __init__(self, schedule: object, bare: bool = False) -> None:
        self.schedule, self.bare = schedule, bare

    def __call__(self, x_t: Tensor, t: Tensor, label: Tensor) -> object:
        assert t.shape == ()
        alpha, sigma = (float(part) for part in self.schedule(t))
        mean = EXACT.denoise(x_t.double() / alpha, sigma / alpha, label).to(x_t.dtype)
        return mean if self.bare else SimpleNamespace(mean=mean, var=None)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_denoiser_in_our_coordinates_is_the_exact_one(name: str, bare: bool) -> None:
    model = foreign(Denoiser(SCHEDULES[name], bare), MIX.labels, (2,), null=True)
    x = torch.linspace(-4, 4, 12).reshape(6, 2)
    condition = torch.tensor([0, 1, 2, 1, 2, 0])
    for level in (0.05, 0.7, 20.0):
        expected = EXACT.denoise(x.double(), level, condition).float()
        # the level is met to 1e-4 relatively, on denoisers of order 3
        torch.testing.assert_close(model.denoise(x, level, condition), expected, rtol=0, atol=1e-3)


def test_arguments_are_handed_over_by_the_function_of_the_condition() -> None:
    seen = []

    def denoiser(x_t: Tensor, t: Tensor, **given: Tensor) -> Tensor:
        seen.append(given)
        return x_t

    denoiser.schedule = ve
    foreign(denoiser, ["a"], (1,), condition=lambda c: {"y": c + 1}).denoise(
        torch.ones(2, 1), 1.0, torch.tensor([0, 0])
    )
    assert [list(given) for given in seen] == [["y"]]
    assert seen[0]["y"].tolist() == [1, 1]


def test_a_schedule_of_steps_serves_at_its_steps_only() -> None:
    ddpm = DDPM("linear")

    def steps(t: Tensor) -> tuple[Tensor, ...]:
        place = torch.round(999 * t).long()
        return tuple(torch.as_tensor(f(np.arange(1000)))[place] for f in (ddpm.alpha, ddpm.sigma))

    model = foreign(Denoiser(steps), MIX.labels, (2,))
    model.check_levels(ddpm.noise_level(np.arange(0, 1000, 37)))
    found = model.schedule.time(ddpm.log_snr(np.arange(1000)))
    assert np.abs(999 * found - np.arange(1000)).max() <= 0.5 + 1e-4
    with pytest.raises(ModelError, match=r"is not among those of the denoiser's own schedule, which run from -10\.1"):
        model.check_levels(ddpm.noise_level([400.5]))
    with pytest.raises(ModelError, match=r"own foreign schedule has sigma/alpha from 0\.010"):
        model.check_levels(np.array([0.001]))


def test_the_inverse_of_the_schedule_is_its_inverse() -> None:
    schedule = ForeignSchedule(vp, torch.float64)
    time = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(schedule.time(schedule.log_snr(time)), time, rtol=0, atol=1e-10)


def test_the_mixture_gives_the_same_evidence_as_the_plain_one() -> None:
    options = {"schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(12, 0.05), "samples": 4, "progress": False}
    model = foreign(Denoiser(rectified), MIX.labels, (2,), null=True)
    made, plain = (sp.sample(each, **options).log_likelihood for each in (model, EXACT))
    # states in single precision, and levels met to 1e-4; evidence is of order 10
    assert np.abs(made - plain).max() < 5e-3


def test_it_moves_with_its_schedule() -> None:
    meta = torch.device("meta")

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.schedule, self.layer = SingleOnly(), torch.nn.Linear(1, 1)

        def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
            return self.layer(x_t)

    model = foreign(Whole(), ["a"], (1,), condition=lambda c: {}).to(meta)
    assert (model.net.denoiser.layer.weight.device, model.net.denoiser.schedule.ends.device) == (meta, meta)
    assert model.schedule.device == meta


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"denoiser": 3}, "denoiser=3 cannot be called"),
        ({"denoiser": Denoiser}, "pass an instance"),
        ({"denoiser": lambda x, t: x}, "has no schedule"),
        ({"denoiser": Denoiser(lambda t: (t, 1 - t))}, "does not fall with t near t=1e-06; time must run from 0"),
        ({"denoiser": Denoiser(lambda t: (torch.ones_like(t), torch.ones_like(t)))}, "does not fall with t"),
        ({"denoiser": Denoiser(lambda t: (0 * t, t))}, "gives alpha=0, sigma=.*; both must be positive"),
        ({"denoiser": Denoiser(lambda t: t)}, "returned shapes|raised"),
        ({"denoiser": Denoiser(lambda t: 1 / 0)}, "raised ZeroDivisionError"),
        ({"denoiser": Denoiser(lambda t: (t[:1].repeat(3), t))}, "returned shapes"),
        ({"condition": "label"}, "condition='label' must be a function"),
        ({"labels": []}, "labels="),
        ({"dtype": torch.float16}, "dtype=torch.float16"),
        ({"name": "a\0"}, "name="),
    ],
    # an address would be another in every process
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_what_cannot_be_used_is_named(change: dict[str, object], message: str) -> None:
    good = {"denoiser": Denoiser(ve), "labels": ["left", "right"], "shape": (2,)}
    with pytest.raises(ModelError, match=message):
        foreign(**{**good, **change})
