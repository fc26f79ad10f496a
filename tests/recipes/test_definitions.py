"""The study of definitions: its exact numbers, and what is measured within its intervals."""

import re
from pathlib import Path

import numpy as np
import pytest

import specent as sp
from specent.errors import SpecentError
from specent.studies import recipe


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # a handful of trajectories says little
def test_the_tiny_study_prints_constants_beside_what_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = recipe("definitions")
    paths = module.main(module.Settings(output=tmp_path / "d.nc", tiny=True))
    assert [path.name for path in paths] == [
        f"d_K{count}_d16{kind}.nc" for count in (2, 3) for kind in ("", "_turns")
    ]  # fmt: skip
    for path in paths:
        sp.validate(path)
    assert not (tmp_path / "d.nc").exists()
    rows = dict(re.findall(r"(\w[\w ]*?) +K = 2, d = 16 +([\d.]+)", capsys.readouterr().out))
    # two classes at right angles are two components: their ratio is sqrt(2) times K of the closed forms
    assert float(rows["half entropy"]) == pytest.approx(1.021770 * np.sqrt(2), abs=6e-4)
    assert float(rows["half phi"]) == pytest.approx(0.922412 * np.sqrt(2), abs=6e-4)
    # the data have the variance 16 / 2 + 1 along the line between the means
    assert float(rows["spectral"]) == pytest.approx(np.sqrt(16 / (1 + 9)), abs=6e-4)


def test_what_is_measured_is_exact_within_its_intervals(tmp_path: Path) -> None:
    module = recipe("definitions")
    settings = module.Settings(output=tmp_path / "d.nc", trajectories=1200, steps=48)
    case = module.Case(4, 32)
    table = module.found(*module.measured(case, settings))
    exact = module.exactly(case, settings)
    for name in ("half entropy", "half phi"):
        one = table.sel(definition=name)
        low, high = (float(case.kappa(one[f"noise_level{end}"])) for end in ("_upper", "_lower"))
        # of twice the width of 95 % intervals, 1 in 10 000 miss; 48 steps and 16 steps of a turn leave half a percent
        reach = (high - low) + 0.005
        assert abs(float(case.kappa(one.noise_level)) - float(exact.sel(definition=name))) < reach, name
        assert high - low < 0.4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ()}, "classes is empty"),
        ({"classes": (1,)}, "classes"),
        ({"classes": (100,), "dimensions": (64,)}, "as many dimensions"),
        ({"steps": 4}, "steps"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        recipe("definitions").Settings(**settings)
