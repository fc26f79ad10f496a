"""Plan files: what is to be sampled as TOML or JSON, which can be kept, sent and carried out on another machine.

A plan file is data. It names files that are read, and nothing in it is executed. Every value is plain text, a number or
a table of these; what reads a key is one line of `_READERS`, what writes it one line of `contents`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from specent.arguments import brief, instance
from specent.errors import SpecentError
from specent.files import as_path
from specent.models.base import Model
from specent.models.protocol import Denoiser, as_model
from specent.runs.named_models import check_table, load_model, table_of
from specent.runs.plan_values import (
    check_keys,
    guidance_of,
    named_schedule,
    partitions_of,
    record_of,
    scoring_of,
    table_at,
    time_of,
)
from specent.sampling.setup import Setup
from specent.untrusted import json_of_file, parse_json, toml_of_file

FORMAT = "specent_plan"
"""The key that says that a file is a plan, and of which version."""

VERSION = "1"

SUFFIXES = (".toml", ".json")

# the parser of TOML takes a second for it
_MOST_TOML = 1 << 20
_MOST_JSON = 1 << 24
_MOST_SIDES = 1 << 22
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_READERS: dict[str, Callable[[Any], Any]] = {
    "samples": lambda value: value,
    "seed": lambda value: value,
    "partitions": partitions_of,
    "guidance": guidance_of,
    "classes": lambda value: value,
    "candidates": lambda value: value,
    "record": record_of,
    "scoring": scoring_of,
    "shared_noise": lambda value: value,
    "precision": lambda value: value,
}
_NEEDED = (FORMAT, "model", "schedule", "time", "samples")


def read_arguments(path: Any, model: Model | Denoiser | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The arguments of `specent.Plan` that a file names, and what it says of the identity of the model.

    Parameters
    ----------
    path : str or path-like
        The file.
    model : Model or Denoiser, optional
        Taken instead of the one that the file names.

    Returns
    -------
    arguments : dict
    identity : dict or None

    Raises
    ------
    SpecentError
        Naming the file, the key, its value and what to do about it.
    """
    file = plan_path(path)
    fields = _fields(file)
    try:
        known = dict.fromkeys([*_NEEDED, *_READERS], False) | dict.fromkeys(_NEEDED, True)
        check_keys(fields, "a plan", known)
        table = dict(table_at(fields["model"], "model"))
        identity = _identity(table.pop("identity", None))
        schedule = named_schedule(fields["schedule"])
        found = {key: read(fields[key]) for key, read in _READERS.items() if key in fields}
        found |= {"schedule": schedule, "time": time_of(fields["time"], schedule)}
        found["model"] = load_model(table, file.parent) if model is None else as_model(model)
        _check_texts(found.get("partitions", []), len(found["model"].labels))
    except SpecentError as error:
        raise about(file, error) from error
    return found, identity


def plan_path(path: Any) -> Path:
    """The path of a plan file, by its suffix.

    Examples
    --------
    >>> plan_path("plan.yaml")
    Traceback (most recent call last):
    specent.errors.SpecentError: path='plan.yaml' is no plan; it must end in '.toml' or '.json'
    """
    file = as_path(path)
    if file.suffix not in SUFFIXES:
        raise SpecentError(f"path={str(file)!r} is no plan; it must end in {' or '.join(map(repr, SUFFIXES))}")
    return file


def about(file: Path, error: SpecentError) -> SpecentError:
    """An error with the file that it is about."""
    return SpecentError(f"plan {str(file)!r}: {error}")


def _fields(file: Path) -> dict[str, Any]:
    """What the file holds, of this version, in plain values."""
    try:
        fields = toml_of_file(file, _MOST_TOML) if file.suffix == ".toml" else json_of_file(file)
    except OSError as error:
        hint = "; larger plans are read as .json" if file.suffix == ".toml" and file.is_file() else ""
        raise SpecentError(f"plan {str(file)!r} cannot be read ({error.strerror}){hint}") from error
    except SpecentError as error:
        raise about(file, error) from error
    if not isinstance(fields, dict) or FORMAT not in fields:
        raise SpecentError(f"plan {str(file)!r} is no plan; it lacks {FORMAT} = {VERSION!r}")
    if fields[FORMAT] != VERSION:
        raise SpecentError(
            f"plan {str(file)!r}: {FORMAT}={brief(fields[FORMAT])} is another version; this package reads {VERSION!r}"
        )
    try:
        json.dumps(fields)
    except (TypeError, ValueError) as error:
        raise SpecentError(f"plan {str(file)!r}: dates and numbers of thousands of digits are not read") from error
    return fields


