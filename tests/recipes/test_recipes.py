"""Every recipe runs on small settings and leaves archives that validate, with its settings inside."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent._shipped import folder, recipe, recipe_names
from specent.errors import SpecentError, SpecentWarning

SMALL = {
    "gmm_1d": {"steps": 24, "samples": 10},
    "gmm_partition": {"steps": 16, "samples": 10, "components": 3, "dimension": 4},
    "gmm_scaling": {"exponent_max": 12, "fit_from": 6},
    "mixture_runs": {"steps": 6, "samples": 4},
}


def run(name: str, folder: Path, **settings: object) -> tuple[Path, ...]:
    module = recipe(name)
    made = module.main(module.Settings(**settings))
    return made if isinstance(made, tuple) else (made,)


def test_there_is_a_recipe_for_every_study() -> None:
    wanted = {"quickstart", "gmm_1d", "gmm_partition", "gmm_scaling", "digits", "train_digits", "mixture_runs"}
    assert set(recipe_names()) == wanted


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_recipe_writes_a_valid_archive_with_its_settings(name: str, tmp_path: Path) -> None:
    output = tmp_path / f"{name}.nc"
    path, *_ = run(name, tmp_path, output=output, **SMALL[name])
    made = sp.open(path)
    sp.validate(path)
    settings = json.loads(made.attrs["settings"])
    assert settings["recipe"] == name
    assert {key: settings["recipe_settings"][key] for key in SMALL[name]} == SMALL[name]
    with pytest.raises(SpecentError, match="exists"):
        run(name, tmp_path, output=output, **SMALL[name])


def test_mixture_recipes_put_the_estimates_beside_the_exact_profile(tmp_path: Path) -> None:
    path, *_ = run("gmm_1d", tmp_path, output=tmp_path / "a.nc", steps=200, samples=400)
    made = sp.open(path)
    assert made.estimator.values.tolist() == ["exact", "path", "cross_entropy", "denoiser_gap"]
    gap = (made.entropy.sel(estimator="path") - made.entropy.sel(estimator="exact")).squeeze()
    # 1600 trajectories: standard error at most 0.03 bit, and the error of 200 steps below 0.05
    assert float(np.abs(gap).max()) < 0.15


def test_the_scaling_recipe_reports_both_laws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = recipe("gmm_scaling")
    module.main(module.Settings(output=tmp_path / "s.nc"))
    lines = capsys.readouterr().out.splitlines()
    _, slope, _, exponent = module.fits(sp.open(tmp_path / "s.nc"), 8)
    assert abs(float(slope.slope.squeeze()) - 1) < 1e-6
    assert abs(float(exponent.exponent.squeeze()) - 0.5) < 0.002
    assert lines[0].startswith("VP: half-entropy time against ln(d)/2: slope 1.0000")
    assert lines[1].startswith("VE: half-entropy sigma against d: exponent 0.500")


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of trajectories says little
def test_the_demonstration_runs_small_and_leaves_archives_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = recipe("quickstart")
    target = tmp_path / "demo"
    written = module.main(module.Settings(folder=target, samples=6, steps=24))
    assert {path.name for path in written} == {
        "gmm_1d.nc", "gmm_partition.nc", "gmm_scaling.nc", "digits.nc", "digits_profiles.nc", "digits_exact.nc",
        "index.html",
    }  # fmt: skip
    for path in written:
        if path.suffix == ".nc":
            sp.validate(path)
    output = capsys.readouterr().out
    for digit in range(10):
        assert f"{digit} | rest" in output
    assert "slope 1.000000" in output
    assert "exponent 0.500" in output
    with pytest.raises(SpecentError, match="exists"):
        module.main(module.Settings(folder=target))


def test_digits_are_asked_the_full_set_one_against_the_rest_and_all_pairs() -> None:
    labels = tuple("0123456789")
    asked = recipe("digits").questions(labels)
    assert len(asked) == 1 + 10 + 45
    assert len({partition.name for partition in asked}) == 56


def test_training_writes_a_checkpoint_that_loads_and_its_card(tmp_path: Path) -> None:
    small = {"steps": 3, "batch": 8, "width": 8, "blocks": 1, "embedding": 4, "threads": 0}
    path, card = run("train_digits", tmp_path, output=tmp_path / "tiny.safetensors", **small)
    model = sp.models.digits(path)
    assert model.shape == (1, 8, 8)
    text = json.loads(card.read_text())
    assert text["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() == model.identity["checkpoint_sha256"]
    assert text["settings"]["steps"] == 3
    with pytest.raises(SpecentError, match="overwrite"):
        run("train_digits", tmp_path, output=path, **small)
    with pytest.raises(SpecentError, match="safetensors"):
        run("train_digits", tmp_path, output=tmp_path / "tiny.bin", **small)
    with pytest.raises(SpecentError, match="folder"):
        run("train_digits", tmp_path, output=tmp_path / "none" / "tiny.safetensors", **small)


def test_what_ships_is_small_and_as_its_card_says() -> None:
    for name, most in (("digits.safetensors", 5e6), ("mixture_runs.nc", 2e6)):
        path = folder("datasets") / name
        assert path.stat().st_size <= most
        card = json.loads(path.with_suffix(".json").read_text())
        assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_shipped_archive_comes_out_of_its_recipe(tmp_path: Path) -> None:
    path, *_ = run("mixture_runs", tmp_path, output=tmp_path / "again.nc")
    shipped, again = sp.archive.example(), sp.open(path)
    xr.testing.assert_allclose(shipped.drop_attrs(), again.drop_attrs(), rtol=1e-6)


def test_a_bad_folder_or_setting_is_refused_before_work(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SpecentError, match="cannot be made"):
        run("quickstart", tmp_path, folder=blocked / "demo")
    with pytest.raises(SpecentError, match="at least 3 components"):
        run("gmm_partition", tmp_path, output=tmp_path / "p.nc", components=2)
    with pytest.raises(SpecentError, match="exponent_min"):
        run("gmm_scaling", tmp_path, output=tmp_path / "p.nc", exponent_min=0)
    with pytest.raises(SpecentError, match="two components"):
        run("gmm_1d", tmp_path, output=tmp_path / "p.nc", means=(1.0,))
    assert not list(tmp_path.glob("*.nc"))
    assert issubclass(SpecentWarning, UserWarning)
