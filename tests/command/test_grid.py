"""``specent grid``: noise levels from an archive, as EDM samplers and the schedulers of diffusers take them."""

import json
from pathlib import Path

import numpy as np
import pytest
from diffusers import DDPMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

import specent as sp
from specent.analysis.errors_of_paths import path_error
from specent.analysis.exported_grids import exported_grid
from specent.command import main
from specent.errors import SpecentError

MIX = sp.exact.GaussianMixture([[-4.0, 0.0], [4.0, 0.0]], 1.0, labels=["left", "right"])


KEPT = np.geomspace(0.2, 79, 10)


def sampled(steps):
    time = np.sort(np.append(sp.schedules.edm_grid(steps, 0.05, 80.0), KEPT))
    return sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=time, samples=1000, partitions=["left | right"],
        guidance=[sp.Guidance(2.0), sp.Guidance()], record=sp.Record(predictions=KEPT), progress=False, seed=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    return sampled(100)


@pytest.fixture(scope="module")
def archive(runs, tmp_path_factory):
    return sp.write(runs, tmp_path_factory.mktemp("grid") / "runs.nc")


def test_errors_along_paths_are_those_of_the_exact_denoiser_up_to_the_steps(runs):
    made, finer = path_error(runs), path_error(sampled(200))
    exact = sp.exact.denoising_error(MIX, KEPT, conditional=True).denoising_error.values
    near, nearer = (one["denoising_error"].values[1:-1] / exact - 1 for one in (made, finer))
    # the error of the steps is of first order; two Gaussian coordinates: the square of an error is exponential, so its
    # mean over 2000 trajectories is known to 1 / sqrt(2000), and twice one less another to sqrt(5) times that
    assert np.all(np.abs(2 * nearer - near) < 4 * np.sqrt(5 / 2000))
    assert -0.4 < near.min() < nearer.min() < 0
    # continued to the ends of the grid
    assert made["time"].values[[0, -1]].tolist() == runs["time"].values[[0, -1]].tolist()
    assert made["denoising_error"][-1] == made["denoising_error"][-2]


def test_grids_of_an_archive_are_nearly_those_of_the_closed_form(archive, tmp_path):
    for kind in ("rescaled", "class-share"):
        output = tmp_path / f"{kind}.json"
        assert main(["grid", str(archive), "--steps", "9", "--kind", kind, "-o", str(output)]) == 0
        made = json.loads(output.read_text())
        levels = np.array(made["noise_levels"])
        error = sp.exact.denoising_error(MIX, np.geomspace(0.05, 80, 200), conditional=True)
        curve = sp.exact.profiles(MIX, sp.schedules.VE(), np.geomspace(0.05, 80, 200), "left | right")
        expected = sp.grids.rescaled(error, 9) if kind == "rescaled" else sp.grids.class_share(error, curve, 9, 0.5)
        assert levels[0] == pytest.approx(80)
        assert levels[-1] == pytest.approx(0.05)
        # ten noise levels of predictions draw the density, which the steps of the chain lower by up to a third
        assert np.all(np.abs(np.log(levels[1:-1] / expected[::-1][1:-1])) < 0.25)
        assert made["times"] == made["noise_levels"]


def test_closed_grids_take_the_ends_and_the_schedule_of_the_archive(archive, tmp_path):
    output = tmp_path / "grid.json"
    command = ["grid", str(archive), "--steps", "5", "--kind", "arctan", "--scale", "2", "--sigma-min", "0.1"]
    assert main([*command, "-o", str(output)]) == 0
    levels = json.loads(output.read_text())["noise_levels"]
    spaced = np.arctan(np.array(levels) / 2)
    assert np.allclose(np.diff(spaced), np.diff(spaced).mean(), rtol=1e-7)
    assert np.allclose([levels[0], levels[-1]], [80.0, 0.1])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers with this numpy
def test_schedulers_of_diffusers_take_what_is_exported_grid():
    schedule = sp.schedules.DDPM("scaled_linear")
    time = sp.grids.arctan(12, 1.0, 0.05, 14.0, schedule)
    made = exported_grid(time, schedule)["diffusers"]
    options = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    euler = EulerDiscreteScheduler(**options)
    euler.set_timesteps(sigmas=made["sigmas"])
    levels = sp.grids.arctan(12, 1.0, 0.05, 14.0)[::-1]
    assert np.allclose(euler.sigmas.numpy(), [*levels, 0.0], rtol=1e-5)
    assert len(euler.timesteps) == 12
    # their own map from noise levels to times, at whose integers both agree
    assert np.all(np.abs(euler.timesteps.numpy() - made["timesteps"]) <= 0.51)
    ancestral = DDPMScheduler(**options)
    ancestral.set_timesteps(timesteps=made["timesteps"])
    assert ancestral.timesteps.tolist() == made["timesteps"]


def test_schedulers_of_flow_matching_take_what_is_exported_grid():
    schedule = sp.schedules.FlowMatching()
    time = sp.grids.sine(6, 1.0, 0.02, 50.0, schedule)
    flow = FlowMatchEulerDiscreteScheduler()
    flow.set_timesteps(sigmas=exported_grid(time, schedule)["diffusers"]["sigmas"])
    assert np.allclose(flow.sigmas.numpy(), [*time[::-1], 0.0], atol=1e-6)


def test_timesteps_that_meet_are_refused():
    schedule = sp.schedules.DDPM("scaled_linear", 10)
    with pytest.raises(SpecentError, match="two noise levels at the timestep"):
        exported_grid(np.linspace(1, 8, 20), schedule)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "1"], "steps=1"),
        (["--steps", "8", "--sigma-max", "200"], "leave the noise levels"),
        (["--steps", "8", "--sigma-min", "3", "--sigma-max", "2"], "must lie below"),
        (["--steps", "8", "--kind", "class-share", "--share", "2"], "share=2"),
        (["--steps", "8", "--kind", "sine", "--scale", "0"], "scale=0"),
    ],
)
def test_grids_that_cannot_be_are_refused(archive, options, message, tmp_path, capsys):
    output = tmp_path / "grid.json"
    assert main(["grid", str(archive), *options, "-o", str(output)]) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_archives_without_predictions_say_what_to_do(tmp_path, capsys):
    path = tmp_path / "runs.nc"
    time = sp.schedules.edm_grid(8)
    sp.write(sp.sample(sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=time, samples=3, progress=False), path)
    assert main(["grid", str(path), "--steps", "8", "-o", str(tmp_path / "a.json")]) == 1
    assert "record=specent.Record(predictions=" in capsys.readouterr().err
    assert main(["grid", str(path), "--steps", "8", "-o", str(tmp_path / "a.txt")]) == 1
    assert "must end in '.json'" in capsys.readouterr().err
    guided = sp.sample(
        sp.models.mixture(MIX), schedule=sp.schedules.VE(), time=time, samples=3, guidance=2.0,
        record=sp.Record(predictions=time[1:]), progress=False,
    )  # fmt: skip
    with pytest.raises(SpecentError, match="is unguided"):
        path_error(guided)
    assert isinstance(path, Path)
