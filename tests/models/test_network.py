"""Networks as models: preconditioning, conversions of predictions, refusals."""

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import ModelError, SpecentError
from specent.models import EDMNetwork
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

MEANS = torch.tensor([-1.0, 2.0, 0.0], dtype=torch.float64)  # the last one is the null condition
VARIANCE = 0.7


def denoised(x: Tensor, sigma: float, condition: Tensor) -> Tensor:
    """The denoiser of N(mean, variance) in the coordinates x_0 + sigma * noise."""
    mean = MEANS[condition][:, None]
    return mean + VARIANCE / (VARIANCE + sigma**2) * (x - mean)


@pytest.mark.parametrize(
    ("prediction", "schedule"),
    [(p, s) for p in ("data", "noise", "v", "score", "velocity") for s in (VE(), VP(), DDPM("cosine"), FlowMatching())],
    ids=str,
)
def test_every_prediction_converts_to_the_denoiser(prediction: str, schedule: Schedule) -> None:
    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        alpha, sigma = (float(f(time[0].item())) for f in (schedule.alpha, schedule.sigma))
        clean = denoised(x / alpha, sigma / alpha, condition)
        noise = (x - alpha * clean) / sigma
        converted = {
            "data": clean, "noise": noise, "v": alpha * noise - sigma * clean, "score": -noise / sigma,
            "velocity": noise - clean,
        }  # fmt: skip
        return converted[prediction]

    model = sp.models.network(
        net, ["a", "b"], (1,), prediction=prediction, schedule=schedule, dtype=torch.float64
    )  # fmt: skip
    x = torch.linspace(-3, 3, 6, dtype=torch.float64)[:, None]
    condition = torch.tensor([0, 1, 2, 0, 1, 2])
    for sigma in (0.3, 4.0):
        torch.testing.assert_close(model.denoise(x, sigma, condition), denoised(x, sigma, condition))


def test_candidates_equal_one_call_per_condition() -> None:
    model = sp.models.network(
        lambda x, t, c: denoised(x, float(t[0]), c), ["a", "b"], (1,), dtype=torch.float64, prediction="data"
    )
    x = torch.linspace(-3, 3, 4, dtype=torch.float64)[:, None]
    together = model.candidates(x, 0.8, torch.tensor([2, 0]))
    for column, condition in enumerate((2, 0)):
        torch.testing.assert_close(together[:, column], model.denoise(x, 0.8, torch.full((4,), condition)))


def test_the_preconditioning_is_that_of_the_paper() -> None:
    net = EDMNetwork(6, 3, width=16, blocks=2, embedding=8, sigma_data=0.6)
    x, sigma = torch.randn(5, 6), torch.tensor([0.01, 0.1, 1.0, 10.0, 80.0])
    modulation = net.modulation(sigma, torch.zeros(5, dtype=torch.int64))
    # the last layer starts at zero, which leaves c_skip x
    expected = x * (0.36 / (sigma**2 + 0.36))[:, None]
    torch.testing.assert_close(net(x, sigma, modulation), expected)
    torch.nn.init.normal_(net.leave.weight)
    seen = []
    net.enter.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    output = net(x, sigma, modulation) - expected
    torch.testing.assert_close(seen[0], x / torch.sqrt(sigma**2 + 0.36)[:, None])
    unit = output / (0.6 * sigma / torch.sqrt(sigma**2 + 0.36))[:, None]
    assert 0.01 < unit.std() < 100  # c_out brings every level to the same scale


