"""What to keep is a value; partitions and guidance may be written as text and as numbers."""

from inspect import signature

import numpy as np
import pytest

import specent as sp

MIX = sp.exact.GaussianMixture([[-2.0], [0.0], [2.0]], labels=["a", "b", "c"])
OPTIONS = {"schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(6), "samples": 2, "progress": False}


def test_what_is_kept_is_one_argument_and_a_chain_has_no_setting_of_one_value() -> None:
    names = set(signature(sp.sample).parameters)
    assert "record" in names
    assert names.isdisjoint({"eta", "predictions", "distances"})


def test_a_record_of_any_sequence_is_a_plain_value() -> None:
    record = sp.Record(np.array([0.1, 1.0]), distances=np.bool_(True))
    assert record == sp.Record([0.1, 1.0], True) == sp.Record(predictions=(0.1, 1.0), distances=True)
    assert len({record, sp.Record([0.1, 1.0], True)}) == 1
    assert sp.Record(1.0).predictions == (1.0,)
    with pytest.raises(AttributeError):
        record.distances = False


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"predictions": "all"}, "record: predictions='all' must hold real numbers"),
        ({"predictions": [[1.0]]}, r"record: predictions=\[\[1.0\]\] must be a list of finite times"),
        ({"predictions": [np.nan]}, "finite times"),
        ({"distances": 1}, "record: distances=1 must be True or False"),
    ],
    ids=str,
)
def test_a_record_refuses_what_is_no_time_and_no_flag(fields: dict[str, object], message: str) -> None:
    with pytest.raises(sp.SpecentError, match=message):
        sp.Record(**fields)


def test_the_record_decides_what_is_in_the_dataset() -> None:
    model = sp.models.mixture(MIX)
    bare = sp.sample(model, record=sp.Record(distances=False), **OPTIONS)
    assert {"denoiser_distance", "prediction"}.isdisjoint(bare.variables)
    full = sp.sample(model, record=sp.Record([1.0]), **OPTIONS)
    assert {"denoiser_distance", "prediction"} <= set(full.variables)
    np.testing.assert_array_equal(full.log_likelihood, bare.log_likelihood)


def test_distances_are_kept_by_default_up_to_sixteen_candidates() -> None:
    for labels, kept in ((15, True), (16, False)):
        mix = sp.exact.GaussianMixture(np.linspace(-1, 1, labels)[:, None])
        runs = sp.sample(sp.models.mixture(mix), classes=mix.labels[:1], **OPTIONS)
        assert runs.sizes["candidate"] == labels + 1
        assert ("denoiser_distance" in runs) is kept


def test_partitions_may_be_text_alone_or_in_a_list_with_others() -> None:
    model = sp.models.mixture(MIX)
    mixed = ["full", sp.Partition.pair("a", "b"), "c|rest", "a,b|c"]
    runs = sp.sample(model, partitions=mixed, **OPTIONS)
    same = [sp.Partition.parse(part, MIX.labels) if isinstance(part, str) else part for part in mixed]
    expected = sp.sample(model, partitions=same, **OPTIONS)
    assert runs.partition.values.tolist() == ["full", "a | b", "c | rest", "a+b | c"]
    np.testing.assert_array_equal(runs.production, expected.production)
    assert sp.sample(model, partitions="full", **OPTIONS).definition.values.tolist() == [same[0].to_json()]


def test_a_number_is_the_scale_of_constant_guidance() -> None:
    model = sp.models.mixture(MIX)
    one = sp.sample(model, guidance=2.0, **OPTIONS)
    np.testing.assert_array_equal(one.final, sp.sample(model, guidance=sp.Guidance(2.0), **OPTIONS).final)
    listed = sp.sample(model, guidance=[1, np.float32(2.0), sp.Guidance(3.0, (0.5, 5.0))], **OPTIONS)
    assert listed.guidance.values.tolist() == ["unguided", "w=2", "w=3 for 0.5<sigma<=5"]
    np.testing.assert_array_equal(listed.final.isel(guidance=1), one.final.isel(guidance=0))
