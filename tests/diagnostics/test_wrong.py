"""Wrong adapters fail, each for its own reason, and the report names it."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

LINEAR = DDPM("linear")


def ddpm_noise(shop: Any, exact: Any, net: Any = None, **options: Any) -> Any:
    """An adapter of the noise-predicting network with integer times, right but for `net` and the options."""
    net = shop.disguise(exact, "noise", LINEAR) if net is None else net
    return shop.adapted(net, exact, **{"prediction": "noise", "schedule": LINEAR, "integer_times": True, **options})


def test_noise_declared_as_v(shop: Any, digits: Any) -> None:
    report = shop.check(ddpm_noise(shop, digits[0], prediction="v"), digits)
    assert report.failed == ("denoising", "prediction")
    assert report["prediction"].cause == "the network predicts 'noise', not 'v'"
    assert report["prediction"].hint == "say prediction='noise'"
    # what is wrong is not blamed on anything else
    assert {report[name].verdict for name in ("input scale", "time", "labels")} == {"pass"}


@pytest.mark.parametrize("declared", ["noise", "v", "score", "data", "velocity"])
@pytest.mark.parametrize("truth", ["noise", "v", "score", "data", "velocity"])
def test_every_prediction_taken_for_another(shop: Any, mixture: Any, truth: str, declared: str) -> None:
    exact = mixture[0]
    schedule = FlowMatching() if "v" in truth else LINEAR
    model = shop.adapted(shop.disguise(exact, truth, schedule), exact, declared, schedule)
    report = shop.check(model, mixture, samples=400, last="input scale")
    assert (report["prediction"].verdict == "fail") == (truth != declared)
    assert truth == declared or f"the network predicts '{truth}'" in report["prediction"].cause
    assert report["input scale"].verdict != "fail"


def test_a_flow_of_the_opposite_sign(shop: Any, digits: Any) -> None:
    flow = shop.disguise(digits[0], "velocity", FlowMatching())
    model = shop.adapted(lambda x, t, c: -flow(x, t, c), digits[0], "velocity", FlowMatching())
    report = shop.check(model, digits, last="prediction")
    assert report["prediction"].verdict == "fail"
    assert report["prediction"].hint == "say prediction='velocity' and return the output with its sign turned"


def at_level(net: Any, schedule: Schedule, handed: Schedule) -> Any:
    """A network of one schedule that takes the times of another, but the states of that other as they are."""

    def at_its_own_time(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        own = float(schedule.time(handed.log_snr(float(time[0]))))
        return net(x, torch.full_like(time, own), condition)

    return at_its_own_time


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_states_with_sigma_handed_to_a_network_of_alpha_scaled_ones(shop: Any, digits: Any, prediction: str) -> None:
    exact = digits[0]
    net = at_level(shop.disguise(exact, prediction, VP()), VP(), VE())
    report = shop.check(shop.adapted(net, exact, prediction, VE()), digits, last="input scale")
    assert "input scale" in report.failed
    assert "variance-preserving" in report["input scale"].cause


@pytest.mark.parametrize("prediction", ["data", "noise", "score"])
def test_alpha_scaled_states_handed_to_a_network_of_states_with_sigma(shop: Any, digits: Any, prediction: str) -> None:
    exact = digits[0]
    net = at_level(shop.disguise(exact, prediction, VE()), VE(), LINEAR)
    # denoised data depend weakly on the scale of the states, so that it takes all images to tell
    report = shop.check(shop.adapted(net, exact, prediction, LINEAR), digits, samples=200, last="input scale")
    assert "input scale" in report.failed
    assert "EDM" in report["input scale"].cause


def test_alpha_scaled_states_handed_to_a_trained_network(shop: Any, trained: Any) -> None:
    net = at_level(lambda x, s, c: trained[0].denoise(x, float(s[0]), c), VE(), LINEAR)
    report = shop.check(shop.adapted(net, trained[0], "data", LINEAR), trained, samples=1024)
    assert report.failed == ("input scale",)
    # the network is poor at little noise, where it likes other times; that is no time off by one
    assert "poorly fitted" in report["time"].cause


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("shift", "word", "hint"), [(1, "earlier", "time - 1"), (-1, "later", "time + 1")])
def test_a_time_off_by_one(shop: Any, digits: Any, shift: int, word: str, hint: str, whole: bool) -> None:
    net = shop.disguise(digits[0], "noise", LINEAR).with_times_shifted(shift)
    report = shop.check(ddpm_noise(shop, digits[0], net, integer_times=whole), digits)
    assert report.failed == ("time",)
    assert f"one step {word}" in report["time"].cause
    assert hint in report["time"].hint


def test_a_noise_level_handed_over_half_as_large(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", VE())
    model = shop.adapted(lambda x, s, c: net(x, 0.5 * s, c), digits[0], "noise", VE())
    report = shop.check(model, digits, last="time")
    assert "time" in report.failed


SCHEDULES = [LINEAR, DDPM("scaled_linear"), DDPM("cosine"), VE(), VP(), FlowMatching()]
WRITTEN = ["DDPM('linear')", "DDPM('scaled_linear')", "DDPM('cosine')", "VE()", "VP()", "FlowMatching()"]


def of_range(net: Any) -> Any:
    """A network that answers at any time, those of flow matching at its ends included."""
    return lambda x, t, c: net(x, t.clamp(1e-4, 1 - 1e-4) if net.schedule == FlowMatching() else t.clamp(1e-4), c)


@pytest.mark.parametrize("declared", [0, 1, 2])
@pytest.mark.parametrize("truth", [0, 1, 2])
def test_other_betas_are_named(shop: Any, digits: Any, truth: int, declared: int) -> None:
    # networks of whole times and of any alternate, so that each meets right and wrong betas
    whole = (truth + declared) % 4 in (0, 1)
    net = shop.disguise(digits[0], "noise", SCHEDULES[truth])
    report = shop.check(ddpm_noise(shop, digits[0], net, schedule=SCHEDULES[declared], integer_times=whole), digits)
    if truth == declared:
        assert report.ok
        return
    # what is declared wrongly may be worse than trivial; but one line says what to do
    assert set(report.failed) - {"denoising", "clean end"} == {"schedule"}
    assert report["schedule"].cause == "the network was trained on another schedule"
    assert report["schedule"].hint == f"say schedule=specent.schedules.{WRITTEN[truth]}"
    assert report["condition"].verdict == "skip"


def test_other_betas_of_fewer_steps_are_named(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", DDPM("cosine", 400))
    report = shop.check(ddpm_noise(shop, digits[0], net, schedule=DDPM("linear", 400)), digits, last="schedule")
    assert report["schedule"].hint == "say schedule=specent.schedules.DDPM('cosine', 400)"


def test_other_betas_of_a_network_that_is_not_exact_are_named(shop: Any, trained: Any) -> None:
    net = shop.disguise(trained[0], "noise", LINEAR)
    report = shop.check(ddpm_noise(shop, trained[0], net, schedule=DDPM("scaled_linear")), trained, samples=300)
    assert "schedule" in report.failed
    assert "DDPM('linear')" in report["schedule"].hint


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("truth", [0, 1, 4, 5])
def test_a_schedule_that_was_forgotten_is_named_with_the_prediction(
    shop: Any, digits: Any, truth: int, prediction: str
) -> None:
    net = of_range(shop.disguise(digits[0], prediction, SCHEDULES[truth]))
    report = shop.check(shop.adapted(net, digits[0], "noise", VE()), digits, last="time")
    assert "schedule" in report.failed
    addition = "" if prediction == "noise" else f" and prediction={prediction!r}"
    assert report["schedule"].hint == f"say schedule=specent.schedules.{WRITTEN[truth]}{addition}"
    # it is advised once
    assert {report[name].verdict for name in ("prediction", "input scale", "time")} == {"skip"}


def test_betas_of_no_usual_schedule_are_a_wrong_time(shop: Any, digits: Any) -> None:
    own = DDPM(tuple(np.linspace(1e-3, 0.1, 1000) ** 1.5))
    report = shop.check(ddpm_noise(shop, digits[0], shop.disguise(digits[0], "noise", own)), digits)
    assert not report.ok
    assert {"schedule", "time"} & set(report.failed)


@pytest.mark.parametrize("shift", [1, -1])
def test_labels_shifted_by_one(shop: Any, digits: Any, shift: int) -> None:
    order = [*((label + shift) % 5 for label in range(5)), 5]
    report = shop.check(
        ddpm_noise(shop, digits[0], shop.disguise(digits[0], "noise", LINEAR).with_conditions(order)), digits
    )
    assert report.failed == ("labels",)
    assert f"conditions are shifted by {-shift}" in report["labels"].cause
    assert f"fit condition '{-shift % 5}'" in report["labels"].figure


def test_labels_of_a_trained_network_shifted_by_one_show_on_few_images(shop: Any, trained: Any) -> None:
    model = shop.adapted(lambda x, s, c: trained[0].denoise(x, float(s[0]), torch.where(c < 10, (c + 1) % 10, c)),
                         trained[0], "data", VE())  # fmt: skip
    for seed in range(3):
        # what comes after the labels is looked at once
        last = "labels" if seed else ""
        assert shop.check(model, trained, samples=64, seed=seed, last=last).failed == ("labels",)


def test_swapped_conditions(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", LINEAR).with_conditions([0, 3, 2, 1, 4, 5])
    report = shop.check(ddpm_noise(shop, digits[0], net), digits)
    assert report.failed == ("labels",)
    assert report["labels"].cause == "the conditions '1' and '3' are swapped"


def test_swapped_conditions_of_two(shop: Any) -> None:
    mix = sp.exact.GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], labels=["cat", "dog"])
    generator = np.random.default_rng(0)
    index = generator.integers(2, size=1000)
    data = (sp.models.mixture(mix), mix.means[index] + generator.standard_normal((1000, 2)), index)
    net = shop.disguise(data[0], "data", VE()).with_conditions([1, 0, 2])
    report = shop.check(shop.adapted(net, data[0], "data", VE()), data, samples=500)
    assert report.failed == ("labels",)
    assert report["labels"].cause == "the conditions 'cat' and 'dog' are swapped"


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("kind", ["random 0", "random 1", "random 2", "zero"])
def test_a_null_condition_that_was_not_trained(shop: Any, trained: Any, kind: str, data: bool) -> None:
    weight = trained[0].net.embed_class.weight.detach()
    generator = torch.Generator().manual_seed(int(kind[-1]) if kind != "zero" else 0)
    normal = weight[:10].std() * torch.randn(weight.shape[1], generator=generator)
    model = shop.with_null(trained[0], torch.zeros_like(normal) if kind == "zero" else normal)
    report = shop.check(model, trained if data else None)
    assert report.failed == ("null",)
    assert "not trained" in report["null"].cause


@pytest.mark.parametrize("null", [0, 3])
def test_a_null_condition_that_is_one_of_the_labels(shop: Any, digits: Any, null: int) -> None:
    net = shop.disguise(digits[0], "noise", LINEAR).with_conditions([0, 1, 2, 3, 4, null])
    report = shop.check(ddpm_noise(shop, digits[0], net), digits)
    assert report.failed == ("null",)


def test_an_untrained_null_condition_among_many_labels(shop: Any) -> None:
    generator = np.random.default_rng(1)
    means = generator.standard_normal((40, 32))
    mix = sp.exact.GaussianMixture(means, variance=0.05, labels=[str(i) for i in range(40)])
    index = generator.integers(40, size=1500)
    data = (sp.models.mixture(mix), means[index] + 0.05**0.5 * generator.standard_normal((1500, 32)), index)
    net = shop.disguise(data[0], "data", VE()).with_conditions([*range(40), 7])
    report = shop.check(shop.adapted(net, data[0], "data", VE()), data, samples=500)
    assert report.failed == ("null",)


def test_overflow_in_half_precision_names_the_noise_level(shop: Any, trained: Any) -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        scaled = x.half() * 500  # half precision ends at 65504, so beyond |x| = 131
        return trained[0].denoise(scaled.float() / 500, float(sigma[0]), condition)

    report = shop.check(shop.adapted(net, trained[0], "data", VE()), trained)
    assert report.failed == ("finite",)
    level = float(report["finite"].figure.split("noise level ")[1].split()[0])
    # the largest of 4 * 64 normal numbers lies between 2 and 5
    assert 131 / 5 < level < 131 / 2 * (80 / 0.002) ** (1 / 15)
    assert "half precision" in report["finite"].cause
    assert {line.verdict for line in report.lines[1:]} == {"skip"}


def test_dropout_that_stays_on(shop: Any, trained: Any) -> None:
    drop = torch.nn.Dropout(0.1)

    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return drop(trained[0].denoise(x, float(sigma[0]), condition))

    report = shop.check(shop.adapted(net, trained[0], "data", VE()), trained, last="batches")
    assert {"repeatable", "batches"} <= set(report.failed)
    assert ".eval()" in report["repeatable"].hint


def test_the_first_condition_taken_for_all(shop: Any, trained: Any) -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return trained[0].denoise(x, float(sigma[0]), condition[:1].expand(len(x)))

    assert "batches" in shop.check(shop.adapted(net, trained[0], "data", VE()), trained, last="batches").failed


def test_a_condition_that_is_not_handed_on(shop: Any, trained: Any) -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return trained[0].denoise(x, float(sigma[0]), torch.full_like(condition, 10))

    report = shop.check(shop.adapted(net, trained[0], "data", VE()), trained)
    assert report.failed == ("labels",)
    assert "condition is not handed" in report["labels"].cause


class Autocast(torch.nn.Module):
    """The shipped network, which multiplies in half precision unless it is in double precision as a whole."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.net = model.net

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=x.dtype == torch.float32):
            output = self.net(x.reshape(len(x), -1), sigma, self.net.modulation(sigma, condition))
        return output.to(x.dtype).reshape(x.shape)