def test_bad_networks_are_refused_early() -> None:
    labels, shape = ["a", "b"], (1,)

    def net(x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        return x

    with pytest.raises(SpecentError, match="not callable"):
        sp.models.network(3, labels, shape, prediction="data")
    with pytest.raises(SpecentError, match="prediction='eps'"):
        sp.models.network(net, labels, shape, prediction="eps")
    with pytest.raises(TypeError, match="prediction"):  # no default: a wrong guess gives smooth and wrong curves
        sp.models.network(net, labels, shape)
    with pytest.raises(SpecentError, match="float16"):
        sp.models.network(net, labels, shape, dtype=torch.float16, prediction="data")
    with pytest.raises(SpecentError, match="distinct"):
        sp.models.network(net, ["a", "a"], shape, prediction="data")
    with pytest.raises(SpecentError, match="null"):
        sp.models.network(net, ["a", "null"], shape, prediction="data")
    with pytest.raises(SpecentError, match="shape"):
        sp.models.network(net, labels, (3, 4), prediction="data")
    with pytest.raises(SpecentError, match="label_prior"):
        sp.models.network(net, labels, shape, label_prior=[0.5, 0.6], prediction="data")
    broken = torch.nn.Linear(1, 1)
    broken.weight.data[:] = np.nan
    with pytest.raises(SpecentError, match="weight 'weight'"):
        sp.models.network(broken, labels, shape, prediction="data")
    wrong = sp.models.network(lambda x, t, c: x[:, :0], labels, shape, prediction="data")
    with pytest.raises(SpecentError, match="returned shape"):
        wrong.denoise(torch.zeros(2, 1), 1.0, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("prediction", ["data", "noise", "v", "score", "velocity"])
def test_a_network_that_works_in_place_gives_what_it_gives_on_a_copy(prediction: str) -> None:
    def inside(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        condition.fill_(0)
        return x.mul_(0.5).add_(time[:, None])

    def outside(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        return 0.5 * x + time[:, None]

    x, condition = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None], torch.ones(5, dtype=torch.int64)
    options = {"prediction": prediction, "schedule": FlowMatching(), "dtype": torch.float64}
    found, expected = (
        sp.models.network(net, ["a", "b"], (1,), **options).denoise(x, 0.8, condition) for net in (inside, outside)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(x, torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None], rtol=0, atol=0)
    assert condition.tolist() == [1] * 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net": torch.nn.Linear}, "is a class; pass an instance"),
        ({"labels": "ab"}, "labels='ab' must be a list of names"),
        ({"labels": [None, "b"]}, r"labels\[0\]=None"),
        ({"labels": ["a", np.nan]}, r"labels\[1\]=nan"),
        ({"labels": ["a", "b\0"]}, r"labels\[1\]="),
        ({"labels": []}, "labels="),
        ({"shape": "8"}, "shape='8'"),
        ({"shape": 8}, "shape=8"),
        ({"shape": (1.7,)}, r"shape\[0\]=1.7 must be a whole number"),
        ({"shape": (-1,)}, r"shape\[0\]=-1"),
        ({"null": "no"}, "null='no' must be True or False"),
        ({"label_prior": ["a", "b"]}, "label_prior="),
        ({"label_prior": torch.tensor([0.5, 0.6])}, "label_prior=.* sum to 1"),
        ({"label_prior": [np.nan, 1.0]}, "label_prior="),
        ({"prediction": ["data"]}, "prediction="),
        ({"schedule": "ve"}, "schedule='ve' is a str"),
        ({"dtype": "float32"}, "dtype='float32'"),
        ({"name": None}, "name=None must be a name"),
        ({"name": "a\ud800"}, "name="),
        ({"checkpoint_sha256": 1.5}, "checkpoint_sha256=1.5"),
        ({"checkpoint_sha256": "a\0"}, "checkpoint_sha256="),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_named(change: dict[str, object], message: str) -> None:
    good = {"net": lambda x, t, c: x, "labels": ["a", "b"], "shape": (1,), "prediction": "data"}
    with pytest.raises(ModelError, match=message):
        sp.models.network(**{**good, **change})


def test_a_prior_may_be_a_tensor_that_requires_a_gradient() -> None:
    prior = torch.tensor([0.25, 0.75], requires_grad=True)
    model = sp.models.network(lambda x, t, c: x, ["a", "b"], (1,), label_prior=prior, prediction="data")
    assert model.label_prior.tolist() == [0.25, 0.75]


def test_a_module_with_extra_state_is_accepted() -> None:
    class Extra(torch.nn.Linear):
        def get_extra_state(self) -> dict[str, int]:
            return {"version": 1}

        def set_extra_state(self, state: object) -> None:
            pass

    assert sp.models.network(Extra(1, 1), ["a"], (1,), prediction="data").labels == ("a",)


def test_an_odd_embedding_is_refused() -> None:
    with pytest.raises(ModelError, match="embedding=3 must be even"):
        EDMNetwork(4, 2, embedding=3)


def test_a_module_that_takes_gradients_itself_is_told_to_come_as_a_function() -> None:
    class Energy(torch.nn.Module):
        """The score of a standard normal, as the gradient of its energy."""

        @torch.enable_grad()
        def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
            x.requires_grad_(True)
            (gradient,) = torch.autograd.grad((x**2 / (2 * (1 + sigma[:, None] ** 2))).sum(), x)
            return -gradient

    net = Energy()
    x, condition = torch.tensor([[2.0]]), torch.tensor([0])
    with pytest.raises(ModelError, match="pass a function that calls it"):
        sp.models.network(net, ["a"], (1,), prediction="score").denoise(x, 1.0, condition)
    made = sp.models.network(lambda *given: net(*given), ["a"], (1,), prediction="score")
    assert made.denoise(x, 1.0, condition).item() == pytest.approx(1.0)


def test_whole_times_are_handed_over_as_whole_numbers_and_others_refused() -> None:
    seen: list[Tensor] = []

    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        seen.append(time)
        return x

    ddpm = DDPM("linear")
    model = sp.models.network(net, ["a"], (1,), prediction="noise", schedule=ddpm, integer_times=True)
    x, condition = torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64)
    for step in (0, 417, 999):
        model.denoise(x, float(ddpm.noise_level(step)), condition)
        assert seen[-1].dtype == torch.int64
        assert seen[-1].tolist() == [step] * 3
    # levels that went through single precision are still whole times
    model.check_levels(ddpm.noise_level(np.arange(1, 999)).astype(np.float32).astype(np.float64))
    # a grid of whole times comes first: any other would be refused next
    with pytest.raises(ModelError, match="sample on that schedule with whole times"):
        model.check_levels(np.array([0.002]))
    assert model.identity["integer_times"] is True
    hint = r"whole times; a grid that fits: time = schedule\.grid\(64\)$"
    for call in (lambda level: model.check_levels(np.array([level])), lambda level: model.denoise(x, level, condition)):
        with pytest.raises(ModelError, match=rf"is at time 400\.5 .* whole times only .*{hint}"):
            call(float(ddpm.noise_level(400.5)))
    with pytest.raises(ModelError, match="integer_times=True does not go with the flow_matching schedule"):
        sp.models.network(net, ["a"], (1,), prediction="velocity", schedule=FlowMatching(), integer_times=True)


def test_the_raw_output_converts_to_what_denoise_returns() -> None:
    model = sp.models.network(
        lambda x, t, c: torch.tanh(x) + t[:, None], ["a", "b"], (2,), prediction="v_prediction", schedule=VP()
    )
    x, condition = torch.linspace(-2, 2, 6).reshape(3, 2), torch.tensor([0, 1, 2])
    made = model.raw(x, 0.7, condition)
    assert (made.alpha, made.sigma) == (float(VP().alpha(made.time)), float(VP().sigma(made.time)))
    torch.testing.assert_close(made.state, x * made.alpha)
    # v = alpha eps - sigma x_0 with x = alpha x_0 + sigma eps and alpha^2 + sigma^2 = 1
    expected = made.alpha * made.state - made.sigma * (torch.tanh(made.state) + made.time)
    torch.testing.assert_close(model.denoise(x, 0.7, condition), expected)


@pytest.mark.parametrize("prediction", ["data", "noise", "v", "score", "velocity"])
def test_candidates_are_what_denoise_returns_for_repeated_states(prediction: str) -> None:
    weight = torch.linspace(-1, 1, 3)

    def net(x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x.mul_(weight[c][:, None])) + t[:, None]  # in place, as a network may

    model = sp.models.network(net, ["a", "b"], (4,), prediction=prediction, schedule=VP())
    x, conditions = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([2, 0, 1])
    repeated = model.denoise(x.repeat_interleave(3, dim=0), 0.7, conditions.repeat(5))
    assert torch.equal(model.candidates(x, 0.7, conditions), repeated.reshape(5, 3, 4))
    assert repeated.std(0).min() > 0.1
