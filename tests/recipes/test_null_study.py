"""The study of the null condition: the floors, the complement, the full mixture, at reduced sizes."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import command
from specent.studies import recipe

study = recipe("null_study")


def binary_entropy(chance: float) -> float:
    return float(-chance * np.log2(chance) - (1 - chance) * np.log2(1 - chance))


@pytest.fixture(scope="module")
def states() -> tuple[xr.Dataset, list[float]]:
    made, floors, bits = study.states(study.Settings(classes=(3, 10, 1000), draws=2000, steps=24))
    assert bits == {}
    return made, floors


def clean(made: xr.Dataset, way: str, name: str) -> float:
    return float(made.entropy.sel(estimator=way, partition=name).isel(time=0).item())


@pytest.mark.parametrize(("count", "floor"), [(3, None), (10, 0.2417), (1000, 0.0057)])
def test_the_shortcut_ends_on_its_floor(states, count: int, floor: float | None) -> None:
    expected = 0.5 * (1 + 1 / count) * binary_entropy(1 / (count + 1))
    if floor is not None:
        assert expected == pytest.approx(floor, abs=5e-5)
    # of 2000 draws of the null condition a share 1/K is of the class, give or take its binomial standard error
    error = 0.5 * binary_entropy(1 / (count + 1)) * np.sqrt(1 / count * (1 - 1 / count) / 2000)
    assert clean(states[0], "shortcut", f"1 of {count}") == pytest.approx(expected, abs=4 * error)
    assert states[1][(3, 10, 1000).index(count)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("count", [3, 10, 1000])
def test_the_complement_of_an_exact_null_is_exact(states, count: int) -> None:
    part = states[0].sel(partition=f"1 of {count}")
    gap = abs(part.entropy.sel(estimator="complement") - part.entropy.sel(estimator="exact"))
    # 1 - pi r loses digits where the class is nearly certain, not the entropy
    assert float(gap.max()) < 1e-9


def test_noisy_states_give_the_profiles_of_the_mixture(states) -> None:
    mix = sp.exact.GaussianMixture(study.RADIUS * np.eye(3), labels=list("abc"))
    partitions = [sp.Partition.one_vs_rest("a", mix.labels), sp.Partition.pair("a", "null")]
    known = sp.exact.profiles(mix, sp.schedules.VE(), states[0].time.values, partitions, samples=4000)
    for way, partition in (("exact", 0), ("shortcut", 1)):
        found = states[0].sel(estimator=way, partition="1 of 3").squeeze()
        truth = known.isel(partition=partition).squeeze()
        errors = [((one.entropy_upper - one.entropy_lower) / (2 * 1.96)).values for one in (found, truth)]
        # 24 correlated comparisons; where nearly all is decided a standard error from few undecided draws says little
        assert (abs(found.entropy - truth.entropy).values < 4.5 * np.hypot(*errors) + 0.002).all(), way


def test_fewer_than_four_classes_never_reach_half_a_bit_by_the_shortcut(states) -> None:
    made, _ = states
    for name, reached in (("1 of 3", False), ("1 of 10", True)):
        curves = study.replicas(made.sel(estimator="shortcut", partition=name).isel(guidance=0))
        assert np.isfinite(study.half_sigma(made.log_snr.values, curves)[0]) == reached
    # half of ten classes: the half-entropy level moves to lower noise, by more than ten standard errors
    truth, short = (
        study.replicas(made.sel(estimator=way, partition="1 of 10").isel(guidance=0)) for way in ("exact", "shortcut")
    )
    error = study.half_sigma(made.log_snr.values, short) - study.half_sigma(made.log_snr.values, truth)
    assert error[0] < -10 * error[1:].std()


def test_the_half_entropy_place_is_that_of_speciation(states) -> None:
    part = states[0].sel(estimator=["exact"], partition=["1 of 10"])
    level = sp.speciation(part, axis="sigma").half_entropy.item()
    found = study.half_sigma(part.log_snr.values, study.replicas(part.squeeze(("estimator", "partition", "guidance"))))
    assert found[0] == pytest.approx(level, rel=1e-12)


def test_paths_of_the_mixture_agree_with_states_and_finer_ones_come_nearer_the_floor(tmp_path: Path) -> None:
    settings = study.Settings(path_classes=(2,), path_samples=900, steps=24, refinement=6, draws=4000)
    made, (floor, _), bits = study.walks(settings, tmp_path)
    coarse, fine = (made.sel(partition=name) for name in made.partition.values)
    error = abs(fine.entropy.sel(estimator="mixture") - fine.entropy.sel(estimator="exact")).max()
    # 600 paths and 8000 states: at most 0.4 / sqrt(600) = 0.016 bit at any one of 24 times
    assert float(error) < 4 * 0.018
    ends = [clean(made, "shortcut", name) for name in made.partition.values]
    # a path knows more than its end: below the floor, by an amount that falls with the step; errors about 0.004
    assert ends[0] < floor - 0.02
    assert abs(ends[1] - floor) < abs(ends[0] - floor)
    # the class should be certain, but 1 - pi r is a small difference of the errors of steps
    for one in (coarse, fine):
        assert clean(made, "complement", str(one.partition.item())) > 0.02
        assert clean(made, "mixture", str(one.partition.item())) < 1e-6
    # the null is exact, and what the steps charge it with falls with them; the class is one bit
    coarse_bits, fine_bits = (table.isel(time=0).sel(estimator="path") for table in bits.values())
    assert float(coarse_bits.null_error) > float(fine_bits.null_error_upper)
    assert float(fine_bits.null_error_lower) < 0.05
    assert float(fine_bits.class_information) == pytest.approx(1, abs=1e-6)


def test_the_null_network_of_the_digits_is_not_the_mixture_of_its_classes(tmp_path: Path) -> None:
    made, (floor,), bits = study.digits(study.Settings(digits_samples=12, steps=48), tmp_path)
    assert floor == pytest.approx(0.2417, abs=1e-3)
    name = "1 of 10 digits"
    # exact: ten draws of the null condition in 12, on average over the classes
    assert clean(made, "exact shortcut", name) == pytest.approx(floor, abs=0.01)
    # the network gives class and null away where the exact ones would not
    assert clean(made, "shortcut", name) < 0.5 * floor
    gap = abs(made.entropy.sel(estimator="mixture") - made.entropy.sel(estimator="exact"))
    # 120 paths, and as many noisy pictures, count once each for every class: standard error 0.03
    assert float(gap.max()) < 4 * 0.03

    end = bits["all 10 digits"].isel(time=0)
    # by either estimator several times the information, of which the path holds all
    assert (end.null_error_lower > 2 * end.class_information).all()
    assert float(end.class_information.sel(estimator="path")) == pytest.approx(np.log2(10), abs=0.01)
    assert (end.cross_term_lower < 0.01).all()
    assert (end.cross_term_upper > -0.01).all()
    heading, columns, *rows = study.report_bits(bits)
    assert "exact null" in heading
    # either estimator at five noise levels and at the clean end, each with three intervals under their titles
    assert len(rows) == 12
    assert all(row.count(" .. ") == 3 and len(row) == len(columns) for row in rows)


def test_noisy_pictures_have_the_densities_of_brute_force() -> None:
    stream = np.random.default_rng(1)
    images, labels = stream.normal(size=(30, 3)), stream.choice(["x", "y"], size=30, p=[0.3, 0.7])
    data = sp.models.finite(images, labels)
    time = np.array([0.5, 3.0])
    found = study.noisy(data, study.Settings(digits_samples=40), time)
    assert found.shape == (3, 40, 2, 3)
    # whatever the states: the null column is the mixture of the others
    mixed = np.log(np.exp(found[..., :2]) @ data.label_prior)
    np.testing.assert_allclose(found[..., 2], mixed, rtol=1e-9, atol=1e-9)
    # at low noise the driver's own class is the likelier one more often than not
    assert (found[0, :, 0, 0] > found[0, :, 0, 1]).mean() > 0.5
    assert (found[1, :, 0, 1] > found[1, :, 0, 0]).mean() > 0.5


def test_an_interval_is_written_without_a_negative_zero() -> None:
    values = np.append(-1e-9, np.random.default_rng(0).normal(scale=1e-9, size=100))
    assert study.interval(values, 3) == "0.000 (0.000 .. 0.000)"


def test_the_tiny_run_writes_valid_archives_with_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "null_study", "--tiny"]) == 0
    names = ("null_study.nc", "null_study_paths.nc", "null_study_digits.nc")
    for name in names:
        sp.validate(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    first, paths, digits = (sp.open(tmp_path / name) for name in names)
    assert first.estimator.values.tolist() == ["exact", "complement", "shortcut"]
    assert paths.estimator.values.tolist() == ["exact", "mixture", "complement", "shortcut"]
    assert digits.estimator.values.tolist() == ["exact", "exact shortcut", "mixture", "complement", "shortcut"]
    assert first.partition.values.tolist() == ["1 of 2", "1 of 10", "1 of 1000"]
    settings = json.loads(first.attrs["settings"])
    assert settings["recipe"] == "null_study"
    assert settings["recipe_settings"]["draws"] == 20
    assert settings["floors"]["1 of 10"] == pytest.approx(0.2417, abs=5e-5)
    output = capsys.readouterr().out
    assert output.count("clean end") == 3
    assert output.count("error of the null") == 2
    assert " 0.2417 " in output
    assert " 0.0057 " in output
    assert command.main(["run", "null_study", "--tiny"]) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--classes 1", "classes=1"),
        ("--classes 2 2", "classes=[2, 2]"),
        ("--path-classes 1000000", "path_classes=1000000"),
        ("--path-classes 2000", "path_samples=2200"),
        ("--draws 1", "draws=1"),
        ("--steps 3", "steps=3"),
        ("--refinement 1", "refinement=1"),
        ("--digits-samples 1", "digits_samples=1"),
        ("--seed -1", "seed=-1"),
        ("--output null.txt", "null.txt"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_nothing_is_written(
    flags: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "null_study", *flags.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())


def test_an_archive_beside_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "n_digits.nc").write_text("mine")
    with pytest.raises(sp.SpecentError, match=r"n_digits.nc.* exists"):
        study.main(study.Settings(output=tmp_path / "n.nc", tiny=True))
    assert [path.name for path in tmp_path.iterdir()] == ["n_digits.nc"]
