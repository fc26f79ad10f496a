"""The price of guidance against its closed form, for parts of the labels, for large runs, and in words."""

import numpy as np
import pytest
import torch
import xarray as xr

import specent as sp
from specent.analysis import guidance_price_text, price
from specent.errors import SpecentError

SHIFT, GRID = 0.3, np.geomspace(0.5, 80, 40)
GAMMA = GRID**-2.0
SETTINGS = [sp.Guidance(), sp.Guidance(2.0), sp.Guidance(4.0, (1.0, 5.0)), sp.Guidance(0.0)]


class AllClassesAlike:
    """Data N(0, 1) whatever the class, and a null condition that is off by a constant: the divergence is known."""

    schedule, conditions, shape, null_condition = sp.schedules.VE(), ("a", "b", "c"), (1,), True

    def __call__(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        level = t[:, None].double()
        return (x.double() / (1 + level**2) + SHIFT * (condition == 3)[:, None]).to(x.dtype)


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.sample(
        AllClassesAlike(),
        schedule=sp.schedules.VE(),
        time=GRID,
        samples=200,
        guidance=SETTINGS,
        check=False,
        progress=False,
    )


def test_the_price_of_a_constant_shift_is_known(runs: xr.Dataset) -> None:
    table = sp.guidance_price(runs)
    gain = 0.5 * SHIFT**2 / np.log(2) * (GAMMA[:-1] - GAMMA[1:])
    within = (GRID[1:] > 1.0) & (GRID[1:] <= 5.0)
    expected = [gain.sum(), 9 * gain[within].sum(), gain.sum()]
    for name in ("price", "price_paid"):
        found, lower, upper = (table[f"{name}{end}"].values for end in ("", "_lower", "_upper"))
        # 600 paths, of which the likelihood ratio has a variance of twice its mean in nats
        error = (upper - lower) / (2 * 1.96)
        assert (abs(found - expected) < 4 * error).all(), name
        assert (error < 0.35 * np.array(expected)).all()


def test_some_labels_have_their_own_price(runs: xr.Dataset) -> None:
    one = runs.sel(class_label=["b"], candidate=["b", "null"], other_candidate=["b", "null"])
    found = sp.guidance_price(one).price.sel(guidance="w=2").item()
    # along its paths the null condition loses what is paid
    lost = -one.log_likelihood.sel(guidance="unguided", candidate="null").isel(time=0).mean().item() / np.log(2)
    assert found == pytest.approx(lost, rel=1e-9)
    whole = sp.guidance_price(runs).price.sel(guidance="w=2").item()
    parts = [sp.guidance_price(runs.sel(class_label=[name])).price.sel(guidance="w=2").item() for name in "abc"]
    assert whole == pytest.approx(np.mean(parts), rel=1e-9)


def test_a_small_run_is_read_whole_and_a_large_one_in_part(runs: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    table = price.quick_price(runs)
    assert table.attrs["trajectories"] == ""
    np.testing.assert_allclose(table.price, sp.guidance_price(runs).price, rtol=1e-12)
    monkeypatch.setattr(price, "_NUMBERS", 60 * runs.sizes["time"] * runs.sizes["candidate"])
    part = price.quick_price(runs)
    assert part.attrs["trajectories"] == "20 of 200 trajectories each of 3 of 3 classes"
    np.testing.assert_allclose(part.price, sp.guidance_price(runs.isel(sample=slice(20))).price, rtol=1e-12)
    monkeypatch.setattr(price, "_NUMBERS", 16 * runs.sizes["time"] * runs.sizes["candidate"])
    part = price.quick_price(runs)
    assert part.attrs["trajectories"] == "8 of 200 trajectories each of 2 of 3 classes"
    few = runs.isel(sample=slice(8)).sel(class_label=["a", "c"])
    np.testing.assert_allclose(part.price, sp.guidance_price(few).price, rtol=1e-12)
    assert price.guidance_price_text(runs).endswith("\n  from 8 of 200 trajectories each of 2 of 3 classes")


def test_what_is_read_of_a_huge_run_is_bounded(runs: xr.Dataset) -> None:
    import dask.array as da

    read: list[int] = []

    def chunk(block_info: dict[None, dict[str, tuple[int, ...]]]) -> np.ndarray:
        shape = block_info[None]["chunk-shape"]
        read.append(int(np.prod(shape)))
        return np.zeros(shape, dtype=np.float32)

    labels = [f"c{i}" for i in range(600)]
    sizes = {"guidance": 2, "class_label": 600, "sample": 100, "time": len(GRID), "candidate": 601}
    chunks = (1, 1, 10, len(GRID), 601)
    likelihood = da.map_blocks(
        chunk, chunks=da.core.normalize_chunks(chunks, tuple(sizes.values())), dtype=np.float32, meta=np.empty(0)
    )
    small = runs.isel(guidance=[0, 1])
    huge = xr.Dataset(
        {"log_likelihood": (tuple(sizes), likelihood)},
        {
            **{name: small[name] for name in ("guidance", "guidance_scale", "sigma_lo", "sigma_hi", "time", "log_snr")},
            "class_label": labels,
            "sample": np.arange(100),
            "candidate": [*labels, "null"],
            "candidate_prior": ("candidate", np.append(np.full(600, 1 / 600), 0.0)),
        },
        runs.attrs,
    )
    assert guidance_price_text(huge).endswith("from 10 of 100 trajectories each of 32 of 600 classes")
    # of 5.8 GB; whole blocks of the file are read
    assert sum(read) <= 2 * price._NUMBERS


def _of(runs: xr.Dataset, candidates: list[str]) -> xr.Dataset:
    return runs.sel(candidate=candidates, other_candidate=candidates)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda runs: runs.sel(guidance=["unguided"]), ""),
        (lambda runs: runs.drop_dims("guidance"), ""),
        (lambda runs: sp.entropy(runs, "full", "path"), ""),
        (lambda runs: runs.sel(guidance=["w=2"]), "not known; no setting is unguided"),
        (lambda runs: _of(runs, ["a", "b", "c"]), "not known; the null condition is not among the candidates"),
        (lambda runs: runs.isel(time=slice(0, 20)), "not known; log_likelihood is"),
        (lambda runs: runs.isel(sample=[0]), "not known; runs has 1 sample"),
        (lambda runs: runs.drop_vars("log_snr"), "not known; the coordinate 'log_snr' is missing"),
        (lambda runs: runs.assign(log_likelihood=runs.log_likelihood * np.nan), "not known; log_likelihood is not fin"),
    ],
)
def test_where_there_is_no_price_the_text_is_empty_or_says_why(runs: xr.Dataset, change, text: str) -> None:
    found = guidance_price_text(change(runs))
    assert (text in found) if text else (found == "")
    assert "\n" not in found


