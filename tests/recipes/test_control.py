"""The studies of grids and of guidance intervals: what they sample, what they compare, what they refuse."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import specent as sp
from specent.errors import SpecentError
from specent.studies import (
    PictureSettings,
    over_seeds,
    recipe,
    samples_by_class,
    studied_pictures,
    verdict_lines,
)


def test_samples_by_class_are_those_of_runs_that_score_everything() -> None:
    model = sp.models.mixture(sp.exact.GaussianMixture([[-4.0, 0.0], [4.0, 1.0], [0.0, 3.0]], labels=["a", "b", "c"]))
    time, rules = sp.schedules.edm_grid(8), [sp.Guidance(), sp.Guidance(2.0)]
    alone = samples_by_class(model, time, 5, rules, seed=3)
    whole = sp.sample(
        model, schedule=sp.schedules.VE(), time=time, samples=5, guidance=rules, seed=3, progress=False, check=False
    )
    assert alone["class_label"].values.tolist() == ["a", "b", "c"]
    # shares of the mixture are computed in another order where fewer candidates are asked for
    assert np.allclose(alone["final"], whole["final"].transpose(*alone["final"].dims), rtol=1e-5, atol=1e-6)


def test_intervals_over_seeds_are_those_of_student() -> None:
    values = np.random.default_rng(0).normal(size=5)
    mean, reach = over_seeds(values, 0.9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert np.allclose([mean - reach, mean + reach], expected)


def test_verdicts_are_those_of_the_test_of_student() -> None:
    rng = np.random.default_rng(1)
    changes = {f"{mean:+.1f}": mean + rng.normal(size=8) for mean in np.linspace(-2, 2, 21)}
    said = {line.split(":")[0].strip(): line for line in verdict_lines(changes)}
    for name, values in changes.items():
        test = stats.ttest_1samp(values, 0.0)
        verdict = "tie" if test.pvalue >= 0.05 else "better" if test.statistic < 0 else "worse"
        assert [one for one, line in said.items() if f" {name} (" in line] == [verdict]
    # all three occur, so that none is tested on nothing
    assert list(said) == ["better", "tie", "worse"]
    assert not any(line.endswith("none") for line in said.values())


def test_conclusions_on_grids_follow_from_the_table() -> None:
    module = recipe("grids")
    scatter = np.array([-0.1, 0.0, 0.1])
    levels = {"edm": 4.0, "arctan": 2.0, "rescaled": 2.0, "class share": 9.0}
    found = {
        module.Row("network", grid, steps): level * 8 / steps + scatter[order]
        for grid, level in levels.items()
        # other noise for every number of steps, so that no difference is exact
        for steps, order in ((8, [0, 1, 2]), (16, [2, 0, 1]))
    }
    found[module.Row("network", "rescaled", 8)] = 2.0 + scatter[[1, 0, 2]]
    found[module.Row("network", "rescaled", 16)] = 1.0 + scatter[[1, 2, 0]]
    text = "\n".join(module.conclusions(found))
    parameter, same, twice = re.split(r"\n?Beside ", text)[1:]
    # arctan is the one that others are held to here, and no row is beside itself
    assert re.findall(r"(\w+): network: ([\w ]+), 8 steps", parameter) == [
        ("tie", "rescaled"),
        ("worse", "class share"),
    ]
    assert "arctan, 8" not in parameter
    assert "better: network: arctan, 8 steps (-2.000 +- 0.000); network: arctan, 16 steps" in same
    assert "tie: network: arctan, 8 steps (-0.000 +- " in twice or "tie: network: arctan, 8 steps (0.000 +- " in twice
    # no usual grid of 32 steps
    assert "16 steps" not in twice


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of samples says little
def test_the_tiny_study_of_grids_compares_what_each_denoiser_may_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = recipe("grids")
    path = module.main(module.Settings(output=tmp_path / "g.nc", tiny=True))
    sp.validate(path)
    runs = sp.open(path)["run"].values.tolist()
    grids = {name.partition(",")[0] for name in runs}
    common = {"edm", "arctan", "sine", "rescaled", "class share"}
    assert grids == {f"network: {name}" for name in common} | {f"images: {name}" for name in (*common, "entropic")}
    assert len(runs) == 2 * len(grids)
    rows = module.rows_of(("network", "images"), module.Settings(steps=(4,)))
    assert set(runs) == {row.run(seed) for row in rows for seed in (0, 1)}
    printed = capsys.readouterr().out
    # of a mixture the numbers are exact, and those of the recipe's own settings
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], 1.0, [0.7, 0.3], dimension=64)
    exact = sp.exact.sampling_error(mix, sp.schedules.edm_grid(4, 0.02, 80.0))
    found = re.search(r"two components: edm, 4 steps +([\d.]+) +([\d.]+)", printed)
    assert found is not None
    assert np.allclose([float(one) for one in found.groups()], [exact.sample_divergence, exact.class_error], atol=6e-4)
    # 4 steps are not compared with 8, which nobody asked for
    assert "Beside edm of as many steps" in printed
    assert "Beside edm of twice the steps" not in printed
    assert "Worse proportions of the classes than edm of as many steps, of 10 on mixtures: " in printed


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")
def test_the_tiny_study_of_intervals_judges_by_fresh_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = recipe("intervals")
    path = module.main(module.Settings(output=tmp_path / "i.nc", tiny=True))
    sp.validate(path)
    table = sp.open(path)
    assert table["run"].values.tolist() == [f"{name}, seed {seed}" for name in ("network", "images") for seed in (1, 2)]
    names = [str(name) for name in table["guidance"].values]
    # a tenth of the entropy of the digits is left near .9, nine tenths near 4
    low, high = (float(one) for one in re.search(r"w=2 for ([\d.]+)<sigma<=([\d.]+)", " ".join(names)).groups())
    assert abs(low - 0.894) < 0.06
    assert abs(high - 4.1) < 0.3
    assert names == ["unguided", f"w=3 for 0<sigma<={low}", f"w=2 for {low}<sigma<={high}", "w=2", "w=3 for 0<sigma<=1"]
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if ", beside " in line] == [
        f"{model}, beside {other}" for model in ("Network", "Images") for other in ("unguided", "the sweep's best")
    ]


def test_conclusions_on_intervals_follow_from_the_table() -> None:
    module = recipe("intervals")
    scatter = np.array([-0.1, 0.0, 0.1])
    found = {"network": {
        "unguided": 2.0 + scatter, "the rule": 1.0 + scatter[[1, 0, 2]], "in all noise": 3.0 + scatter[[2, 0, 1]],
        module.SWEPT: 1.0 + scatter,
    }}  # fmt: skip
    lines = [line.strip() for line in module.conclusions(found)]
    first, second = lines[:4], lines[4:]
    assert first[0] == "Network, beside unguided"
    assert re.findall(r"(\w[\w' ]+) \(", first[1]) == ["the rule", "the sweep's best"]
    assert first[2] == "tie: none"
    assert first[3].startswith("worse: in all noise (1.000 +- ")
    assert second[0] == "Network, beside the sweep's best"
    assert second[1] == "better: none"
    assert second[2].startswith("tie: the rule (")
    assert second[3].startswith("worse: in all noise (")


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")
def test_the_tiny_study_of_shapes_trains_a_network_and_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, weights = recipe("intervals"), tmp_path / "shapes.safetensors"
    monkeypatch.setattr("specent.quality.classifier._EPOCHS", 1)
    path = module.main(
        module.Settings(
            output=tmp_path / "a.nc", data="shapes", tiny=True, network=weights, models=("network",), exact_samples=96,
            edges=(),
        )
    )  # fmt: skip
    sp.validate(path)
    table = sp.open(path)
    assert json.loads(table.attrs["settings"])["recipe_settings"]["data"] == "shapes"
    assert table["run"].values.tolist() == ["network, seed 1", "network, seed 2"]
    printed = capsys.readouterr().out
    assert "96 samples of shapes by the network" in printed
    assert "the sweep's best" not in printed

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("specent.training.edm.train", never)
    same = PictureSettings(data="shapes", network=weights, pictures=480, train_steps=20)
    assert len(studied_pictures(same).network.labels) == 48
    with pytest.raises(SpecentError, match=r"shapes.safetensors' has steps=20, and the settings say 30"):
        _ = studied_pictures(replace(same, train_steps=30)).network
    with pytest.raises(SpecentError, match=r"shapes.safetensors' has data_sha256="):
        _ = studied_pictures(replace(same, pictures=528)).network


def test_a_network_of_the_shapes_is_better_than_none() -> None:
    shown = studied_pictures(PictureSettings(data="shapes", pictures=480, train_steps=150))
    levels = np.array([0.3, 1.0])
    error = sp.denoising_error(shown.network, levels, shown.images, shown.labels, conditional=True, progress=False)
    # the best guess that knows neither the picture nor its class is the mean, whose error is the variance
    blind = ((shown.images - shown.images.mean(axis=0)) ** 2).sum((1, 2, 3)).mean()
    assert (error["denoising_error"].squeeze().values < blind).all()
    assert shown.network.labels == tuple(sorted(set(shown.labels.tolist())))
    assert shown.per_class(100) * 48 == 144


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("grids", {"steps": ()}, "steps or models is empty"),
        ("grids", {"models": ()}, "steps or models is empty"),
        ("grids", {"data": "letters"}, "data='letters'"),
        ("grids", {"samples": 95}, "samples=95"),
        ("grids", {"pictures": 100}, "pictures=100"),
        ("grids", {"train_steps": 0}, "train_steps=0"),
        ("grids", {"steps": (2,)}, "steps=2"),
        ("grids", {"scale": 0.0}, "scale=0"),
        ("grids", {"share": 1.5}, "share=1.5"),
        ("grids", {"seeds": 1}, "seeds=1"),
        ("intervals", {"edges": (1.0, 0.5)}, "interval"),
        ("intervals", {"left": 0.7}, "left=0.7"),
        ("intervals", {"models": ()}, "models is empty"),
        ("intervals", {"samples": 3}, "samples=3"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        recipe(name).Settings(**settings)
