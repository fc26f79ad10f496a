"""Every recipe runs on small settings and leaves archives that validate, with its settings inside."""

import hashlib
import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import command, studies
from specent.errors import SpecentError
from specent.files import shipped_folder
from specent.studies import recipe, recipe_names

SMALL = {
    "gmm_1d": {"steps": 24, "samples": 10},
    "gmm_partition": {"steps": 16, "samples": 10, "components": 3, "dimension": 4},
    "gmm_scaling": {"exponent_max": 12, "fit_from": 6},
    "mixture_runs": {"steps": 6, "samples": 4},
}


def run(name: str, _target: Path, /, **settings: object) -> tuple[Path, ...]:
    module = recipe(name)
    made = module.main(module.Settings(**settings))
    return made if isinstance(made, tuple) else (made,)


def test_there_is_a_recipe_for_every_study() -> None:
    wanted = {
        "quickstart", "gmm_1d", "gmm_partition", "gmm_scaling", "digits", "train_digits", "mixture_runs",
        "digits_guidance", "imagenet_edm2", "imagenet_guidance", "imagenet_quality",
        "train_ddpm", "cifar10_ddpm",
        "sd15_attributes",
        "shapes_attributes", "null_study", "grids", "intervals", "collapse", "definitions",
    }  # fmt: skip
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
    _, slope, _, exponent = studies.fit_both_laws(sp.open(tmp_path / "s.nc"), 2**8)
    assert abs(float(slope.slope.squeeze()) - 1) < 1e-6
    assert abs(float(exponent.exponent.squeeze()) - 0.5) < 0.002
    assert lines[0] == "threads: 1"
    assert lines[1].startswith("VP: half-entropy time against ln(d)/2: slope 1.0000")
    assert lines[2].startswith("VE: half-entropy sigma against d: exponent 0.500")


def test_the_scaling_recipe_says_never_where_no_dimension_falls_to_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = recipe("gmm_scaling")
    # components wider by far than their distance
    module.main(module.Settings(output=tmp_path / "s.nc", exponent_max=8, fit_from=4, variance=1e5))
    text = capsys.readouterr().out
    assert "nan" not in text
    assert "slope, since fewer than three dimensions ever fall to half" in text
    assert "at d = 256: never" in text


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of trajectories says little
def test_the_demonstration_runs_small_and_leaves_archives_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = recipe("quickstart")
    target = tmp_path / "demo"
    written = module.main(module.Settings(folder=target, tiny=True))
    assert {path.name for path in written} == {
        "gmm_1d.nc", "gmm_partition.nc", "gmm_scaling.nc", "digits.nc", "digits_profiles.nc", "digits_exact.nc",
        "index.html",
    }  # fmt: skip
    for path in written:
        if path.suffix == ".nc":
            sp.validate(path)
    assert json.loads(sp.open(target / "digits.nc").attrs["settings"])["recipe_settings"]["samples"] == 6
    page = (target / "index.html").read_text(encoding="utf-8")
    assert page.count("<h2>") == 5
    for figure in module.TINY_FIGURES:
        assert f'<figure class="{figure}">' in page
    output = capsys.readouterr().out
    for digit in range(10):
        assert f"{digit} | rest" in output
    # once, beneath its heading
    assert output.count("slope 1.000000") == output.count("exponent 0.500") == 1
    assert output.index("3/4 two components") < output.index("slope 1.000000") < output.index("4/4 handwritten")
    with pytest.raises(SpecentError, match="exists"):
        module.main(module.Settings(folder=target))


def test_the_partitions_of_the_digits_are_the_full_set_one_against_the_rest_and_all_pairs() -> None:
    labels = tuple("0123456789")
    partitions = recipe("digits").partitions_of(labels)
    assert len(partitions) == 1 + 10 + 45
    assert len({partition.name for partition in partitions}) == 56


