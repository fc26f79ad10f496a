"""Quality on ImageNet: rows are what sampling and the plain formula give, runs go on, and what is missing is said."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import specent as sp
from specent import command
from specent.errors import SpecentError
from specent.models.edm2.tiny_networks import write_tiny
from specent.studies import recipe, samples_by_class
from tests.studies.test_feature_sums import write_pooled

# a handful of trajectories says little
pytestmark = pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")

module: ModuleType = recipe("imagenet_quality")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Networks, a feature space and the data in it, in files like the published ones."""
    folder = tmp_path_factory.mktemp("files")
    network, null = write_tiny(folder)
    write_pooled(folder / "net.pt")
    np.savez(folder / "reference.npz", mu=np.full(3, 120.0), sigma=100.0 * np.eye(3))
    return {"network": network, "null_network": null, "net": folder / "net.pt", "reference": folder / "reference.npz"}


def settings(files: dict[str, Path], output: Path, **more: object) -> object:
    """Settings of a small run on those files."""
    given = {
        "network": files["network"], "null_network": files["null_network"], "reference": files["reference"],
        "features": f"inception:{files['net']}", "tiny": True, "grid_steps": (4,), "output": output, **more,
    }  # fmt: skip
    return module.Settings(**given)


def test_the_tiny_study_names_what_it_cannot_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "q.json"
    assert command.main(["run", "imagenet_quality", "--tiny", "--grid-steps", "4", "--output", str(path)]) == 0
    table = json.loads(path.read_text())
    unguided = [(row["grid"], row["steps"]) for row in table["rows"] if row["rule"] == "unguided"]
    left_out = [reason.partition(":")[0] for reason in table["left_out"]]
    assert [*unguided, *[(one.partition(",")[0], 4) for one in left_out if "steps" in one]] == [
        (name, 4) for name in ("edm", "arctan", "rescaled", "class share")
    ]
    guided = [row["guidance"] for row in table["rows"] if row["rule"] != "unguided"]
    assert guided[:2] == ["w=2", "w=2 for 0.19<sigma<=1.61"]
    assert all(row["published"] is None for row in table["rows"])
    printed = capsys.readouterr().out
    assert "A tiny run on a random network: the numbers below mean nothing." in printed
    assert "constant 5 / 100.2; limited 3.59 / 88.5; feedback 3.76 / 89; both 3.62 / 87.9" in printed


def test_a_row_is_the_distance_of_its_samples_and_is_kept(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module.main(settings(files, tmp_path / "a.json", samples=5, out=tmp_path / "sums"))
    first = json.loads((tmp_path / "a.json").read_text())["rows"]
    model = sp.models.edm2(files["network"], null=files["null_network"])
    guidance = sp.Guidance(2.0, (0.19, 1.61))
    row = next(one for one in first if one["guidance"] == str(guidance))
    assert np.allclose(row["noise_levels"], sp.schedules.edm_grid(4))
    final = samples_by_class(model, sp.schedules.edm_grid(4), 5, [guidance], 0)["final"].values.reshape(15, 4, 8, 8)
    greys = np.floor(255 * np.clip((final[:, :3] + 1) / 2, 0, 1)).mean(axis=(2, 3))
    expected = sp.quality.frechet_gaussians([120.0] * 3, 100 * np.eye(3), greys.mean(axis=0), np.cov(greys.T))
    # a grey at a step of the rounding may fall either way in batches of other sizes
    assert row["frechet"] == pytest.approx(expected, rel=1e-3)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("sampled again")

    with monkeypatch.context() as patch:
        patch.setattr(module, "samples_by_class", never)
        module.main(settings(files, tmp_path / "b.json", samples=5, out=tmp_path / "sums"))
        assert json.loads((tmp_path / "b.json").read_text())["rows"] == first
        with pytest.raises(AssertionError, match="sampled again"):
            module.main(settings(files, tmp_path / "c.json", samples=6, out=tmp_path / "sums"))
    assert "not to be compared" not in capsys.readouterr().out


def test_the_error_of_the_pilot_is_the_mean_over_its_classes_without_the_bounds_of_one(
    files: dict[str, Path], tmp_path: Path
) -> None:
    model = sp.models.edm2(files["network"], null=files["null_network"])
    given = settings(files, tmp_path / "q.json", steps=8, pilot_samples=3)
    alone = [module.pilot(given, model, [label])[0] for label in ("0", "2")]
    both = module.pilot(given, model, ["0", "2"])[0]
    assert list(both.data_vars) == ["denoising_error"]
    expected = np.mean([one["denoising_error"].values for one in alone], axis=0)
    assert not np.allclose(*(one["denoising_error"].values for one in alone))
    assert np.allclose(both["denoising_error"].values, expected, rtol=1e-12, atol=0)


def test_published_numbers_stand_beside_the_same_thing_only() -> None:
    row = module.Row("rescaled", 32)
    assert module.published(row, "inception:net.pt") == 4.98
    assert module.published(row, "facebook/dinov2-large") is None
    assert module.published(module.Row("arctan", 32), "inception:net.pt") is None
    assert module.published(module.Row("edm", 64, "in all noise", sp.Guidance(2.0)), "inception:net.pt") is None
    found = {module.Row("edm", 32): 10.0, module.Row("arctan", 32): 5.0, row: 5.5,
             module.Row("edm", 32, "in all noise", sp.Guidance(2.0)): 12.0}  # fmt: skip
    text = list(module.lines(found, "inception:net.pt", ["class share, 32 steps: no rate"]))
    assert next(line for line in text if line.startswith("rescaled")).split()[-3:] == ["5.50", "-4.50", "4.98"]
    assert "left out: class share, 32 steps: no rate" in text
    assert "rescaled, 32 steps less arctan: +0.50" in text
    assert text[-1] == "worse than edm of as many steps, unguided: edm, 32 steps, in all noise (+2.00)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tiny": False}, r"vae=None: samples are latents"),
        ({"tiny": False, "vae": "folder", "reference": None}, r"reference=None: give an .npz file with mu and sigma"),
        ({"network": None, "tiny": False}, r"network=None: give the conditional network"),
        ({"null_network": None}, r"null_network=None"),
        ({"reference": Path("none.npz")}, r"reference='none.npz' does not exist"),
        ({"features": "inception:none.pt"}, r"there is no such file"),
        ({"grid_steps": ()}, "grid_steps is empty"),
        ({"grid_steps": (2,)}, "grid_steps=2"),
        ({"left": 0.6}, "left=0.6"),
        ({"interval": (2.0, 1.0)}, "interval"),
        ({"pilot_classes": ("7",)}, r"pilot_classes=\['7'\] must be distinct classes"),
    ],
)
def test_what_is_missing_is_said_before_work(
    files: dict[str, Path], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecentError, match=message):
        module.main(settings(files, tmp_path / "q.json", **change))
    assert list(tmp_path.iterdir()) == []


def test_statistics_of_another_network_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(SpecentError, match=r"other.npz' has 5 features, and features='inception:.*' gives 3"):
        module.main(settings(files, tmp_path / "q.json", reference=tmp_path / "other.npz"))
