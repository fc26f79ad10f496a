from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import dask.array
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent import schema
from specent.errors import ArchiveError, SpecentError

Change = Callable[[xr.Dataset], xr.Dataset]


def _finish(dataset: xr.Dataset, **attributes: object) -> xr.Dataset:
    kept = {name: dataset.attrs[name] for name in schema.KIND_ATTRIBUTES["trajectories"]}
    given = {"title": "again", "settings": {}, **kept, **attributes}
    return schema.finish(dataset, "trajectories", **given)


def test_finish_gives_every_variable_its_units_and_long_name(any_dataset):
    for variable in any_dataset.variables.values():
        # the square of an entropy only where it is a variance
        squared = "variance" in variable.attrs["long_name"]
        assert variable.attrs["units"] in (("bit2",) if squared else ("1", "bit"))
        assert variable.attrs["long_name"]


def test_natural_logarithms_have_unit_one_and_say_so():
    rows = [row for kind in schema.KINDS.values() for row in kind.values()]
    assert not any("nat" in row.units for row in rows)
    names = {row.name for row in rows if "natural logarithm" in row.long_name}
    assert names == {"log_likelihood", "production", "cross_production"}


def test_the_long_name_of_a_rate_names_its_axis(make_dataset):
    profiles = make_dataset("profiles")
    assert profiles["entropy_rate"].attrs["long_name"].endswith("(axis: log_snr)")
    assert "axis" not in profiles["entropy"].attrs["long_name"]


def test_finish_restores_the_order_of_dimensions_and_the_running_numbers(make_dataset):
    made = make_dataset("trajectories")
    mixed = made.transpose(*reversed(list(made.dims))).drop_vars(["sample", "channel", "y", "x"])
    again = _finish(mixed)
    for name in made.data_vars:
        assert again[name].dims == made[name].dims
        np.testing.assert_array_equal(again[name], made[name])
    assert again["sample"].values.tolist() == list(range(made.sizes["sample"]))


def test_finish_leaves_its_input_alone(any_dataset):
    raw, kind = any_dataset, any_dataset.attrs["specent_kind"]
    given = {name: raw.attrs[name] for name in schema.KIND_ATTRIBUTES[kind]}
    for name in raw.variables:
        raw[name].attrs = {"units": "old"}
    raw.attrs["comment"] = "mine"
    schema.finish(raw, kind, title="again", settings={}, **given)
    assert raw.attrs["comment"] == "mine"
    assert all(variable.attrs == {"units": "old"} for variable in raw.variables.values())


def test_finish_brings_types_to_those_of_the_contract_but_invents_no_precision(make_dataset):
    raw = make_dataset("trajectories")
    raw["final"] = raw["final"].astype("float64")
    raw = raw.assign_coords(
        sample=raw["sample"].astype("int32"),
        guidance_scale=("guidance", [1, 2]),
        definition=raw["definition"].astype(object),
    )
    made = _finish(raw)
    assert made["final"].dtype == "float32"
    assert made["denoiser_distance"].dtype == "float32"
    assert made["sample"].dtype == "int64"
    assert made["guidance_scale"].dtype == "float64"
    assert made["definition"].dtype.kind == "U"
    raw["log_likelihood"] = raw["log_likelihood"].astype("float16")
    with pytest.raises(ArchiveError, match=r"log_likelihood.*float16.*float"):
        _finish(raw)


def test_finish_turns_data_variables_that_are_coordinates_into_coordinates(make_dataset):
    made = _finish(make_dataset("trajectories").reset_coords(["sigma", "definition"]))
    assert {"sigma", "definition"} <= set(made.coords)


def test_settings_are_plain_json_with_their_hash(make_dataset):
    made = make_dataset("profiles", seed=3)
    assert json.loads(made.attrs["settings"], parse_constant=pytest.fail) == {
        "seed": 3, "steps": 5, "interval": [0.0, "inf"], "samples": 4,
    }  # fmt: skip
    assert made.attrs["settings_sha256"] == hashlib.sha256(made.attrs["settings"].encode()).hexdigest()


