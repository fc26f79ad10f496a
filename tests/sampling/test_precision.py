"""Arithmetic of the network: what is asked for is what it gets, and what it does to the entropy is told."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import specent as sp
from specent.errors import ModelError, SpecentError, SpecentWarning
from specent.sampling.precision import arithmetic
from specent.schedules import VE, edm_grid

OPTIONS = {"schedule": VE(), "time": edm_grid(12, 0.05), "samples": 12, "seed": 1, "progress": False}
CPU = torch.device("cpu")


class Classes(nn.Module):
    """Denoiser of unit-variance classes at +-mean in 16 dimensions, through a linear layer that autocast rounds."""

    def __init__(self, mean: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        self.mean = mean
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(16))
            self.layer.bias.zero_()
        self.seen: set[torch.dtype] = set()

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        centre = torch.where(condition == 0, -self.mean, self.mean)[:, None].to(x.dtype)
        out: Tensor = self.layer(centre + (x - centre) / (1 + sigma[:, None] ** 2))
        self.seen.add(out.dtype)
        return out


def model(net: nn.Module) -> sp.models.Model:
    return sp.models.network(net, ["a", "b"], (16,), prediction="data", null=False)


def test_single_precision_is_the_default_and_reduced_precision_reaches_the_network() -> None:
    for precision, wanted in (("float32", {torch.float32}), ("bfloat16", {torch.float32, torch.bfloat16})):
        net = Classes()
        made = sp.sample(model(net), precision=precision, **OPTIONS)
        assert net.seen == wanted  # the probe needs both
        assert made.log_likelihood.dtype == np.float64
        assert f'"precision": "{precision}"' in made.attrs["settings"]


def test_harmless_rounding_is_silent_and_harmful_rounding_is_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sp.sample(model(Classes(0.5)), precision="bfloat16", **OPTIONS)

    class Offset(Classes):
        """Classes that differ by less than bfloat16 resolves at 300, the size of the data."""

        def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
            centre = 300 + torch.where(condition == 0, -self.mean, self.mean)[:, None].to(x.dtype)
            out: Tensor = self.layer(centre + (x - centre) / (1 + sigma[:, None] ** 2))
            return out

    with pytest.warns(SpecentWarning, match=r"precision='bfloat16' changes an entropy by 0\.\d+ bit on 24 traj"):
        sp.sample(model(Offset(0.4)), precision="bfloat16", **OPTIONS)


def test_switches_of_the_gpu_are_set_within_and_put_back_after() -> None:
    backends = torch.backends
    places = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    before = [place.fp32_precision for place in places]
    with arithmetic("float32", CPU):
        assert {place.fp32_precision for place in places} == {"ieee"}
    with arithmetic("tf32", CPU):
        assert {place.fp32_precision for place in places} == {"tf32"}
    with pytest.raises(KeyError), arithmetic("float32", CPU):
        raise KeyError
    assert [place.fp32_precision for place in places] == before


@pytest.mark.parametrize("precision", ["half", None, 16, torch.float16])
def test_an_unknown_precision_is_refused_before_the_network_is_called(precision: object) -> None:
    net = Classes()
    with pytest.raises(SpecentError, match=r"precision=.* must be one of 'float32', 'tf32', 'bfloat16', 'float16'"):
        sp.sample(model(net), precision=precision, **OPTIONS)
    assert not net.seen


def test_a_compiled_network_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    # the compiler of the processor takes a minute; what is tested is that the compiled network is the one that is used
    calls = []
    whole = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda net, **options: calls.append(net) or whole(net, **options))
    net = Classes()
    plain = sp.sample(model(net), **OPTIONS)
    made = sp.sample(model(net), compiled=True, **OPTIONS)
    assert calls == [net]
    np.testing.assert_allclose(made.log_likelihood, plain.log_likelihood, rtol=1e-6, atol=1e-6)


def test_what_cannot_be_compiled_is_said() -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    with pytest.raises(ModelError, match="compiled=True: MixtureModel has no torch module"):
        sp.sample(sp.models.mixture(mix), compiled=True, **OPTIONS)
    function = sp.models.network(lambda x, t, c: 0 * x, ["a", "b"], (1,), prediction="data")
    with pytest.raises(ModelError, match=r"compiled=True: .* no torch module"):
        sp.sample(function, compiled=True, **OPTIONS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_gives_the_numbers_of_the_processor(compiled: bool) -> None:
    plain = sp.sample(model(Classes()), **OPTIONS)
    made = sp.sample(model(Classes()), device="cuda", compiled=compiled, **OPTIONS)
    np.testing.assert_allclose(made.log_likelihood, plain.log_likelihood, rtol=1e-4, atol=1e-4)
