"""Networks of one name and other weights are other models: a run folder and a plan file tell them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import specent as sp
from specent.errors import SpecentError
from specent.models.modules import weights_sha256


class Net(nn.Module):
    """A denoiser with one weight, a stored buffer, and one that is worked out anew every time."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(1, 1, bias=False))
        nn.init.constant_(self.inner[0].weight, scale)
        self.register_buffer("shift", torch.tensor(0.5))
        self.register_buffer("cache", torch.rand(3), persistent=False)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        return self.inner(x) / (1 + time[:, None] ** 2) + self.shift * condition[:, None]


def planned(scale: float, samples: int = 4, **options: Any) -> sp.Plan:
    model = sp.models.network(Net(scale), ["a", "b"], (1,), prediction="data", **options)
    return sp.Plan(model, sp.schedules.VE(), sp.schedules.edm_grid(4, 0.05, 80.0), samples, "full")


def test_a_network_with_other_weights_does_not_go_on_with_a_run(tmp_path: Path) -> None:
    sp.run(planned(0.5), tmp_path / "run", progress=False)
    sp.run(planned(0.5, samples=6), tmp_path / "run", progress=False)
    assert sp.open(tmp_path / "run").sizes["sample"] == 6
    with pytest.raises(SpecentError, match=r"another plan: model\.weights_sha256 is '[0-9a-f]+.* there and '[0-9a-f]+"):
        sp.run(planned(0.25, samples=8), tmp_path / "run", progress=False)


def test_a_run_from_before_weights_had_a_digest_goes_on(tmp_path: Path) -> None:
    folder = sp.run(planned(0.5), tmp_path / "run", progress=False)
    record = json.loads((folder / "run.json").read_text())
    assert len(record["plan"]["model"].pop("weights_sha256")) == 64
    for shard in folder.glob("shard-*.nc"):
        shard.unlink()
    (folder / "run.json").write_text(json.dumps(record))
    sp.run(planned(0.5, samples=6), folder, progress=False)
    assert sp.open(folder).sizes["sample"] == 6


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_plan_file_says_which_weights_are_meant(suffix: str, tmp_path: Path) -> None:
    plan = planned(0.5)
    file = plan.write(tmp_path / f"plan.{suffix}")
    assert sp.Plan.read(file, model=plan.model).definition == plan.definition
    with pytest.raises(SpecentError, match=r"model: it is another one: weights_sha256 is .* use the model of the plan"):
        sp.Plan.read(file, model=planned(0.25).model)


def test_a_checkpoint_that_is_named_counts_instead() -> None:
    one, other = (planned(scale, checkpoint_sha256="ab12").definition["model"] for scale in (0.5, 0.25))
    assert one == other
    assert "weights_sha256" not in one


def test_the_digest_is_of_values_types_and_stored_buffers_alone() -> None:
    net = Net(0.5)
    digest = weights_sha256(net)
    assert digest == weights_sha256(Net(0.5))  # whatever is in the cache
    assert digest == weights_sha256(torch.compile(net, backend="eager"))
    assert digest != weights_sha256(Net(0.5).double())
    net.shift += 1.0
    assert digest != weights_sha256(net)
    assert weights_sha256(nn.Linear(1, 1, device="meta")) == ""
    assert len(weights_sha256(net.bfloat16())) == 64
