"""The study of prompts with and without an attribute, on a random pipeline of the real classes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch

import specent as sp
from specent import command
from specent.errors import ModelError
from specent.models.diffusers.tiny_pipelines import write_pipeline
from specent.sampling.streams import Streams
from specent.studies import recipe

study = recipe("sd15_attributes")


def test_the_tiny_run_leaves_three_archives_that_know_the_pipeline_and_not_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "sd15_attributes", "--tiny", "--attributes", "in a red room", "with a cat"]) == 0
    names = [f"sd15_attributes{end}.nc" for end in ("", "_profiles", "_pictures")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    runs, profiles, shown = (sp.open(tmp_path / name) for name in names)
    for made in (runs, profiles, shown):
        sp.validate(made)
        kept = json.loads(made.attrs["settings"])
        assert kept["recipe"] == "sd15_attributes"
        assert kept["recipe_settings"]["model"] == "tiny_random_pipeline"
        assert kept["recipe_settings"]["attributes"] == ["in a red room", "with a cat"]
        assert str(Path(sp.__file__).parents[1]) not in str(made.attrs)
        assert made.attrs["title"].endswith("(tiny run, random network)")
    partitions = ["A wooden chair | in a red room", "A wooden chair | with a cat"]
    assert profiles.partition.values.tolist() == partitions
    # the posterior is that of the two prompts of a pair, all prompts being scored, and the null condition is not
    assert runs.candidate.values.tolist() == ["A wooden chair", "in a red room", "with a cat"]
    assert json.loads(runs.attrs["model"])["prompts"]["with a cat"] == "A wooden chair with a cat"
    assert "denoiser_distance" not in runs
    assert set(profiles.estimator.values) == {"path", "cross_entropy", "denoiser_gap"}
    printed = capsys.readouterr().out
    assert printed.startswith("A tiny run on a random network: the numbers below mean nothing.\n")
    assert "decided" not in printed.partition("of every attribute")[2]
    assert all(attribute in printed for attribute in ("in a red room", "with a cat"))
    # a file that is there is not replaced
    assert command.main(["run", "sd15_attributes", "--tiny"]) == 1


def test_two_attributes_may_be_crossed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = study.Settings(
        tiny=True,
        samples=2,
        steps=6,
        attributes=("in a red room", "with a cat"),
        crossed=("in a red room", "with a cat"),
    )
    study.main(settings)
    runs = sp.open(tmp_path / "sd15_attributes.nc")
    assert runs.candidate.values.tolist()[-1] == "in a red room with a cat"
    room, cat = study.crossed_partitions(settings)
    assert sp.designs.joint(room, cat).side_names == (
        "without, without",
        "without, with",
        "with, without",
        "with, with",
    )
    assert dict(room.sides)["with"] == ("in a red room", "in a red room with a cat")
    printed = capsys.readouterr().out.partition("Entanglement")[2]
    # the mutual information of two attributes of two values is a bit at most
    bits = float(re.search(r"in a red room and with a cat +([-\d.]+) ", printed).group(1))
    assert -0.2 < bits <= 1
    for wrong in (("with a cat",), ("with a cat", "with a dog")):
        with pytest.raises(sp.SpecentError, match="crossed="):
            study.Settings(attributes=("in a red room", "with a cat"), crossed=wrong)


def test_pictures_of_all_prompts_start_from_common_noise(tmp_path: Path) -> None:
    settings = study.Settings(output=tmp_path / "a.nc", tiny=True, samples=2, steps=6, attributes=("with a cat",))
    _, _, path = study.main(settings)
    shown = sp.open(path)
    assert "preview" in shown
    assert shown["preview"].shape[-3:] == (3, 16, 16)
    model = study.open_pipeline(
        study.Settings(model=str(write_pipeline("sd2", tmp_path / "sd2")), attributes=("with a cat",))
    )
    start = shown["prediction"].isel(guidance=0, prediction_time=-1)
    last = float(shown["time"][-1])
    level = float(model.schedule.noise_level(last))
    for index in range(2):
        # one stream for a sample of every prompt; the chain starts from its noise
        noise = Streams(0, [("", index)], 256, 6).draw()
        x = torch.from_numpy(noise).reshape(1, 4, 8, 8) * level
        for driver in range(2):
            wanted = model.denoise(x, level, torch.tensor([driver]))[0].numpy()
            found = start.isel(class_label=driver, sample=index).values
            # predictions are kept with ten bits of the mantissa
            np.testing.assert_allclose(found, wanted, rtol=2**-11 + 1e-5, atol=1e-4)


# five steps of a network that knows nothing: its estimators do not agree, as the run says
@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_a_pipeline_of_ones_own_runs_through_the_same_code(tmp_path: Path) -> None:
    folder = write_pipeline("sd3", tmp_path / "flow")
    made = study.main(
        study.Settings(model=str(folder), output=tmp_path / "f.nc", attributes=("b",), samples=2, steps=5, pictures=2,
                       predictions=2)
    )  # fmt: skip
    runs = sp.open(made[0])
    assert runs.sizes["time"] == 5
    assert json.loads(runs.attrs["schedule"])["name"] == "flow_matching"
    assert "tiny" not in runs.attrs["title"]
    assert json.loads(runs.attrs["settings"])["recipe_settings"]["model"] == "flow"


@pytest.mark.parametrize("grid", ["edm", "log_snr", "time"])
@pytest.mark.parametrize("steps", [4, 100, 400])
def test_times_are_whole_and_span_all_that_the_network_knows(grid: str, steps: int) -> None:
    ddpm = sp.schedules.DDPM("scaled_linear")
    made = study.times(study.Settings(grid=grid, steps=steps), ddpm)
    assert np.array_equal(made, made.round())
    assert (made[0], made[-1]) == (0, 999)
    assert (np.diff(made) > 0).all()
    # a step more or less where several are rounded to the same time
    assert abs(len(made) - steps) <= 0.05 * steps


def test_no_more_times_are_asked_than_there_are() -> None:
    short = sp.schedules.DDPM("linear", 50)
    assert np.array_equal(study.times(study.Settings(steps=400), short), np.arange(50))


@pytest.mark.parametrize("grid", ["edm", "log_snr", "time"])
def test_a_flow_has_no_whole_times(grid: str) -> None:
    flow = sp.schedules.FlowMatching()
    made = study.times(study.Settings(grid=grid, steps=9), flow)
    assert len(made) == 9
    np.testing.assert_allclose(flow.noise_level(made[[0, -1]]), [0.02, 50.0])


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # that one curve never falls to half
def test_the_table_lists_the_attributes_in_the_order_in_which_they_are_decided() -> None:
    # unit-variance classes on a line: half the entropy is left at sigma^2 = (distance / 2 / 1.021770)^2 - 1
    distance = {"fine": 4.0, "coarse": 24.0, "nothing": 0.01}
    labels = ["base", *distance]
    mix = sp.exact.GaussianMixture([[0.0], *[[value] for value in distance.values()]], labels=labels)
    partitions = [sp.Partition.pair("base", name) for name in distance]
    exact = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(200, 0.05), partitions)
    lines = list(study.table(exact.assign_coords(estimator=("estimator", ["path"], exact.estimator.attrs))))
    rows = {line[:28].strip(): line[28:] for line in lines[2:]}
    assert list(rows) == ["coarse", "fine", "nothing"]
    for name in ("coarse", "fine"):
        level, _, _, log_snr, _, _ = (float(text) for text in re.findall(r"-?\d+\.\d+", rows[name]))
        sigma = np.sqrt((distance[name] / 2 / 1.021770) ** 2 - 1)
        # the grid has 200 points: a level between two of them is off by less than 1 %
        assert level == pytest.approx(sigma, rel=0.01)
        assert log_snr == pytest.approx(-2 * np.log(sigma), abs=0.02)
    assert "never: 1.000 bit" in rows["nothing"]
    path = exact.assign_coords(estimator=("estimator", ["path"], exact.estimator.attrs))
    plain = list(study.table(path, ordered=False))
    assert "decided in" not in plain[0]
    assert [line[:28].strip() for line in plain[2:]] == ["fine", "coarse", "nothing"]


def test_weights_that_cannot_be_reached_are_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    settings = study.Settings(local_files_only=True, output=tmp_path / "a.nc")
    with pytest.raises(ModelError, match=r"stable-diffusion-v1-5.*hf download"):
        study.main(settings)
    assert not list(tmp_path.glob("*.nc"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--samples 1", "samples=1"),
        ("--steps 3", "steps=3"),
        ("--pictures 1", "pictures=1"),
        ("--predictions 0", "predictions=0"),
        ("--base chair --attributes chair", "attributes=('chair',) must be one or more"),
        ("--attributes a a", "attributes=('a', 'a')"),
        ("--size 0", "size=0"),
        ("--batch-size 0", "batch_size=0"),
        ("--device abacus", "device='abacus'"),
        ("--model ./nowhere", "source='./nowhere' is no folder"),
        ("--output nowhere/a.nc", "nowhere"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it_and_nothing_is_written(
    flags: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["run", "sd15_attributes", *flags.split()]) == 1
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.iterdir())
