"""The tables of the data contract; `specent.schema` is the public door to them and holds the rules."""

from __future__ import annotations

from collections.abc import Mapping

from specent.partitions import NULL as NULL
from specent.schema.interventions import interventions
from specent.schema.variable import Variable as Variable
from specent.schema.variable import bounded

SCHEMA = "2"
CONVENTIONS = "CF-1.11"

DIMENSIONS: Mapping[str, str] = {
    "time": "diffusion time (not clock time), ascending from data to noise",
    "class_label": "class label of the driver, whose conditional chain moves the sample",
    "candidate": "condition whose likelihood is scored along the trajectory",
    "other_candidate": "second candidate of a pair of candidates",
    "sample": "index of the trajectory within its class",
    "partition": "split of the class labels into named sides",
    "guidance": "guidance setting",
    "dimension": "ambient dimension of a synthetic model",
    "estimator": "how the number was estimated",
    "axis": "axis along which a noise level is given: time, sigma, log_sigma or log_snr",
    "run": "what is compared: a model, a checkpoint, a seed",
    "replicate": "bootstrap replicate",
    "mover": "what continues a trajectory after its turn: null, mixture or class; exact for a closed form",
    "steps": "noise levels of the continuation, the one of the turn and the last one included",
    "side": "side of the partition on which a trajectory began",
    "end_side": "side of the partition on which its continuation ended",
    "rank": "rank of an eigenvalue, the largest first",
    "prediction_time": "diffusion time at which a prediction of the data was kept",
    "feature": "component of a sample that is a plain vector",
    "channel": "colour or latent channel",
    "y": "pixel row",
    "x": "pixel column",
    "preview_channel": "colour channel of a decoded picture",
    "preview_y": "pixel row of a decoded picture",
    "preview_x": "pixel column of a decoded picture",
}

SAMPLE_DIMS: tuple[tuple[str, ...], ...] = (("feature",), ("channel", "y", "x"))
"""The dimensions of one sample, either of them, written ``...`` in the tables."""

COUNTED = (
    "sample", "replicate", "rank", "feature", "channel", "y", "x", "preview_channel", "preview_y", "preview_x",
)  # fmt: skip
"""Dimensions whose coordinate is only a running number."""


def _coordinates() -> list[Variable]:
    return [
        Variable("time", ("time",), "float64", "1", DIMENSIONS["time"]),
        Variable("sigma", ("time",), "float64", "1", "standard deviation of the noise"),
        Variable("alpha", ("time",), "float64", "1", "scale of the signal"),
        Variable("log_snr", ("time",), "float64", "1", "natural logarithm of the SNR alpha^2/sigma^2"),
        Variable("class_label", ("class_label",), "str", "1", DIMENSIONS["class_label"]),
        Variable("label_prior", ("class_label",), "float64", "1", "prior probability of the class label in the model"),
        Variable("candidate", ("candidate",), "str", "1", DIMENSIONS["candidate"]),
        Variable("candidate_prior", ("candidate",), "float64", "1", "prior probability of the candidate, 0 if null"),
        Variable("other_candidate", ("other_candidate",), "str", "1", DIMENSIONS["other_candidate"]),
        Variable("sample", ("sample",), "int64", "1", DIMENSIONS["sample"]),
        Variable("partition", ("partition",), "str", "1", DIMENSIONS["partition"]),
        Variable("definition", ("partition",), "str", "1", "definition of the partition as JSON"),
        Variable("guidance", ("guidance",), "str", "1", DIMENSIONS["guidance"]),
        Variable("guidance_scale", ("guidance",), "float64", "1", "guidance scale w, or its bound; 1 is unguided"),
        Variable("sigma_lo", ("guidance",), "float64", "1", "noise level sigma/alpha above which guidance applies"),
        Variable("sigma_hi", ("guidance",), "float64", "1", "noise level sigma/alpha up to which guidance applies"),
        Variable("guidance_definition", ("guidance",), "str", "1", "definition of the guidance setting as JSON", False),
        Variable("dimension", ("dimension",), "float64", "1", DIMENSIONS["dimension"]),
        Variable("estimator", ("estimator",), "str", "1", DIMENSIONS["estimator"]),
        Variable("axis", ("axis",), "str", "1", DIMENSIONS["axis"]),
        Variable("run", ("run",), "str", "1", DIMENSIONS["run"]),
        Variable("replicate", ("replicate",), "int64", "1", DIMENSIONS["replicate"]),
        Variable("mover", ("mover",), "str", "1", DIMENSIONS["mover"]),
        Variable("steps", ("steps",), "int64", "1", DIMENSIONS["steps"]),
        Variable("side", ("side",), "str", "1", DIMENSIONS["side"]),
        Variable("side_prior", ("side",), "float64", "1", "prior probability of the side"),
        Variable("end_side", ("end_side",), "str", "1", DIMENSIONS["end_side"]),
        Variable("rank", ("rank",), "int64", "1", DIMENSIONS["rank"]),
        Variable("prediction_time", ("prediction_time",), "float64", "1", DIMENSIONS["prediction_time"]),
        Variable("feature", ("feature",), "int64", "1", DIMENSIONS["feature"]),
        Variable("channel", ("channel",), "int64", "1", DIMENSIONS["channel"]),
        Variable("y", ("y",), "int64", "1", DIMENSIONS["y"]),
        Variable("x", ("x",), "int64", "1", DIMENSIONS["x"]),
        Variable("preview_channel", ("preview_channel",), "int64", "1", DIMENSIONS["preview_channel"]),
        Variable("preview_y", ("preview_y",), "int64", "1", DIMENSIONS["preview_y"]),
        Variable("preview_x", ("preview_x",), "int64", "1", DIMENSIONS["preview_x"]),
    ]