def test_settings_that_json_cannot_hold_are_named(make_dataset):
    with pytest.raises(ArchiveError, match=r"settings\['grid'\]\[1\].*object"):
        _finish(make_dataset("trajectories"), settings={"grid": [1, object()]})


def test_history_carries_on_that_of_the_parents_once(make_dataset):
    first = make_dataset("trajectories")
    second = _finish(first, title="second", parents=[first, first])
    lines = second.attrs["history"].splitlines()
    assert lines[0] == first.attrs["history"]
    assert len(lines) == 2
    assert lines[1].endswith(" second")


def test_numpy_numbers_among_the_attributes_become_python_ones(make_dataset):
    made = _finish(make_dataset("trajectories"), seed=np.int64(7), quantile=np.float32(0.5))
    assert type(made.attrs["seed"]) is int
    assert type(made.attrs["quantile"]) is float


def _attribute(name: str, value: object) -> Change:
    return lambda made: made.assign_attrs({name: value})


def _of_variable(variable: str, **attributes: object) -> Change:
    def change(made: xr.Dataset) -> xr.Dataset:
        made[variable].attrs.update(attributes)
        return made

    return change


def _label(name: str, values: object) -> Change:
    return lambda made: made.assign_coords({name: (made[name].dims, values, made[name].attrs)})


def _without(name: str) -> Change:
    def change(made: xr.Dataset) -> xr.Dataset:
        del made.attrs[name]
        return made

    return change


def _like(array: xr.DataArray, values: object) -> xr.DataArray:
    return array.copy(data=values)


def _clock(log_snr: Callable[[xr.Dataset], object]) -> Change:
    return lambda made: made.assign_coords(log_snr=_like(made.log_snr, np.asarray(log_snr(made))))


def _settings(text: str) -> Change:
    return lambda made: made.assign_attrs(settings=text, settings_sha256=hashlib.sha256(text.encode()).hexdigest())


