"""The guidance study runs in seconds, leaves four archives that belong together, and prints their numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError
from specent.guidance import from_json
from specent.studies import recipe

NAMES = ["unguided", "w=3", "w=3 for 0<sigma<=0.5", "feedback pi=0.99 t_0=0.5 t_1=0.4 w<=10 gap=0.5"]


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of trajectories says little
def test_the_tiny_run_leaves_its_archives_and_prints_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = recipe("digits_guidance")
    written = module.main(module.Settings(output=tmp_path / "study.nc", tiny=True))
    assert [path.name for path in written] == [
        "study.nc", "study_profiles.nc", "study_differences.nc", "study_quality.nc",
    ]  # fmt: skip
    runs, profiles, differences, quality = (sp.open(path) for path in written)
    for path, made in zip(written, (runs, profiles, differences, quality), strict=True):
        sp.validate(path)
        held = json.loads(made.attrs["settings"])
        assert held["recipe"] == "digits_guidance"
        assert held["recipe_settings"]["samples"] == 10
    assert runs.guidance.values.tolist() == quality.guidance.values.tolist() == NAMES
    assert differences.guidance.values.tolist() == NAMES[1:]
    assert profiles.partition.values.tolist() == ["full", *(f"{digit} | rest" for digit in range(10))]
    assert from_json(str(runs.guidance_definition.values[3])).per_trajectory
    # the limited interval lies below the noise at which the class is decided: nothing changes above it
    above = (runs.time > 0.5).values
    same = [runs.log_likelihood.sel(guidance=name).values[:, :, above] for name in (NAMES[0], NAMES[2])]
    np.testing.assert_array_equal(*same)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["threads: 1", "Which digit? 4 guidance settings, 95 % intervals"]
    rows = {name: line for line in printed for name in NAMES if line.startswith(name + "  ")}
    assert set(rows) == set(NAMES)
    for name, line in rows.items():
        assert f"{float(quality.recall.sel(guidance=name)):.3g} [" in line
    price = next(i for i, line in enumerate(printed) if line.startswith("Price of guidance"))
    # without the setting that feeds back
    assert [line.split(" bit")[0].rsplit(maxsplit=1)[0].strip() for line in printed[price + 1 : price + 3]] == [
        name for name in NAMES[1:] if not name.startswith("feedback")
    ]
    # guidance decides earlier in generation, by more than the intervals of a hundred trajectories
    full = profiles.sel(partition=["full"], estimator=["path"])
    half = sp.speciation(full, axis="sigma").half_entropy.squeeze()
    assert float(half.sel(guidance="w=3")) > 1.2 * float(half.sel(guidance="unguided"))
    with pytest.raises(SpecentError, match="exists"):
        module.main(module.Settings(output=tmp_path / "study.nc", tiny=True))


def test_the_settings_are_the_scales_the_intervals_between_edges_and_feedback() -> None:
    module = recipe("digits_guidance")
    made = module.guidance(module.Settings(scales=(2.0,), edges=(0.1, 1.0, np.inf), limited_scale=4.0))
    assert made[:4] == [
        sp.Guidance(), sp.Guidance(2.0), sp.Guidance(4.0, (0.1, 1.0)), sp.Guidance(4.0, (1.0, np.inf)),
    ]  # fmt: skip
    assert isinstance(made[4], sp.FeedbackGuidance)
    assert len(module.guidance(module.Settings(edges=(), feedback=False))) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 9}, "samples=9"),
        ({"scales": (-1.0,)}, "scale=-1.0"),
        ({"edges": (1.0, 0.5)}, "guidance interval="),
        ({"pi": 1.0}, "pi=1.0"),
        ({"scales": (), "edges": (), "feedback": False}, "there is nothing to compare"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"sigma_max": 0.01}, "sigma_max=0.01"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_run_are_refused_at_once(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        recipe("digits_guidance").Settings(**settings)
