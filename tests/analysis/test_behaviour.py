"""Models whose posterior and behaviour disagree are named when their U-turns are compared."""

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import specent as sp
from specent.errors import CalibrationWarning, SpecentError, SpecentWarning

VE = sp.schedules.VE()
MIX = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])


class Lopsided(sp.models.Model):
    """The classes are right, but what claims to be their mixture knows of the left one only."""

    def __init__(self) -> None:
        super().__init__(["left", "right"], (1,))
        self.inner = sp.models.mixture(MIX)

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "lopsided"}

    def to(self, device: torch.device) -> "Lopsided":
        return self

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        return self.inner.denoise(x, sigma, torch.where(condition == 2, 0, condition))


def turn(model: Any, **options: Any) -> xr.Dataset:
    chosen = {"levels": [2.0, 8.0], "samples": 400, "steps": (16, 32), "mover": ("null", "class"), **options}
    return sp.u_turn(
        model, data=sp.models.mixture(MIX), schedule=VE, time=sp.schedules.edm_grid(48), progress=False, **chosen
    )


def test_the_model_that_does_not_do_as_its_posterior_says_is_named() -> None:
    good, bad = turn(sp.models.mixture(MIX)), turn(Lopsided())
    with pytest.warns(CalibrationWarning, match="'b' disagree: continuations moved by 'null'") as caught:
        both = sp.compare({"a": good, "b": bad})
    # the class mover of the bad model is right, and so is all of the good one
    assert len(caught) == 1
    assert both.sizes["run"] == 2
    np.testing.assert_array_equal(both.phi.sel(run="b"), bad.phi)
    np.testing.assert_array_equal(both.phi_at_steps.sel(run="a"), good.phi_at_steps)
    # all that turns ends on the left
    assert bad.phi.sel(mover="null").values == pytest.approx(0.5, abs=0.01)


def test_trunks_and_data_are_compared_and_an_archive_keeps_the_result(tmp_path) -> None:
    model = sp.models.mixture(MIX)
    both = sp.compare({"data": turn(model), "trunk": turn(model, start="trunk", classifier="path")})
    assert both.attrs["start"] == "data, trunk"
    with sp.open(sp.write(both, tmp_path / "both.nc")) as stored:
        assert stored.identical(both)


def test_numbers_of_steps_that_one_has_not_are_left_out() -> None:
    model = sp.models.mixture(MIX)
    both = sp.compare({"several": turn(model), "one": turn(model, steps=64)})
    assert "steps" not in both.dims
    with pytest.warns(SpecentWarning, match="left out: mover 'null'"):
        sp.compare({"all": turn(model, samples=20), "class": turn(model, samples=20, mover="class")})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": [3.0, 8.0]}, "other times"),
        ({"continuation": "basin", "steps": 16}, "continuation"),
        ({"partition": sp.Partition("other", (("l", ("left",)), ("r", ("right",))))}, "partition"),
    ],
)
def test_what_means_something_else_is_not_compared(options: dict[str, Any], message: str) -> None:
    model = sp.models.mixture(MIX)
    with pytest.raises(SpecentError, match=message):
        sp.compare({"one": turn(model, samples=10), "other": turn(model, samples=10, **options)})
