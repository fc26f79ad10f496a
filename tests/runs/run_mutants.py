"""Run folders and plan files changed at random, used one after the other; run as a script.

It reads the number of a mutant from every line of its input and answers with a line: what became of it. Shards are
sealed again, and told to belong to the changed plan, so that what is behind the seal is reached.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "archive"))

from mutants import LEAVES, TEXTS, damage, rewrite

import specent as sp
from specent import analysis, plotting
from specent.archive import sealing
from specent.archive.run_folder import RunFolder
from specent.errors import SpecentError

Rng = np.random.Generator

MIX = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["../left", "<b>right</b>"])
ACTS = "\x1b\x07\r\x9b\u202e"
PATHS = ["/etc/passwd", "../../x", "/dev/zero", "pipe", "~nobody/x", "a\0b", ".", "x" * 5000, "full", "left", "vp"]
# more is refused, or would take longer than a test
MOST_EVALUATIONS = 100_000


def plan(samples: int = 2) -> sp.Plan:
    """The plan of the folder that is changed."""
    schedule, time_grid = sp.schedules.VE(), sp.schedules.edm_grid(5, 0.02, 100.0)
    record = sp.Record([1.0])
    return sp.Plan(sp.models.mixture(MIX), schedule, time_grid, samples, "full", [1.0, 2.0], record=record)


PLAN_TEXTS = [
    """specent_plan = "1"
samples = 4
seed = 3
classes = ["left", "../middle"]
partitions = ["full", "left|rest", {name = "side", sides = {one = ["left"], two = ["../middle", "<b>right</b>"]}}]
guidance = [1, {scale = 2.0, interval = [0.5, 5.0]}, {kind = "feedback", pi = 0.9, t_0 = 0.5}]
record = {predictions = [10.0], distances = false}
schedule = {name = "ddpm", betas = "cosine", steps = 40}
time = {grid = "log_snr", steps = 5, log_snr_min = -3.0, log_snr_max = 3.0}
[model]
kind = "mixture"
means = [[-4.0], [0.0], [4.0]]
labels = ["left", "../middle", "<b>right</b>"]
""",
    """specent_plan = "1"
samples = 2
partitions = ["3|8"]
schedule = "ve"
time = [0.1, 1.0, 10.0]
[model]
kind = "digits"
""",
    """specent_plan = "1"
samples = 2
schedule = "ve"
time = {steps = 4}
[model]
kind = "edm2"
source = "net.pkl"
null = "null.pkl"
labels = ["a", "b", "c"]
""",
    """specent_plan = "1"