COORDINATES: Mapping[str, Variable] = {row.name: row for row in _coordinates()}

_TRAJECTORY = ("guidance", "class_label", "sample", "time")
_CURVE = ("run", "dimension", "estimator", "guidance", "partition", "time")
_SUMMARY = ("run", "dimension", "axis", "estimator", "guidance", "partition")
_FIT = ("run", "estimator", "guidance", "partition")
_DIFFERENCE = ("estimator", "guidance", "partition", "time")
# dimensions that only some datasets of a kind have
_SOMETIMES = ("run", "dimension")


def _trajectories() -> list[Variable]:
    nats = "natural logarithm"
    return [
        Variable(
            "log_likelihood", (*_TRAJECTORY, "candidate"), "float", "1",
            f"{nats} of the path likelihood of the candidate relative to the driver", bits=16,
        ),
        Variable(
            "production", (*_TRAJECTORY, "partition"), "float", "1",
            f"production of conditional entropy per unit log_snr ({nats})", essential=False, bits=12,
        ),
        Variable(
            "cross_production", (*_TRAJECTORY, "partition"), "float", "1",
            f"production of the cross-entropy of the driving side per unit log_snr ({nats})", essential=False, bits=12,
        ),
        Variable(
            "denoiser_distance", (*_TRAJECTORY, "candidate", "other_candidate"), "float", "1",
            "squared distance between the denoised data of two candidates", essential=False, bits=10,
        ),
        Variable("scale", _TRAJECTORY, "float64", "1", "guidance scale w of the trajectory", essential=False),
        Variable(
            "evaluations", _TRAJECTORY, "int32", "1", "number of candidates that were evaluated at this time",
            essential=False,
        ),
        Variable(
            "dropped_mass", _TRAJECTORY, "float32", "1",
            "posterior mass of the candidates dropped so far, each as it was when it was dropped", essential=False,
        ),
        Variable(
            "prediction", ("guidance", "class_label", "sample", "prediction_time", "..."), "float32", "1",
            "prediction of the data by the denoiser that moves the sample", essential=False, bits=10,
        ),
        Variable(
            "preview",
            ("guidance", "class_label", "sample", "prediction_time", "preview_channel", "preview_y", "preview_x"),
            "uint8", "1", "prediction of the data decoded into a picture, 0 black to 255 white", essential=False,
        ),
        Variable("final", ("guidance", "class_label", "sample", "..."), "float32", "1", "final sample"),
    ]  # fmt: skip