def test_training_writes_a_checkpoint_that_loads_and_its_card(tmp_path: Path) -> None:
    small = {"steps": 3, "batch": 8, "width": 8, "blocks": 1, "embedding": 4, "threads": 1}
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
        path = shipped_folder("datasets") / name
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
    with pytest.raises(SpecentError, match="cannot be created"):
        run("quickstart", tmp_path, folder=blocked / "demo")
    for name in ("\0", "~nobody-of-this-name/demo"):
        with pytest.raises(SpecentError, match="cannot be created"):
            run("quickstart", tmp_path, folder=Path(name))
    (tmp_path / "digits_exact.nc").write_text("mine")
    with pytest.raises(SpecentError, match=r"digits_exact.nc exists"):
        run("quickstart", tmp_path, folder=tmp_path)
    assert [path.name for path in tmp_path.glob("*.nc")] == ["digits_exact.nc"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gmm_1d --deviation -1", "deviation=-1.0"),
        ("gmm_1d --deviation 1e200", "deviation=1e+200"),
        ("gmm_1d --steps 1", "steps=1"),
        ("gmm_1d --steps 99999999999999999999", "steps=99999999999999999999"),
        ("gmm_1d --means 1 1", "means=(1.0, 1.0)"),
        ("gmm_1d --means 1", "means=(1.0,)"),
        ("gmm_1d --means 1 nan", "means=nan"),
        ("gmm_1d --log-snr-max 5000", "log_snr_max=5000.0"),
        ("gmm_1d --log-snr-max -9", "log_snr_max=-9.0"),
        ("gmm_1d --samples 0", "samples=0"),
        ("gmm_1d --seed -1", "seed=-1"),
        ("gmm_partition --components 2", "components=2"),
        ("gmm_partition --components 1000", "components=1000"),
        ("gmm_partition --radius inf", "radius=inf"),
        ("gmm_scaling --exponent-min 0", "exponent_min=0"),
        ("gmm_scaling --exponent-max 2", "exponent_max=2"),
        ("gmm_scaling --fit-from -5000", "fit_from=-5000"),
        ("gmm_scaling --fit-from 30", "fit_from=30"),
        ("gmm_scaling --points-per-unit 0", "points_per_unit=0"),
        ("gmm_scaling --points-per-unit 999999999999", "points_per_unit=999999999999"),
        ("gmm_scaling --variance 1e-320", "variance=1e-320"),
        ("mixture_runs --guidance-scale -1", "guidance_scale=-1.0"),
        ("mixture_runs --guidance-scale 1", "guidance_scale=1.0"),
        ("digits --predictions -1", "predictions=-1"),
        ("digits --sigma-max 0.01", "sigma_max=0.01"),
        ("digits --guidance-interval 3 1", "guidance interval"),
        ("digits --device abacus", "device='abacus'"),
        ("digits --checkpoint /", "checkpoint='/'"),
        ("digits --checkpoint ~nobody-of-this-name/x.safetensors", "checkpoint="),
        ("digits --threads -1", "threads=-1"),
        ("digits --output /", "/"),
        ("train_digits --batch 0", "batch=0"),
        ("train_digits --label-dropout 1", "label_dropout=1.0"),
        ("quickstart --samples 1", "samples=1"),
        ("quickstart --steps 1", "steps=1"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_nothing_is_written(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", *line.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())


# two steps are too few for the estimators to agree, as the run says
@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_results_are_written_even_if_no_table_of_them_can_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "gmm_1d", "--steps", "2", "--samples", "10"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("specent: the archive is written, but nothing can be printed about it: ") == 1
    (path,) = tmp_path.glob("*.nc")
    assert f"wrote {path}" in printed.out
    sp.validate(path)


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # that curves never fall, which is the point
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gmm_1d --means 0.0000001 0.00000011 --steps 8 --samples 10", "never"),
        ("gmm_scaling --variance 1e9 --exponent-max 8 --fit-from 4", "no slope"),
    ],
)
def test_a_table_of_curves_that_never_fall_says_so(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", *line.split()]) == 0
    assert said in capsys.readouterr().out
    (path,) = tmp_path.glob("*.nc")
    sp.validate(path)


@pytest.mark.parametrize("name", [*sorted(SMALL), "train_digits"])
def test_a_file_that_appears_while_a_recipe_runs_is_kept(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if another process wrote it right after the check."""
    small = {"steps": 2, "batch": 8, "width": 8, "blocks": 1, "embedding": 4, "threads": 1}
    output = tmp_path / ("x.safetensors" if name == "train_digits" else "x.nc")
    module = recipe(name)
    where = module if name == "train_digits" else sp.archive
    function = "checkpoint_path" if name == "train_digits" else "check_output"
    check = getattr(where, function)

    def appears(path: Path, *, overwrite: bool = False) -> Path:
        found: Path = check(path, overwrite=overwrite)
        output.write_text("mine")
        return found

    monkeypatch.setattr(where, function, appears)
    with pytest.raises(SpecentError, match="exists"):
        module.main(module.Settings(output=output, **SMALL.get(name, small)))
    assert output.read_text() == "mine"
    kept = [path for path in tmp_path.iterdir() if path != output]
    # hours of sampling are not thrown away for a name
    assert [path.name for path in kept] == (["x_run"] if hasattr(module.Settings, "out") else [])
    assert all(sp.archive.status(folder).missing == 0 for folder in kept)


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of trajectories says little
def test_companions_of_the_digits_are_kept_and_so_are_their_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = recipe("digits")
    exact = tmp_path / "d_exact.nc"

    def appears(*arguments: object, **options: object) -> xr.Dataset:
        exact.write_text("mine")
        return original(*arguments, **options)

    original = sp.exact.profiles
    monkeypatch.setattr(sp.exact, "profiles", appears)
    settings = module.Settings(output=tmp_path / "d.nc", samples=4, steps=8, exact_samples=4, predictions=3)
    with pytest.raises(SpecentError, match=r"d_exact.nc.* exists"):
        module.main(settings)
    assert exact.read_text() == "mine"
    assert json.loads(sp.open(tmp_path / "d.nc").attrs["settings"])["recipe_settings"]["threads"] == 1
    sp.validate(tmp_path / "d_profiles.nc")


def test_a_card_beside_the_archive_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("mine")
    with pytest.raises(SpecentError, match=r"m.json' exists"):
        run("mixture_runs", tmp_path, output=tmp_path / "m.nc", **SMALL["mixture_runs"])
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_a_number_of_threads_and_refuses_a_wrong_one(name: str) -> None:
    module = recipe(name)
    assert "threads" in {field.name for field in fields(module.Settings)}
    small = {"tiny": True} if "tiny" in {field.name for field in fields(module.Settings)} else {}
    with pytest.raises(SpecentError, match="threads=0"):
        module.Settings(threads=0, **small)


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "quickstart"])
def test_a_recipe_uses_no_other_recipe_and_nothing_private(name: str) -> None:
    text = studies.recipe_path(name).read_text()
    assert not re.search(r"import .*\brecipe\b|recipe\(", text)
    assert not re.search(r"from specent[\w.]*\._|import _|\b(?:sp|module|studies)\.[\w.]*\._", text)