samples = 2
schedule = {name = "ddpm"}
time = {steps = 4}
[model]
kind = "pipeline"
source = "nobody/nothing"
prompts = {a = "a chair", b = "a cat"}
null = "ugly"
""",
]


def changed_values(value: Any, rng: Rng) -> Any:
    """Plain values of which one or a few were exchanged, removed, renamed or doubled."""
    whole = json.loads(json.dumps(value))
    for _ in range(int(rng.integers(1, 4))):
        at = whole
        while isinstance(at, (dict, list)) and at:
            key = list(at)[int(rng.integers(len(at)))] if isinstance(at, dict) else int(rng.integers(len(at)))
            if isinstance(at[key], (dict, list)) and at[key] and rng.random() < 0.7:
                at = at[key]
                continue
            action = rng.random()
            if action < 0.6:
                at[key] = leaf(rng, at[key])
            elif action < 0.75:
                del at[key]
            elif action < 0.9 and isinstance(at, dict):
                at[str(leaf(rng))[:300]] = at[key]
            elif isinstance(at, list):
                at.append(at[key])
            break
    return whole


def leaf(rng: Rng, before: Any = None) -> Any:
    """A value in the place of another, at times one like it."""
    if isinstance(before, (int, float)) and abs(before) < 1e100 and rng.random() < 0.5:
        return type(before)(before * rng.choice([0.5, 1, 2, 3, 100]) + rng.choice([0, 1]))
    value = LEAVES[int(rng.integers(len(LEAVES)))]
    return PATHS[int(rng.integers(len(PATHS)))] if rng.random() < 0.3 else value


def mutate_folder(folder: Path, rng: Rng) -> str:
    """Change a run folder in place, and return what was done."""
    kind = str(rng.choice(["record", "record", "tied", "tied", "shard", "bytes", "text", "node"]))
    record, shards = folder / "run.json", sorted(folder.glob("shard-*.nc"))
    shard = shards[int(rng.integers(len(shards)))]
    if kind in ("record", "tied"):
        record.write_text(json.dumps(changed_values(json.loads(record.read_text()), rng)))
        if kind == "tied":
            tie(folder, shards)
    elif kind == "shard":
        other = folder / "other"
        with netCDF4.Dataset(shard) as old, netCDF4.Dataset(other, "w") as new:
            kind += ": " + rewrite(old, new, rng)
        os.replace(other, shard)
        sealing.seal(shard)
    elif kind == "bytes":
        content = bytearray(shard.read_bytes()[: -sealing.LENGTH])
        kind += ": " + damage(content, rng)
        shard.write_bytes(content)
        sealing.seal(shard)
    elif kind == "text":
        content = bytearray(record.read_bytes())
        kind += ": " + damage(content, rng)
        record.write_bytes(content)
    else:
        kind += ": " + replace_node(folder, shard, rng)
    return kind


def tie(folder: Path, shards: list[Path]) -> None:
    """Make the shards say that they are of the plan in ``run.json``, if there is one."""
    try:
        digest = RunFolder.read(folder).plan_sha256
    except SpecentError:
        return
    for shard in shards:
        shard.write_bytes(shard.read_bytes()[: -sealing.LENGTH])
        with netCDF4.Dataset(shard, "a") as file:
            settings = {**json.loads(file.settings), "plan_sha256": digest}
            file.settings = json.dumps(settings)
            file.settings_sha256 = sp.files.sha256(file.settings.encode())
        sealing.seal(shard)


def replace_node(folder: Path, shard: Path, rng: Rng) -> str:
    """Put a link, a pipe, a folder or a device in the place of a file."""
    name = str(rng.choice([shard.name, "run.json", ".lock", "damaged", f".{shard.name}.tmp", "strange\x1b[2J"]))
    target = folder / name
    target.unlink(missing_ok=True)
    kind = str(rng.choice(["pipe", "folder", "file", "dangling", "outside", "device", "loop"]))
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("text")
    else:
        outside = folder.parent / "outside"
        ends = {"dangling": outside / "new.nc", "outside": outside / "mine.nc", "device": "/dev/zero", "loop": target}
        if name == "damaged" and kind == "outside":
            ends["outside"] = outside
        target.symlink_to(ends[kind])
    if rng.random() < 0.5 and name != shard.name:
        # so that there is something to be written
        shard.write_bytes(b"\x89HDF\r\n\x1a\n damaged")
    return f"{name} is a {kind}"


def use_folder(folder: Path, draw: bool) -> str:
    """Everything that the package does with a run folder it is given."""
    output = folder.parent / "merged.nc"
    steps: list[Callable[[], object]] = [
        lambda: sp.archive.status(folder),
        lambda: sp.archive.status(folder, verify=True),
        lambda: sp.validate(folder),
        lambda: sp.archive.describe(folder),
        lambda: sp.open(folder)["log_likelihood"].isel(sample=0).values.sum(),
        lambda: sp.archive.merge(folder, output, overwrite=True),
        *([lambda: drawn(folder)] if draw else []),
        lambda: carried_out(folder),
    ]
    return " ".join(outcome(step) for step in steps)


def outcome(step: Callable[[], object]) -> str:
    try:
        text = str(step())
        result = "fine"
    except SpecentError as error:
        result, text = "refused", str(error)
        assert "\n" not in text, "several lines"
    assert not any(letter in text for letter in ACTS), f"raw: {text!r:.200}"
    return result


def drawn(folder: Path) -> str:
    """What ``specent plot`` computes and draws, short of the page, which takes seconds."""
    plotting.entropy(analysis.entropy(sp.open(folder), replicates=50))
    return ""


def carried_out(folder: Path) -> str:
    sp.run(plan(), folder, progress=False)
    return ""


def use_plan(file: Path) -> str:
    """Everything that the package does with a plan file it is given."""
    read: list[sp.Plan] = []
    first = outcome(lambda: read.append(sp.Plan.read(file)))
    if not read:
        return first
    again = file.with_name("again.json")
    second = outcome(lambda: read[0].write(again, overwrite=True))
    if second == "fine" and json.loads(again.read_text())["model"]["kind"] != "python":
        assert sp.Plan.read(again).definition == read[0].definition, "another plan"
    if read[0].setup("cpu").evaluations > MOST_EVALUATIONS:
        return f"{first} {second} large"
    # a grid that ends early or a curve that goes up is warned of, and not what this is about
    return f"{first} {second} {outcome(lambda: sp.run(read[0], file.parent / 'run', progress=False))}"


def to_text(values: Any, rng: Rng) -> tuple[str, str]:
    """A plan as text, and the suffix of its file."""
    from specent.runs.plan_file import to_toml

    if rng.random() < 0.5:
        return json.dumps(values), ".json"
    try:
        return to_toml(values), ".toml"
    except (AttributeError, TypeError, ValueError):
        return json.dumps(values), ".toml"


def mutant_of_plan(folder: Path, rng: Rng) -> tuple[str, str]:
    """Write a changed plan into a folder and use it."""
    import tomllib

    text = PLAN_TEXTS[int(rng.choice([0, 0, 0, 1, 2, 3]))]
    kind = str(rng.choice(["values", "values", "values", "bytes", "text"]))
    if kind == "values":
        text, suffix = to_text(changed_values(tomllib.loads(text), rng), rng)
        content = bytearray(text.encode("utf-8", "surrogatepass"))
    else:
        content, suffix = bytearray(text.encode()), ".toml"
        if kind == "bytes":
            kind += ": " + damage(content, rng)
        else:
            at = int(rng.integers(len(content)))
            content[at:at] = str(TEXTS[int(rng.integers(len(TEXTS)))]).encode("utf-8", "surrogatepass")
    os.mkfifo(folder / "pipe")
    file = folder / f"plan{suffix}"
    file.write_bytes(content)
    return f"plan {kind}", use_plan(file)


def mutant(number: int, source: Path, place: Path) -> tuple[str, str]:
    """Make one mutant in a folder of its own, use it, and look whether anything was written beside it."""
    rng = np.random.default_rng(number)
    outside = place / "outside"
    outside.mkdir(parents=True)
    (outside / "mine.nc").write_text("mine")
    if number % 3 == 2:
        inside = place / "plan"
        inside.mkdir()
        done, result = mutant_of_plan(inside, rng)
    else:
        inside = place / "run"
        shutil.copytree(source, inside)
        done = mutate_folder(inside, rng)
        result = use_folder(inside, number % 10 < 2)
    assert set(os.listdir(place)) - {"merged.nc"} == {inside.name, "outside"}, "written beside it"
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("mine.nc", "mine")], "written outside"
    return done, result


def answers(folder: Path) -> Iterator[str]:
    """Warm up, bound the memory, and answer."""
    warnings.simplefilter("ignore")
    source = sp.run(plan(), folder / "source", shard=2, progress=False)
    assert set(use_folder(source, True).split()) == {"fine"}
    (folder / "merged.nc").unlink()
    for number, text in enumerate(PLAN_TEXTS[:2]):  # those of the others name files that are not there
        file = folder / f"plan{number}.toml"
        file.write_text(text)
        assert sp.Plan.read(file).samples
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
    for line in sys.stdin:
        begin, place = time.process_time(), folder / f"mutant{int(line)}"
        done = ""
        try:
            done, result = mutant(int(line), source, place)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            ours = [one for one in traceback.extract_tb(error.__traceback__) if "/specent/" in one.filename]
            result = f"ESCAPED {type(error).__name__} {error!s:.200} in {where.name} ({where.filename}:{where.lineno})"
            result += f" from {ours[-1].name}:{ours[-1].lineno}" if ours else ""
        shutil.rmtree(place, ignore_errors=True)
        yield f"{int(line)}\t{done}\t{time.process_time() - begin:.2f}\t{' '.join(result.split())[:400]}\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for answer in answers(Path(sys.argv[1])):
        sys.stdout.write(answer)
        sys.stdout.flush()
