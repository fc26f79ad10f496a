"""Previews: predictions decoded into pictures, beside everything else as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import specent as sp
from specent.errors import ModelError, SpecentError
from specent.models.diffusers import PipelineModel, pipeline
from specent.models.diffusers.tiny_pipelines import write_pipeline

OPTIONS = {"samples": 3, "record": sp.Record([0.05, 2.0]), "progress": False}


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> PipelineModel:
    return pipeline(write_pipeline("sdxl", tmp_path_factory.mktemp("sdxl")), prompts=["a chair", "a cat"])


@pytest.fixture(scope="module")
def runs(latents: PipelineModel) -> xr.Dataset:
    grid = sp.schedules.edm_grid(5, 0.05, 14.0)
    with pytest.warns(sp.SpecentWarning, match="time ends at"):  # random networks part ways at once
        return sp.sample(
            latents, schedule=sp.schedules.VE(), time=grid, guidance=[sp.Guidance(), sp.Guidance(2.0)], **OPTIONS
        )


@pytest.mark.parametrize("size", [1, 5, 100])
def test_every_prediction_is_decoded_to_its_place(latents: PipelineModel, runs: xr.Dataset, size: int) -> None:
    made = sp.models.previews(latents, runs, batch_size=size, progress=False)
    assert made["preview"].dims[4:] == ("preview_channel", "preview_y", "preview_x")
    assert made["preview"].dtype == np.uint8
    for place in np.ndindex(2, 2, 3, 2):
        one = torch.from_numpy(runs["prediction"].values[place])[None]
        wanted = (255 * latents.decode(one)[0]).numpy()
        # rounded to whole numbers; batches of another size differ by rounding in single precision
        assert np.abs(made["preview"].values[place].astype(float) - wanted).max() < 0.501


@pytest.mark.parametrize("most", [1, 1 << 30])
def test_lazy_runs_are_decoded_when_they_are_used(
    latents: PipelineModel, runs: xr.Dataset, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Block by block, cut where pictures take more memory than a block may; the same as at once."""
    sizes: list[int] = []
    decode = PipelineModel.decode

    def counted(self: PipelineModel, x: Tensor) -> Tensor:
        sizes.append(len(x))
        return decode(self, x)

    monkeypatch.setattr(PipelineModel, "decode", counted)
    monkeypatch.setattr(sys.modules[sp.models.previews.__module__], "_BLOCK_BYTES", most)
    lazy = sp.models.previews(latents, runs.chunk(class_label=1, sample=2), batch_size=3, progress=False)
    # one of nothing, for the size of a picture
    assert sizes == [1]
    once = sp.models.previews(latents, runs, progress=False)
    sizes.clear()
    xr.testing.assert_equal(lazy.preview.compute(), once.preview)
    assert sum(sizes) == np.prod(runs.prediction.shape[:4])
    assert max(sizes) <= 3


def test_nothing_else_changes_but_the_history(latents: PipelineModel, runs: xr.Dataset, tmp_path: Path) -> None:
    before = runs.copy(deep=True)
    made = sp.models.previews(latents, runs, progress=False)
    xr.testing.assert_identical(runs, before)
    rest = made.drop_vars(["preview", "preview_channel", "preview_y", "preview_x"])
    xr.testing.assert_identical(rest.drop_attrs(), runs.drop_attrs())
    changed = {key for key, value in made.attrs.items() if runs.attrs[key] != value}
    assert changed == {"history"}
    assert made.attrs["history"].startswith(runs.attrs["history"])
    sp.write(made, tmp_path / "runs.nc")
    lazy = sp.open(tmp_path / "runs.nc", chunks="auto")
    again = sp.models.previews(latents, lazy, progress=False)
    np.testing.assert_array_equal(again["preview"], made["preview"])
    sp.validate(again)


def test_pixels_are_shown_as_they_are() -> None:
    images = np.linspace(-1, 1, 8).reshape(2, 1, 2, 2)
    model = sp.models.finite(images, ["a", "b"])
    made = sp.sample(model, schedule=sp.schedules.VE(), time=[0.001, 1.0, 90.0], samples=2, record=sp.Record([0.001]),
                     progress=False)  # fmt: skip
    pictures = sp.models.previews(model, made, progress=False)["preview"]
    wanted = np.round(127.5 * (images + 1)).astype(int)
    for label, picture in zip("ab", wanted, strict=True):
        assert (pictures.sel(class_label=label).squeeze() == picture.squeeze()).all()


class Odd(sp.models.Model):
    """A model of pictures that are decoded in ways that are not."""

    def __init__(self, made: object) -> None:
        super().__init__(["a", "b"], (1, 2, 2))
        self.made = made

    @property
    def identity(self) -> dict[str, object]:
        return {"name": "odd"}

    def to(self, device: torch.device) -> Odd:
        return self

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        return 0 * x

    def decode(self, x: Tensor) -> Tensor:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (RuntimeError("lost"), "Odd.decode raised RuntimeError: lost"),
        (None, "Odd.decode returned None"),
        (torch.zeros(2, 2, 4, 4), r"returned \(2, 2, 4, 4\) for 2 predictions"),
        (torch.zeros(3, 1, 4, 4), r"returned \(3, 1, 4, 4\) for 2 predictions"),
        (torch.full((2, 1, 4, 4), torch.nan), "made a NaN or an infinity"),
    ],
    ids=str,
)
def test_what_no_picture_comes_of_is_named(made: object, said: str) -> None:
    model = Odd(made)
    held = sp.sample(model, schedule=sp.schedules.VE(), time=[0.1, 1.0, 90.0], samples=2, record=sp.Record([1.0]),
                     progress=False)  # fmt: skip
    with pytest.raises(ModelError, match=said):
        sp.models.previews(model, held, progress=False)


def test_runs_of_another_model_are_refused(latents: PipelineModel, runs: xr.Dataset, tmp_path: Path) -> None:
    other = pipeline(write_pipeline("sdxl", tmp_path / "other", seed=1), prompts=["a chair", "a cat"])
    with pytest.raises(ModelError, match="from another model: it differs in 'name', 'weights'"):
        sp.models.previews(other, runs)
    wider = pipeline(write_pipeline("sd3", tmp_path / "sd3"), prompts=["a chair", "a cat"])
    with pytest.raises(ModelError, match=r"predictions of shape \(4, 8, 8\), the model denoises \(16, 8, 8\)"):
        sp.models.previews(wider, runs)
    strange = runs.assign_attrs(model=json.dumps(["x"]))
    with pytest.raises(ModelError, match="it differs in its description"):
        sp.models.previews(latents, strange)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "sdxl"}, "model='sdxl' is a str"),
        ({"runs": None}, "runs is a NoneType"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"progress": 1}, "progress=1"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(
    latents: PipelineModel, runs: xr.Dataset, change: dict[str, object], said: str
) -> None:
    with pytest.raises(SpecentError, match=said):
        sp.models.previews(**{"model": latents, "runs": runs, **change})
    with pytest.raises(SpecentError, match=r"no predictions of pictures.*predictions=\[...\]"):
        sp.models.previews(latents, runs.drop_vars(["prediction", "prediction_time"]))