def _statistics() -> list[Variable]:
    sums = ("guidance", "partition", "time")

    def summed(name: str, text: str, essential: bool = True, missing: bool = False) -> list[Variable]:
        meaning = f"sum over trajectories, weighted by the share of the label, of the {text}"
        return [
            Variable(name, sums, "float64", "bit", meaning, essential, missing=missing),
            Variable(
                f"{name}_replicate", ("replicate", *sums), "float64", "bit",
                f"bootstrap replicate of the {meaning}", essential, missing=missing,
            ),
        ]  # fmt: skip

    return [
        Variable("trajectories", ("class_label",), "int64", "1", "number of trajectories of the class label"),
        *summed("posterior_entropy", "entropy of the posterior given the path"),
        *summed("surprisal", "surprisal of the driving side"),
        Variable(
            "surprisal_variance", sums, "float64", "bit2",
            "sum over trajectories, weighted by the square of the share of the label, of the variance of the surprisal "
            "under the posterior",
        ),
        *summed("production", "production of conditional entropy per unit log_snr", False),
        *summed("cross_production", "production of the cross-entropy of the driving side per unit log_snr", False),
        *summed("null_entropy", "entropy with the null condition in place of the other classes", False, True),
        Variable(
            "null_clipped", sums, "float64", "1", "number of clipped likelihood ratios of the null estimator", False,
            missing=True,
        ),
        Variable(
            "evaluations", ("guidance", "time"), "int64", "1",
            "number of candidates that were evaluated at this time, summed over trajectories", essential=False,
        ),
        Variable(
            "dropped_mass", ("guidance", "time"), "float64", "1",
            "posterior mass of the candidates dropped so far, summed over trajectories", essential=False,
        ),
    ]  # fmt: skip


def _profiles() -> list[Variable]:
    def replicate(name: str, long_name: str, axis: str = "") -> Variable:
        dims = ("replicate", *_CURVE)
        return Variable(
            name, dims, "float32", "bit", f"bootstrap replicate of the {long_name}", False, _SOMETIMES, axis
        )

    return [
        *bounded("entropy", _CURVE, "bit", "conditional entropy H[Z|X_t] of the side"),
        *bounded("entropy_rate", _CURVE, "bit", "entropy rate, positive where noise adds uncertainty", "rate_axis"),
        *bounded("mutual_information", _CURVE, "bit", "mutual information I[Z;X_t] of side and state"),
        replicate("entropy_replicate", "conditional entropy"),
        replicate("entropy_rate_replicate", "entropy rate", "rate_axis"),
        Variable(
            "clipped_ratios", _CURVE, "int64", "1", "number of clipped likelihood ratios of the null estimator",
            essential=False, optional=_SOMETIMES,
        ),
        Variable(
            "discretisation_bias", _CURVE, "float64", "bit",
            "estimated bias of the conditional entropy by finite steps: distance of path posterior and denoiser gap",
            essential=False, optional=_SOMETIMES,
        ),
        Variable(
            "impossible", _CURVE, "int64", "1",
            "1 where the estimate lies outside the range of an entropy by more than its interval",
            essential=False, optional=_SOMETIMES,
        ),
    ]  # fmt: skip


def _speciation() -> list[Variable]:
    def summary(name: str, long_name: str, units: str = "1") -> list[Variable]:
        return bounded(name, _SUMMARY, units, f"{long_name}, per axis", missing=True)

    return [
        *summary("half_entropy", "position at which the entropy is half its start value"),
        *summary("peak", "position of the peak of the entropy rate"),
        *summary("peak_rate", "peak of the entropy rate, per unit of the axis", "bit"),
        *summary("window_start", "position of the upper level of the transition window"),
        *summary("window_end", "position of the lower level of the transition window"),
    ]


def _scaling() -> list[Variable]:
    def fitted(name: str, text: str) -> list[Variable]:
        return [
            Variable(full, _FIT, "float64", "1", words + text, False, _SOMETIMES, missing=True)
            for full, words in ((name, ""), (f"{name}_standard_error", "standard error of the "))
        ]

    return [
        *fitted("slope", "slope of the speciation time against ln(dimension)/2"),
        *fitted("intercept", "intercept of the fit"),
        *fitted("exponent", "exponent of the speciation noise level against the dimension"),
        Variable("residual", (*_FIT, "dimension"), "float64", "1", "residual of the fit", True, ("run",), missing=True),
    ]


def _differences() -> list[Variable]:
    def rows(name: str, text: str, axis: str = "") -> list[Variable]:
        summary = tuple(dim for dim in _DIFFERENCE if dim != "partition")
        plain: list[tuple[str, tuple[str, ...], str]] = [
            (name, _DIFFERENCE, f"{text} less that under the reference setting")
        ]
        for prefix in ("lower_quartile", "median", "upper_quartile"):
            words = prefix.replace("_", " ")
            plain.append((f"{prefix}_{name}", summary, f"{words} over the partitions of the difference in {text}"))
        return [
            Variable(full, dims, "float64", "bit", long_name, axis=axis)
            for stem, dims, meaning in plain
            for full, long_name in (
                (stem, meaning), (f"{stem}_lower", f"lower bound of the {meaning}"),
                (f"{stem}_upper", f"upper bound of the {meaning}"),
            )
        ]  # fmt: skip

    return [
        *rows("entropy_difference", "conditional entropy"),
        *rows("entropy_rate_difference", "entropy rate", "rate_axis"),
    ]