def _check_texts(partitions: list[Any], labels: int) -> None:
    """Refuse texts that stand for more sides than a run can have."""
    count = sum(isinstance(item, str) for item in partitions)
    if count * labels > _MOST_SIDES:
        raise SpecentError(
            f"partitions: {count} texts of {labels} labels each stand for up to {count * labels} sides; a plan may "
            f"have {_MOST_SIDES}"
        )


def _identity(value: Any) -> dict[str, Any] | None:
    """The identity of the model, a table or its JSON text: TOML has no null."""
    if value is None:
        return None
    return instance(parse_json(value) if isinstance(value, str) else value, dict, "model: identity", "give a table")


def contents(
    setup: Setup, precision: str, model: Mapping[str, Any] | None, identity: Mapping[str, Any], **optional: Any
) -> dict[str, Any]:
    """A plan as plain values.

    Parameters
    ----------
    setup : Setup
        The plan, worked out.
    precision : str
        Arithmetic of the network.
    model : dict, optional
        How the model is named; what follows from it if not given.
    identity : dict
        Which model it is.
    **optional
        Keys that are left out where they are None.
    """
    named = table_of(setup.model) if model is None else _plain_table(model)
    if named.get("kind") != "mixture":
        named["identity"] = dict(identity)
    return {
        FORMAT: VERSION,
        "samples": setup.samples,
        "seed": setup.seed,
        "precision": precision,
        "shared_noise": setup.shared_noise,
        **{key: value for key, value in optional.items() if value is not None},
        "partitions": [json.loads(partition.to_json()) for partition in setup.partitions],
        "guidance": [json.loads(setting.to_json()) for setting in setup.guidance],
        "time": setup.time.tolist(),
        "schedule": json.loads(setup.schedule.to_json()),
        "model": named,
    }


def _plain_table(model: Any) -> dict[str, Any]:
    """How the user names the model, as values that a plan file can hold and `read` accepts; the identity is ours."""
    hint = "give a table, such as {'kind': 'edm2', 'source': 'network.pkl'}"
    table = instance(dict(model) if isinstance(model, Mapping) else model, dict, "model", hint)
    try:
        # letters that no file can hold show when they are encoded
        json.dumps(table, ensure_ascii=False, allow_nan=False).encode()
        plain: dict[str, Any] = json.loads(json.dumps(table))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecentError(
            f"model={brief(model)} cannot be written ({error}); use text (of paths too), numbers, and lists and tables "
            "of these"
        ) from error
    plain.pop("identity", None)
    check_table(plain)
    return plain


def text_of(values: Mapping[str, Any], suffix: str) -> str:
    """The text of a plan file, refused if it is too long to be read again."""
    if suffix == ".toml":
        model = dict(values["model"])
        # what a network says of itself may hold null, for which TOML has no word
        model |= {"identity": json.dumps(model["identity"])} if "identity" in model else {}
        text, most, hint = to_toml({**values, "model": model}), _MOST_TOML, "write it as .json"
    else:
        text, most, hint = json.dumps(values, indent=1) + "\n", _MOST_JSON, "keep it as Python"
    size = len(text.encode())
    if size > most:
        raise SpecentError(f"the plan takes {size} bytes as {suffix}, of which {most} are read; {hint}")
    return text


def to_toml(values: Mapping[str, Any]) -> str:
    """Plain values as TOML: tables at the end, what is None left out, a list of tables with a line for each.

    Examples
    --------
    >>> print(to_toml({"samples": 2, "guidance": [{"scale": 1.0}], "schedule": {"name": "ve"}}), end="")
    samples = 2
    guidance = [
      {scale = 1.0},
    ]
    <BLANKLINE>
    [schedule]
    name = "ve"
    """
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = [_pair(key, value) for key, value in plain.items() if value is not None]
    for key, table in values.items():
        if isinstance(table, Mapping):
            lines += ["", f"[{_key(key)}]", *(_pair(name, one) for name, one in table.items() if one is not None)]
    return "\n".join(lines) + "\n"


def _pair(key: str, value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return f"{_key(key)} = [\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    return f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON writes letters beyond 16 bits as two halves, TOML as one
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = (f"{_key(key)} = {_value(one)}" for key, one in value.items() if one is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value is None:
        raise SpecentError("TOML has no word for None in a list; leave it out, or write the plan as .json")
    return repr(value)