def test_half_precision_inside_shows_as_a_difference_to_double(shop: Any, trained: Any) -> None:
    report = shop.check(
        shop.adapted(Autocast(copy.deepcopy(trained[0])).eval(), trained[0], "data", VE()), trained, last="precision"
    )
    share = float(report["precision"].figure.split(" by ")[1].split()[0])
    # bfloat16 rounds by 2^-9 = 0.002; differences of conditions are smaller than what they are differences of
    assert 0.002 < share < 1
    assert report["precision"].verdict in ("warn", "fail")
    assert "half precision" in report["precision"].cause


def test_images_in_another_range(shop: Any, trained: Any) -> None:
    report = shop.check(trained[0], (trained[0], 127.5 * (trained[1] + 1), trained[2]), last="denoising")
    assert "denoising" in report.failed
    assert "-1 to 1" in report["denoising"].hint


def test_weights_that_were_not_loaded(shop: Any, trained: Any) -> None:
    model = copy.deepcopy(trained[0])
    torch.manual_seed(0)
    for weight in model.net.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    report = shop.check(model, trained, last="denoising")
    assert "denoising" in report.failed
    assert "weights" in report["denoising"].cause


def test_a_network_that_raises_is_a_line_of_the_report(shop: Any, trained: Any) -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return torch.nn.functional.embedding(condition, torch.zeros(10, 64)).reshape(x.shape)

    report = shop.check(shop.adapted(net, trained[0], "data", VE()), trained)
    assert report.failed == ("finite",)
    assert "null=False" in report["finite"].figure


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (lambda x: 0 * x, {"clean end", "denoising"}),
        (lambda x: x, {"noisy end", "denoising"}),
        (lambda x: 1e30 * x, {"clean end", "noisy end", "denoising", "self-test"}),
        (lambda x: x / 0, {"finite"}),
        (lambda x: (x,), {"finite"}),
    ],
    ids=["zeros", "identity", "huge", "infinite", "tuple"],
)
def test_what_is_no_denoiser_at_all(shop: Any, trained: Any, answer: Any, failed: set[str]) -> None:
    model = shop.adapted(lambda x, t, c: answer(x), trained[0], "data", VE())
    assert set(shop.check(model, trained).failed) == failed
    # without data little can be said, but nothing raises
    assert set(shop.check(model).failed) <= failed


def test_samples_as_wide_as_the_noise_are_said_to_be(shop: Any, trained: Any) -> None:
    report = shop.check(shop.adapted(lambda x, t, c: x, trained[0], "data", VE()), last="noisy end")
    assert report["noisy end"].verdict == "warn"
    assert "does not denoise" in report["noisy end"].cause


def test_candidates_that_are_not_what_denoise_returns(shop: Any, trained: Any) -> None:
    class Crooked(sp.models.Model):
        identity = {"name": "crooked"}  # noqa: RUF012

        def to(self, device: torch.device) -> "Crooked":
            return self

        def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
            return trained[0].denoise(x, sigma, condition)

        def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
            return super().candidates(x, sigma, conditions.flip(0))

    assert "batches" in shop.check(Crooked(trained[0].labels, trained[0].shape), trained, last="batches").failed