BROKEN: dict[str, tuple[Change, str]] = {
    "essential variable": (lambda d: d.drop_vars("final"), "'final' is missing"),
    "extra variable": (lambda d: d.assign(mine=("time", np.zeros(5))), "'mine' is not part of the kind.*drop_vars"),
    "extra coordinate": (lambda d: d.assign_coords(mine=("time", np.zeros(5))), "'mine' is not part of the kind"),
    "coordinate as data": (lambda d: d.reset_coords("sigma"), "'sigma'.*set_coords"),
    "companion": (lambda d: d.drop_vars("sigma"), "coordinate 'sigma' is missing; it goes with the dimension 'time'"),
    "index": (lambda d: d.drop_vars("sample"), "coordinate 'sample' is missing"),
    "descending time": (lambda d: d.isel(time=slice(None, None, -1)), "'time' must ascend.*sortby"),
    "unsorted numbers": (lambda d: d.isel(sample=[0, 2, 1]), "'sample' must ascend or descend"),
    "infinite time": (_label("prediction_time", [1.0, np.inf]), "'prediction_time' must be finite.*inf"),
    "label twice": (lambda d: d.isel(partition=[0, 0]), "'partition' holds the label 'full' 2 times"),
    "dimension dropped": (lambda d: d.isel(guidance=0), "dimensions.*the contract says.*select with a list"),
    "no entries": (lambda d: d.isel(sample=slice(0)), "dimension 'sample' has no entries"),
    "units": (_of_variable("final", units="m"), "'final' has units 'm'"),
    "long name": (_of_variable("final", long_name=""), "long_name ''"),
    "scale factor": (_of_variable("final", scale_factor=2.0), "'scale_factor' of variable 'final'"),
    "half precision": (lambda d: d.astype("f2"), "has type float16, the contract says float"),
    "numbers as labels": (_label("candidate", [1, 2, 3, 4]), "'candidate' has type int64"),
    "mixed labels": (_label("definition", np.array(["a", 1], object)), "'definition' has type object"),
    "text with a zero": (_label("definition", ["a\0b", "c"]), "coordinate 'definition' is 'a.x00b'"),
    "lost attribute": (_without("seed_rule"), "attribute 'seed_rule' is missing from the trajectories dataset"),
    "lost title": (_without("title"), "attribute 'title' is missing"),
    "bool": (_attribute("flag", True), "'flag' of the dataset is a bool"),
    "none": (_attribute("flag", None), "'flag' of the dataset is a NoneType"),
    "mapping": (_attribute("flag", {}), "'flag' of the dataset is a dict"),
    "not a number": (_attribute("flag", float("nan")), "'flag' of the dataset is nan"),
    "too long a number": (_attribute("seed", 2**63), "must be finite and fit into 64 bits"),
    "surrogate": (_attribute("title", "\ud800"), "attribute 'title'.*UTF-8"),
    "name": (_attribute("_secret", 1), "'_secret' of the dataset: choose a name"),
    "CF name": (_attribute("coordinates", "sigma"), "'coordinates' of the dataset: choose a name"),
    "other version": (_attribute("specent_schema", "3"), "specent_schema='3', but this version reads '2', and '1'"),
    "other kind": (_attribute("specent_kind", "weather"), "'weather' is not one of trajectories, statistics, profiles"),
    "kind no text": (_attribute("specent_kind", np.arange(2)), "not made by specent"),
    "settings altered": (_attribute("settings", "{}"), "settings_sha256; the dataset was altered"),
    "settings no JSON": (_settings("seed=3"), "'settings' is 'seed=3', not the JSON text of a mapping; make it with"),
    "settings no mapping": (_settings("[1]"), "not the JSON text of a mapping"),
    "axis": (_attribute("rate_axis", "noise"), "'rate_axis' is 'noise', which is not one of log_snr, log_sigma"),
    "schedule": (_attribute("schedule", "?"), "cannot be used: schedule='.' is not the JSON text"),
    "log_snr missing": (_label("log_snr", [np.nan] * 5), "log_snr=nan at time=.* is not a finite number"),
    "log_snr constant": (_clock(lambda d: d.log_snr * 0), "log_snr is not ln.alpha.2/sigma.2."),
    "log_snr reversed": (_clock(lambda d: d.log_snr[::-1].values), "log_snr is not ln"),
    "log_snr doubled": (_clock(lambda d: d.log_snr * 2), "log_snr is not ln"),
    "clock reversed": (
        lambda d: d.assign_coords({name: _like(d[name], d[name].values[::-1]) for name in ("sigma", "log_snr")}),
        "log_snr must descend with time",
    ),
    "another clock": (_label("time", np.arange(1.0, 6.0)), "not that of the schedule 've' at .* time.*on_schedule"),
    "definitions exchanged": (
        lambda d: d.assign_coords(definition=_like(d.definition, d.definition.values[::-1])),
        "partition 'full' has the definition of 'cat . dög'",
    ),
    "prior of one candidate": (
        _label("candidate_prior", [0.5, 0.2, 0.25, 0.0]),
        "candidate_prior=0.2 at candidate=dög, but label_prior is 0.25; set both alike",
    ),
    "prior of the null": (
        lambda d: _label("candidate_prior", [0.5, 0.25, 0.1])(d.sel(candidate=["cat", "dög", "null"])),
        "candidate_prior=0.1 at candidate=null, but the null condition has none",
    ),
    "no prior": (_label("label_prior", [0.5, np.nan, 0.25]), "label_prior=nan at class_label=dög is not a finite"),
    "null as class": (_label("class_label", ["cat", "null", "red car"]), "'null' is the name of the null condition"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_breach_of_the_contract_is_named(make_dataset, change: Change, message: str):
    made = make_dataset("trajectories")
    schema.validate(made)
    with pytest.raises(ArchiveError, match=message):
        schema.validate(change(made))


def test_a_selection_or_another_name_for_a_figure_is_no_breach(make_dataset):
    made = make_dataset("trajectories")
    for some in (
        made.sel(candidate=["null", "cat"]),
        made.sel(class_label=["red car", "cat"]),
        made.isel(time=slice(1, 3), partition=[1]),
        made.sel(partition=["cat | dög", "full"]),
        made.assign_coords(partition=_like(made.partition, ["everything", "pets"])),
    ):
        schema.validate(some)


def test_coordinates_are_checked_without_reading_the_data(make_dataset):
    made = make_dataset("trajectories")
    blocks = dask.array.from_delayed(dask.delayed(pytest.fail)("computed"), made["production"].shape, float)
    schema.validate(made.assign(production=made["production"].copy(data=blocks)))


def test_arguments_of_another_type_are_named(make_dataset):
    made = make_dataset("profiles")
    kept = {"rate_axis": "time", "schedule": made.attrs["schedule"]}
    for change, message in (
        ({"dataset": 3}, "dataset=3 is a int; pass a Dataset"),
        ({"kind": []}, r"kind=\[\] is not one of trajectories"),
        ({"kind": "weather"}, "kind='weather' is not one of"),
        ({"title": 5}, "title=5 is a int; say in one line"),
        ({"settings": "seed"}, "settings='seed' is a str; pass a mapping"),
        ({"parents": made}, "parents=<xarray.* is a Dataset; pass a list of the Datasets"),
        ({"parents": 7}, "parents=7 is a int"),
    ):
        given = {"dataset": made, "kind": "profiles", "title": "t", "settings": {}, **kept, **change}
        with pytest.raises(SpecentError, match=message):
            schema.finish(given.pop("dataset"), given.pop("kind"), **given)
    for call in (lambda: schema.validate(3), lambda: schema.with_settings("a.nc", recipe="r")):
        with pytest.raises(SpecentError, match=r"dataset=.* is a (int|str); pass a Dataset of the contract"):
            call()
    with pytest.raises(ArchiveError, match=r"kind=\[\] is not one of"):
        schema.validate(made, [])
    with pytest.raises(ArchiveError, match="not the JSON text of a mapping"):
        schema.with_settings(_settings("[1]")(made), recipe="r")
    assert json.loads(schema.with_settings(made, recipe="r").attrs["settings"])["recipe"] == "r"


def test_another_kind_than_needed_is_named_with_its_maker(make_dataset):
    with pytest.raises(ArchiveError, match=r"runs: .*'trajectories' is needed.*'profiles'.*made by specent\.sample"):
        schema.need(make_dataset("profiles"), "trajectories", "runs")
    with pytest.raises(ArchiveError, match="kind='weather' is not one of"):
        schema.validate(make_dataset("profiles"), "weather")


def test_what_is_not_a_dataset_is_named():
    with pytest.raises(SpecentError, match="runs is a list; a trajectories dataset is needed"):
        schema.need([], "trajectories", "runs")


def test_the_samples_of_a_plain_vector_model_fit_the_contract(make_dataset):
    made = make_dataset("trajectories").drop_vars(["channel", "y", "x", "prediction", "prediction_time"])
    flat = made.drop_vars("final").assign(
        final=(("guidance", "class_label", "sample", "feature"), np.zeros((2, 3, 4, 6)))
    )
    assert _finish(flat)["final"].dims[-1] == "feature"


def test_the_markdown_page_holds_every_row_of_the_registry_in_whole_tables():
    page = schema.as_markdown()
    for name in (*schema.DIMENSIONS, *schema.COORDINATES, *schema.ATTRIBUTES, *schema.KINDS):
        assert f"`{name}`" in page
    for variables in schema.KINDS.values():
        for row in variables.values():
            assert f"| `{row.name}` |" in page
            assert row.long_name.replace("|", "\\|") in page
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_the_prior_of_all_sides_sums_to_one() -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]])
    turned = sp.exact.u_turns(mix, sp.schedules.VE(), [8.0], "full")
    with pytest.raises(SpecentError, match=r"side_prior=\[0.25, 0.25\] of all sides sums to 0.5"):
        sp.validate(turned.assign_coords(side_prior=("side", [0.25, 0.25], turned["side_prior"].attrs)))
    # of some of them it is less
    sp.validate(turned.isel(side=[0]))