def _quality() -> list[Variable]:
    def numbers(name: str, long_name: str, essential: bool = True) -> list[Variable]:
        bounds = {"": "", "_lower": "lower bound of the ", "_upper": "upper bound of the "}
        less = "_difference", f"difference to the reference setting of the {long_name}"
        return [
            Variable(name + extra + suffix, ("run", "guidance"), "float64", "1", bound + text, needed, ("run",))
            for extra, text, needed in (("", long_name, essential), (*less, False))
            for suffix, bound in bounds.items()
        ]

    return [
        *numbers("frechet_distance", "squared Frechet distance between the features of samples and of real data"),
        *numbers("frechet_limit", "squared Frechet distance extrapolated to many samples"),
        *numbers("precision", "share of samples on the manifold of the real data"),
        *numbers("recall", "share of real data on the manifold of the samples"),
        *numbers("accuracy", "share of samples that a classifier takes for the class of their driver", False),
    ]


KINDS: Mapping[str, Mapping[str, Variable]] = {
    kind: {variable.name: variable for variable in variables}
    for kind, variables in {
        "trajectories": _trajectories(),
        "statistics": _statistics(),
        "profiles": _profiles(),
        "speciation": _speciation(),
        "scaling": _scaling(),
        "differences": _differences(),
        "quality": _quality(),
        "interventions": interventions(),
    }.items()
}

MAKERS: Mapping[str, str] = {
    "trajectories": "made by specent.sample",
    "statistics": 'made by specent.run of a plan with record="statistics"',
    "profiles": "made by specent.entropy or specent.exact.profiles",
    "speciation": "made by specent.speciation",
    "scaling": "made by specent.fit_scaling",
    "quality": "made by specent.quality.measure",
    "differences": "made by specent.analysis.differences",
    "interventions": "made by specent.u_turn or specent.exact.u_turns",
}

ATTRIBUTES: Mapping[str, str] = {
    "Conventions": "conventions the file follows",
    "title": "what the file holds, in one line",
    "history": "what was done, one line per step, oldest first",
    "specent_schema": "version of this data contract",
    "specent_kind": "kind of dataset",
    "settings": "all settings as JSON text",
    "settings_sha256": "SHA-256 of the text of settings",
    "versions": "versions of the software, as JSON text",
}

KIND_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "trajectories": {
        "schedule": "noise schedule as JSON text",
        "model": "identity of the model as JSON text, with the SHA-256 of its checkpoint",
        "guidance_formula": "how the guidance scale enters",
        "seed": "seed of the random streams",
        "seed_rule": "how the streams follow from the seed",
    },
    "statistics": {
        "schedule": "noise schedule as JSON text",
        "model": "identity of the model as JSON text, with the SHA-256 of its checkpoint",
        "guidance_formula": "how the guidance scale enters",
        "seed": "seed of the random streams",
        "seed_rule": "how the streams follow from the seed",
        "resampling_seed": "seed of the bootstrap",
    },
    "profiles": {
        "schedule": "noise schedule as JSON text",
        "rate_axis": "axis along which the entropy rate is taken",
    },
    "speciation": {"missing": "number of values that do not exist because a curve never gets there"},
    "scaling": {"law": "law that was fitted"},
    "quality": {
        "features": "feature space as JSON text, with the SHA-256 of its network",
        "real": "number, shape and SHA-256 of the real data, as JSON text",
    },
    "differences": {
        "schedule": "noise schedule as JSON text",
        "rate_axis": "axis along which the entropy rate is taken",
        "reference": "guidance setting that was subtracted",
    },
    "interventions": {
        "schedule": "noise schedule as JSON text",
        "partition": "definition of the partition as JSON text",
        "start": "what turns: data with noise, or the trunk of a run",
        "continuation": "how it goes on: the stochastic chain, or the basin of the deterministic one",
        "classifier": "what says on which side a continuation ended",
    },
}
