"""Archives changed at random and sealed again, opened one after the other; run as a script.

It reads the number of a mutant from every line of its input and answers with a line: what became of it. A process of
its own, because HDF5 may end it, hang, or take any memory.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from specent import analysis, archive, plotting
from specent.archive import sealing
from specent.errors import SpecentError

Rng = np.random.Generator

TEXTS: list[Any] = [
    "", "{}", "[]", "null", "NaN", "1e999", '"', "\x1b[2J\x07\r\x9b\u202e\u200b", "[" * 5000,
    '{"a":' * 300 + "1" + "}" * 300,
    "1" * 5000, '{"name": "VP"}', '{"kind": [], "scale": {}}', "x" * 200_000,
    "[" + "0," * 50_000 + "0]", "<script>alert(1)</script>",
    "../../etc/passwd", "2", "profiles", "{" + ",".join(f'"{i}":0' for i in range(2000)) + "}",
    3, -1.5, np.arange(3), 2**62,
]  # fmt: skip
LEAVES: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, 10**400, 1e-320, float("nan"), float("inf"), "", "\x1b[2J\u202e", "null", [], {},
    [[]], ["a", "a"], {"a": {}}, [1] * 3000, "x" * 3000, [0.5, 0.5], [["a", ["b"]], ["c", ["d"]]],
]  # fmt: skip
RESERVED = ["_FillValue", "coordinates", "scale_factor", "_Unsigned", "dtype", "calendar"]
NUMBERS = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -1.0, 1e17]
LETTERS = [b"\xff", b"\x1b", b"\x00", b"\xc2", b'"', b"[", b"\xe2\x80\xae", b"|", b"\\"]


def mutate(source: Path, target: Path, rng: Rng, bytes_only: bool) -> str:
    """Write a changed and sealed copy, and return what was done."""
    if bytes_only:
        content = bytearray(source.read_bytes()[: -sealing.LENGTH])
        done = damage(content, rng)
        target.write_bytes(content)
    else:
        with netCDF4.Dataset(source) as old, netCDF4.Dataset(target, "w") as new:
            done = rewrite(old, new, rng)
    sealing.seal(target)
    return done


def damage(content: bytearray, rng: Rng) -> str:
    """Change bytes in place."""
    kind = rng.choice(["flip", "zero", "double", "cut", "numbers"])
    at, length = int(rng.integers(8, len(content))), int(rng.integers(1, 2000))
    if kind == "flip":
        for position in rng.integers(8, len(content), int(rng.integers(1, 30))):
            content[position] ^= 1 << int(rng.integers(8))
    elif kind == "zero":
        content[at : at + length] = bytes(len(content[at : at + length]))
    elif kind == "double":
        content[at:at] = content[at : at + length]
    elif kind == "cut":
        del content[at:]
    else:
        content[at : at + 8] = [2**63 - 1, 2**64 - 1, 2**31, 10**8][int(rng.integers(4))].to_bytes(8, "little")
    return str(kind)


def rewrite(old: netCDF4.Dataset, new: netCDF4.Dataset, rng: Rng) -> str:
    """Copy a file with a few changes of what it says."""
    done = []
    sizes = {name: len(dimension) for name, dimension in old.dimensions.items()}
    attributes = {name: old.getncattr(name) for name in old.ncattrs()}
    kinds = {name: variable.dtype for name, variable in old.variables.items()}
    values = {}
    for name, variable in old.variables.items():
        variable.set_auto_chartostring(False)
        values[name] = np.array(variable[:])
    own = {name: {key: one.getncattr(key) for key in one.ncattrs()} for name, one in old.variables.items()}
    dims = {name: tuple(one.dimensions) for name, one in old.variables.items()}
    for _ in range(int(rng.integers(1, 4))):
        action = rng.choice(["attribute", "json", "size", "type", "values", "text", "own", "drop", "order", "extra"])
        name = str(rng.choice(list(values)))
        done.append(f"{action} of {name}")
        if action == "attribute":
            key = str(rng.choice(list(attributes)))
            attributes[key] = TEXTS[int(rng.integers(len(TEXTS)))]
        elif action == "json":
            change_json(attributes, values, rng)
        elif action == "size":
            dim = str(rng.choice(list(sizes)))
            sizes[dim] = int(rng.choice([1, sizes[dim] + 1, 2 * sizes[dim], 10**4, 10**8, 10**12]))
        elif action == "type":
            kinds[name] = np.dtype(str(rng.choice(["i1", "u8", "f4", "f8", "S1"])))
        elif action == "values" and values[name].dtype.kind in "fi":
            flat = values[name].reshape(-1)
            with np.errstate(invalid="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                flat[rng.integers(flat.size)] = np.array(rng.choice(NUMBERS)).astype(flat.dtype)
        elif action == "text" and values[name].dtype.kind == "S":
            flat = values[name].reshape(-1)
            for byte in LETTERS[int(rng.integers(len(LETTERS)))]:
                flat[rng.integers(flat.size)] = bytes([byte])
        elif action == "own":
            key = str(
                rng.choice([*own[name], "_FillValue", "coordinates", "scale_factor", "_Unsigned", "dtype", "calendar"])
            )
            own[name][key] = TEXTS[int(rng.integers(len(TEXTS)))]
        elif action == "drop" and len(values) > 1:
            values.pop(name)
        elif action == "order":
            dims[name] = tuple(rng.permutation(dims[name]))
        elif action == "extra" and not new.groups:
            new.createGroup("more").createDimension("x", 3)
    if rng.random() < 0.7 and isinstance(attributes.get("settings"), str):
        attributes["settings_sha256"] = hashlib.sha256(attributes["settings"].encode()).hexdigest()
    store(new, sizes, attributes, {name: (kinds[name], dims[name], own[name], values[name]) for name in values})
    return ", ".join(done)


def store(new: netCDF4.Dataset, sizes: dict[str, int], attributes: dict[str, Any], variables: dict[str, Any]) -> None:
    """Write what netCDF lets itself be told; what it refuses is left out."""
    for dim, size in sizes.items():
        new.createDimension(dim, size)
    for name, (kind, dims, own, values) in variables.items():
        chunks = [min(sizes[dim], 1000) for dim in dims] or None
        one = new.createVariable(name, kind, dims, compression="zlib", fletcher32=True, chunksizes=chunks)
        one.set_auto_chartostring(False)
        for key, value in own.items():
            try:
                one.setncattr(key, value)
            except (AttributeError, TypeError, ValueError):
                continue
        try:
            if values.shape == one.shape:
                one[...] = values if (values.dtype.kind == "S") == (one.dtype.kind == "S") else 0
            elif np.prod(one.shape, dtype=float) < 1e6:
                one[tuple(slice(0, min(pair)) for pair in zip(values.shape, one.shape, strict=True))] = values[
                    tuple(slice(0, min(pair)) for pair in zip(values.shape, one.shape, strict=True))
                ]
        except (IndexError, TypeError, ValueError):
            continue
    for key, value in attributes.items():
        new.setncattr(key, value)


def change_json(attributes: dict[str, Any], values: dict[str, Any], rng: Rng) -> None:
    """Put another value somewhere into a text of JSON, among the attributes or the definitions of partitions."""
    texts = [key for key, value in attributes.items() if isinstance(value, str) and value[:1] in ("{", "[")]
    if "definition" in values and rng.random() < 0.4:
        rows = [row.tobytes().decode("utf-8", "replace") for row in values["definition"]]
        rows = [changed(text, rng) for text in rows]
        width = values["definition"].shape[1]
        values["definition"] = (
            np.array([row.encode()[:width] for row in rows], f"S{width}").view("S1").reshape(-1, width)
        )
    elif texts:
        key = str(rng.choice(texts))
        attributes[key] = changed(attributes[key], rng)


def changed(text: str, rng: Rng) -> str:
    try:
        whole = json.loads(text.rstrip("\0"))
    except ValueError:
        return text
    at = whole
    while isinstance(at, (dict, list)) and at:
        key = list(at)[int(rng.integers(len(at)))] if isinstance(at, dict) else int(rng.integers(len(at)))
        if not isinstance(at[key], (dict, list)) or not at[key] or rng.random() < 0.3:
            at[key] = LEAVES[int(rng.integers(len(LEAVES)))]
            break
        at = at[key]
    return json.dumps(whole)


def use(path: Path, draw: bool) -> str:
    """Everything that the package does with a file it is given."""
    outcomes = []
    for step in (archive.validate, archive.describe, opened, *([drawn] if draw else [])):
        try:
            text = step(path)
            outcome = "fine"
        except SpecentError as error:
            outcome, text = "refused", str(error)
        except (OSError, RuntimeError) as error:
            # values of a variable that are damaged and not covered by what `open` looks at: see its documentation
            if step is not drawn or "NetCDF" not in str(error):
                raise
            outcome, text = "unreadable", ""
            assert "\n" not in text, "several lines"
        assert text.replace("\n", "").isprintable() or not any(mark in text for mark in "\x1b\x07\r\x9b\u202e"), "raw"
        outcomes.append(outcome)
    return " ".join(outcomes)


def opened(path: Path) -> str:
    with archive.open(path, chunks="auto") as dataset:
        return str(dataset.attrs["specent_kind"])


def drawn(path: Path) -> str:
    """What ``specent plot`` computes and draws, short of the page, which takes seconds."""
    with archive.open(path) as dataset:
        kind = dataset.attrs["specent_kind"]
        if kind == "speciation":
            plotting.windows(dataset)
        else:
            plotting.entropy(dataset if kind == "profiles" else analysis.entropy(dataset, replicates=50))
    return ""


def main(folder: Path) -> None:
    """Warm up, bound the memory, and answer."""
    datasets: list[xr.Dataset] = pickle.loads((folder / "datasets.pickle").read_bytes())
    sources = [archive.write(dataset, folder / f"source{i}.nc", overwrite=True) for i, dataset in enumerate(datasets)]
    warnings.simplefilter("ignore")
    for source in sources:
        assert set(use(source, True).split()) == {"fine"}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
    for line in sys.stdin:
        number = int(line)
        rng = np.random.default_rng(number)
        begin = time.process_time()
        # a new name each time: HDF5 may keep a file that it could not read
        target = folder / f"mutant{number}.nc"
        done = mutate(sources[number // 2 % len(sources)], target, rng, number % 2 == 0)
        try:
            # drawing takes longer than all the rest
            outcome = use(target, number % 10 < 2)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"ESCAPED {type(error).__name__} {error!s:.200} in {where.name} ({where.filename}:{where.lineno})"
        target.unlink()
        sys.stdout.write(f"{number}\t{done}\t{time.process_time() - begin:.2f}\t{' '.join(outcome.split())[:300]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    main(Path(sys.argv[1]))
