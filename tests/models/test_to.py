"""A model goes to another device as a copy; what the caller made stays as it is. And a model says what it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import specent as sp
from specent.errors import ModelError
from specent.models.diffusers.tiny_pipelines import write_pipeline
from specent.models.edm2.tiny_networks import write_tiny
from specent.models.modules import visible_modules, visible_tensors
from specent.schedules import VE

META, CPU = torch.device("meta"), torch.device("cpu")
MIX = sp.exact.GaussianMixture([[-2.0, 0.0], [2.0, 1.0]], labels=["a", "b"])


class Net(nn.Module):
    """A small network in training mode, with a part of it in evaluation mode, a buffer, and tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2)
        self.last.weight = self.first.weight
        self.register_buffer("table", torch.ones(2))
        self.train()
        self.first.eval()

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return self.last(self.drop(self.first(x))) * self.table


class Protocol(Net):
    """A network that follows the protocol."""

    schedule, conditions, shape = VE(), ["a", "b"], (2,)


class Holder:
    """An object that holds a network, tensors in a list, and a device."""

    schedule, conditions, shape = VE(), ["a", "b"], (2,)

    def __init__(self) -> None:
        self.net, self.tables, self.device = Net(), [torch.ones(2)], CPU

    def to(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        return self.net(x, t, condition)


class Foreign(Net):
    """A network of another library, whose schedule holds a tensor."""

    class Ends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ends", torch.tensor([0.01, 100.0]))

        def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
            return torch.ones_like(t), self.ends[0] * (self.ends[1] / self.ends[0]) ** t

    def __init__(self) -> None:
        super().__init__()
        self.schedule = self.Ends()

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return super().forward(x, t, label)


def of_network() -> tuple[Any, sp.models.Model]:
    net = Net()
    return net, sp.models.network(net, ["a", "b"], (2,), prediction="data")


def of_protocol() -> tuple[Any, sp.models.Model]:
    net = Protocol()
    return net, sp.models.as_model(net)


def of_holder() -> tuple[Any, sp.models.Model]:
    holder = Holder()
    return holder, sp.models.as_model(holder)


def of_foreign() -> tuple[Any, sp.models.Model]:
    net = Foreign()
    return net, sp.models.foreign(net, ["a", "b"], (2,))


def alone(model: sp.models.Model) -> tuple[Any, sp.models.Model]:
    return model, model


CONSTRUCTORS: dict[str, Callable[[Path], tuple[Any, sp.models.Model]]] = {
    "network": lambda folder: of_network(),
    "protocol": lambda folder: of_protocol(),
    "holder": lambda folder: of_holder(),
    "foreign": lambda folder: of_foreign(),
    "mixture": lambda folder: alone(sp.models.mixture(MIX)),
    "finite": lambda folder: alone(sp.models.finite([[-1.0, 0.0], [1.0, 0.0]], ["a", "b"])),
    "digits": lambda folder: alone(sp.models.digits()),
    "edm2": lambda folder: alone(sp.models.edm2(write_tiny(folder)[0])),
    "pipeline": lambda folder: alone(sp.models.pipeline(write_pipeline("unet_classes", folder / "pipeline"))),
}


def snapshot(thing: Any) -> list[Any]:
    """Everything that must not change: identity, device, type, order and values of tensors, and modes of modules."""
    tensors = [(id(one), one.device, one.dtype, one.stride(), one.clone()) for one in visible_tensors(thing)]
    return [*tensors, *[(id(module), module.training) for module in visible_modules(thing)]]


def same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(
        all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(one, other, strict=True))
        for one, other in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_a_model_goes_to_a_device_as_a_copy(kind: str, tmp_path: Path) -> None:
    thing, model = CONSTRUCTORS[kind](tmp_path)
    before = snapshot(thing)
    assert before
    there = model.to(META)
    assert isinstance(there, type(model))
    assert there is not model
    assert {tensor.device for tensor in visible_tensors(there)} == {META}
    assert same(before, snapshot(thing))
    assert (there.labels, there.shape, there.null, there.identity) == (
        model.labels, model.shape, model.null, model.identity,
    )  # fmt: skip
    # the model itself still denoises where it was
    x = torch.zeros(2, *model.shape)
    assert model.denoise(x, 1.0, torch.tensor([0, 1])).device == CPU
    assert same(before, snapshot(thing))


@pytest.mark.parametrize("kind", CONSTRUCTORS)
def test_what_is_on_the_device_already_is_shared(kind: str, tmp_path: Path) -> None:
    _, model = CONSTRUCTORS[kind](tmp_path)
    weights = {id(tensor) for tensor in visible_tensors(model) if isinstance(tensor, nn.Parameter)}
    assert weights == {id(tensor) for tensor in visible_tensors(model.to(CPU)) if isinstance(tensor, nn.Parameter)}


def test_a_copy_keeps_tied_weights_and_modes_and_what_else_an_object_moves() -> None:
    _, model = of_network()
    net = model.to(META).net
    assert net.first.weight is net.last.weight
    assert (net.first.training, net.drop.training) == (False, True)
    holder, model = of_holder()
    assert model.to(META).net.device == META
    assert holder.device == CPU


def test_a_schedule_of_another_library_stays_where_it_is() -> None:
    _, model = of_foreign()
    there = model.to(META)
    assert (model.schedule.device, there.schedule.device) == (CPU, META)
    assert there.schedule.function is there.net.denoiser.schedule


def test_what_cannot_be_copied_says_how_to_move_it() -> None:
    _, model = of_holder()
    model.net.lock = (one for one in [])
    with pytest.raises(ModelError, match=r"cannot be copied to 'meta' .* move it there before"):
        model.to(META)
    assert model.to(CPU).net is model.net


def test_a_network_in_training_mode_is_run_in_evaluation_mode_and_gets_its_mode_back() -> None:
    for make in (of_network, of_protocol, of_foreign):
        thing, model = make()
        before, x = snapshot(thing), torch.ones(64, 2)
        condition = torch.zeros(64, dtype=torch.int64)
        first, again = (model.denoise(x, 1.0, condition) for _ in range(2))
        assert torch.equal(first, again)
        assert len(first.unique(dim=0)) == 1
        assert same(before, snapshot(thing))


def test_modes_are_given_back_when_the_network_raises() -> None:
    class Broken(Net):
        def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            assert not self.drop.training
            raise KeyError("weights")

    net = Broken()
    with pytest.raises(ModelError, match="weights"):
        sp.models.network(net, ["a"], (2,), prediction="data").denoise(torch.zeros(1, 2), 1.0, torch.tensor([0]))
    assert net.drop.training


def test_a_model_says_what_it_is() -> None:
    _, model = of_network()
    assert repr(model) == (
        "<NetworkModel 'network': 2 labels ('a', 'b'), shape (2,), with the null condition, 8 weights, on cpu>"
    )
    assert repr(model.to(META)).endswith("8 weights, on meta>")
    exact = repr(sp.models.mixture(MIX))
    assert exact == (
        "<MixtureModel 'gaussian_mixture': 2 labels ('a', 'b'), shape (2,), with the null condition, on cpu>"
    )
    many = sp.models.network(lambda x, t, c: x, [str(i) for i in range(1000)], (1,), prediction="data", null=False)
    assert "1000 labels ('0', '1', '2', '3', ...), shape (1,), without a null condition>" in repr(many)
