"""The study of the collapse: its budget is that of the counts, its predictions those of the closed form."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

import specent as sp
from specent.errors import SpecentError
from specent.models.digits import digits_data
from specent.studies import recipe


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # of some digits there are few images
def test_the_tiny_study_prints_its_budget_and_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = recipe("collapse")
    paths = module.main(module.Settings(output=tmp_path / "c.nc", tiny=True))
    assert [path.name for path in paths] == ["c.nc", "c_gaussian.nc"]
    for path in paths:
        sp.validate(path)
    printed = capsys.readouterr().out
    labels = digits_data()[1][:100]
    of_class = entropy(np.unique(labels, return_counts=True)[1], base=2)
    found = re.search(r"100 images: ([\d.]+) bit = ([\d.]+) \(class\) \+ ([\d.]+) ", printed)
    assert found is not None
    expected = [np.log2(100), of_class, np.log2(100) - of_class]
    assert np.allclose([float(bits) for bits in found.groups()], expected, atol=6e-4)
    # d/2 ln(1 + 1 / sigma^2) is half of ln n and all of it
    row = re.search(r"20 Gaussian data .*\) +([\d.]+) +([\d.]+)", printed)
    assert row is not None
    levels = [np.expm1(2 * share * np.log(20) / 8) ** -0.5 for share in (0.5, 1.0)]
    assert np.allclose([float(level) for level in row.groups()], levels, atol=6e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 1798}, "images"),
        ({"sizes": ()}, "sizes is empty"),
        ({"sizes": (1,)}, "sizes"),
        ({"steps": 3}, "steps"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecentError, match=message):
        recipe("collapse").Settings(**settings)