def test_the_text_has_every_setting_that_is_shared_by_the_trajectories(runs: xr.Dataset) -> None:
    head, *rows = guidance_price_text(runs).splitlines()
    assert "path divergence" in head
    assert [row.split(" bit")[0].rsplit(maxsplit=1)[0].strip() for row in rows] == runs.guidance.values[1:].tolist()


def test_feedback_alone_has_no_price() -> None:
    model = sp.models.mixture(sp.exact.GaussianMixture([[-4.0], [4.0]]))
    runs = sp.sample(
        model, schedule=sp.schedules.VE(), time=GRID, samples=4, progress=False,
        guidance=[sp.Guidance(), sp.FeedbackGuidance(0.99, 0.5, 0.4, gap=1.0)],
    )  # fmt: skip
    assert guidance_price_text(runs) == ""
    with pytest.raises(SpecentError, match="no setting is guided"):
        sp.guidance_price(runs)
    both = sp.sample(
        model, schedule=sp.schedules.VE(), time=GRID, samples=4, progress=False,
        guidance=[sp.Guidance(), sp.FeedbackGuidance(0.99, 0.5, 0.4, gap=1.0), sp.Guidance(2.0)],
    )  # fmt: skip
    assert sp.guidance_price(both).guidance.values.tolist() == ["w=2"]
