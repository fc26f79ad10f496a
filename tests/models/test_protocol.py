"""The protocol: what counts as a model without inheriting from one."""

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import ModelError
from specent.models import as_model
from specent.schedules import DDPM, VE, VP, Schedule

MIX = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 1.0]], labels=["left", "right"])


class Own:
    """The exact denoiser of a mixture in the coordinates of any schedule: no subclass."""

    def __init__(self, schedule: Schedule = VE(), **parts: object) -> None:  # noqa: B008  (frozen)
        self.schedule, self.conditions, self.shape = schedule, ["left", "right"], (2,)
        self.exact = sp.models.mixture(MIX)
        vars(self).update(parts)

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        assert t.shape == (len(x),)
        time = float(t[0])
        level = float(self.schedule.noise_level(time))
        return self.exact.denoise(x.double() / float(self.schedule.alpha(time)), level, condition).to(x.dtype)


@pytest.mark.parametrize("schedule", [VE(), VP(), DDPM("linear")], ids=lambda s: s.name)
def test_an_object_that_follows_the_protocol_denoises_like_the_model_it_stands_for(schedule: Schedule) -> None:
    model, exact = as_model(Own(schedule)), sp.models.mixture(MIX)
    x = torch.linspace(-4, 4, 12).reshape(6, 2)
    condition = torch.tensor([0, 1, 0, 1, 1, 0])
    for level in (0.3, 4.0):
        expected = exact.denoise(x.double(), level, condition).float()
        torch.testing.assert_close(model.denoise(x, level, condition), expected, rtol=1e-4, atol=1e-5)


def test_the_parts_that_may_be_left_out_have_defaults() -> None:
    model = as_model(Own())
    assert (model.null, model.labels, model.label_prior.tolist()) == (False, ("left", "right"), [0.5, 0.5])
    assert model.identity["name"] == "Own"
    full = as_model(Own(null_condition=True, label_prior=[0.25, 0.75], name="mine", identity={"weights": "a1"}))
    assert full.null
    assert full.label_prior.tolist() == [0.25, 0.75]
    assert full.identity["name"] == "mine"
    assert full.identity["weights"] == "a1"


def test_labels_is_another_name_for_conditions() -> None:
    own = Own(labels=["a", "b"])
    del own.conditions
    assert as_model(own).labels == ("a", "b")


def test_a_model_is_returned_as_it_is() -> None:
    model = sp.models.mixture(MIX)
    assert as_model(model) is model


def test_double_weights_get_double_states_and_parts_are_moved() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.schedule, self.conditions, self.shape = VE(), ["a"], (1,)
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            return self.layer(x)

    single, double = as_model(Net()), as_model(Net().double())
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    meta = torch.device("meta")
    assert single.to(meta).net.layer.weight.device == meta
    parts = Own(layer=torch.nn.Linear(1, 1), table=torch.zeros(3))
    copied = as_model(parts).to(meta).net
    assert (copied.layer.weight.device, copied.table.device) == (meta, meta)
    assert (parts.layer.weight.device, parts.table.device) == (torch.device("cpu"),) * 2


def test_its_own_pictures_are_used_where_it_has_them() -> None:
    assert as_model(Own(decode=lambda x: x + 1)).decode(torch.zeros(1)).item() == 1
    with pytest.raises(ModelError, match="not pictures"):
        as_model(Own()).decode(torch.zeros(1, 2))


def test_whole_times_are_whole() -> None:
    seen: list[Tensor] = []

    class Steps(Own):
        def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            seen.append(t)
            return super().__call__(x, t, condition)

    ddpm = DDPM("linear")
    model = as_model(Steps(ddpm, integer_times=True))
    model.denoise(torch.zeros(2, 2), float(ddpm.noise_level(250)), torch.tensor([0, 1]))
    assert seen[0].dtype == torch.int64
    assert seen[0].tolist() == [250, 250]


class Bare:
    """Nothing of a model."""


class Called:
    """Can be called, and that is all."""

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return x


class Azula(Called):
    """A denoiser of another library."""

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), t


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (None, "cannot be called .*lacks schedule.*lacks conditions.*lacks shape.*specent.models.network"),
        (Bare(), "a Bare, not a model: it cannot be called"),
        (Called(), "lacks schedule, for example specent.schedules.VE"),
        (Azula(), r"is none of specent.schedules.*specent\.models\.foreign"),
        (Own, "is a class; pass an instance"),
        (Own(schedule="ve"), "schedule='ve' is none of"),
        (Own(conditions="cat"), "labels='cat' must be a list of names"),
        (Own(conditions=["a", "null"]), "none called 'null'"),
        (Own(shape=(1, 2)), "shape="),
        (Own(null_condition="yes"), "Own.null_condition='yes' must be True or False"),
        (Own(integer_times=1), "Own.integer_times=1 must be True or False"),
        (Own(label_prior=[1.0, 1.0]), "label_prior="),
        (Own(name=None), "Own.name=None must be a name"),
        (Own(identity="mine"), "Own.identity='mine' must be a dictionary"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else type(value).__name__,
)
def test_what_is_missing_is_listed_with_its_mend(thing: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        as_model(thing)


@pytest.mark.parametrize("error", [KeyError("gotcha"), RuntimeError("gotcha")], ids=["key", "runtime"])
@pytest.mark.parametrize("name", ["schedule", "conditions", "shape", "label_prior", "identity", "null_condition"])
def test_an_attribute_that_raises_is_named(name: str, error: Exception) -> None:
    def raises(self: object) -> None:
        raise error

    # with a setter, so that it can be built
    kind = type("Trap", (Own,), {name: property(raises, lambda self, value: None)})
    with pytest.raises(ModelError, match=rf"Trap.{name} raised {type(error).__name__}: .*gotcha"):
        as_model(kind())


def test_weights_that_are_not_finite_are_refused() -> None:
    broken = torch.nn.Linear(1, 1)
    broken.weight.data[:] = np.nan
    broken.schedule, broken.conditions, broken.shape = VE(), ["a"], (1,)
    with pytest.raises(ModelError, match="weight 'weight' of the network"):
        as_model(broken)
