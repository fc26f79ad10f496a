"""Run folders: the shards of one run, with ``run.json`` that says what they are, as one lazy dataset.

A shard is an archive like any other, sealed and validated, and is there whole or not at all; so a folder may be read
while it is being written. Each shard names the plan that it belongs to by its digest. Opening a folder reads one shard
and looks at the ends of the others; a shard's seal is checked when its data are first used.
"""

from __future__ import annotations

import itertools
import json
import os
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from specent import schema
from specent.archive import members, reading, sealing
from specent.archive.handles import opened
from specent.archive.pieces import Region
from specent.archive.shards import Shard, ShardGrid
from specent.archive.sums import summed
from specent.arguments import brief
from specent.errors import ArchiveError, SpecentError, SpecentWarning
from specent.files import as_path, sha256
from specent.untrusted import json_of_file, parse_json

RECORD = "run.json"
"""Name of the file that says what a run folder holds."""

VERSION = "1"
"""Version of its format."""

TRAJECTORIES, STATISTICS = "trajectories", "statistics"
"""Kinds of the datasets of a run."""

SET_ASIDE = "damaged"
"""Folder, within that of a run, of shards that were found damaged."""

# attributes that shards have as the whole run has them
_DECISIVE = ("seed", "resampling_seed", "schedule")

# at files that a run adds up and removes in the meantime
_ATTEMPTS = 10


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A run folder, as its ``run.json`` describes it.

    Attributes
    ----------
    path : Path
        The folder.
    plan : dict
        What is sampled, see `specent.Plan.definition`.
    grid : ShardGrid
        Its shards.
    attributes : dict
        Attributes of the dataset of all shards.
    """

    path: Path
    plan: dict[str, Any]
    grid: ShardGrid
    attributes: dict[str, str | int | float]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Read the ``run.json`` of a folder.

        Raises
        ------
        ArchiveError
            If there is none, or it is damaged or of another version.
        """
        folder = as_path(path, error=ArchiveError)
        file = folder / RECORD
        if not file.is_file():
            if not folder.exists():
                raise ArchiveError(f"path={str(folder)!r} does not exist; check the name and the folder")
            hint = "pass the folder that specent.run or --out was given"
            raise ArchiveError(f"path={str(folder)!r} is not a run folder: it holds no {RECORD}; {hint}")
        try:
            record = json_of_file(file)
        except (OSError, SpecentError) as error:
            raise ArchiveError(f"{str(file)!r} cannot be read ({error}); it is damaged") from error
        try:
            version, plan = record["specent_run"], record["plan"]
            classes = plan["classes"]
            if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
                raise TypeError("its classes are no names")
            grid = ShardGrid(len(classes), tuple(record["sizes"]), tuple(record["block"]))
            attributes = schema.plain_attributes(record["attributes"])
            if not isinstance(plan, dict) or not all(isinstance(v, (str, int, float)) for v in attributes.values()):
                raise TypeError("its attributes are no texts and numbers")
            if attributes["specent_kind"] not in (TRAJECTORIES, STATISTICS):
                raise TypeError(f"its kind is {attributes['specent_kind']!r}")
        except (KeyError, TypeError, AttributeError, SpecentError) as error:
            raise ArchiveError(f"{str(file)!r} does not describe a run ({error}); it is damaged") from error
        if version != VERSION:
            raise ArchiveError(f"{str(file)!r} is of version {brief(version)}; this package reads version {VERSION!r}")
        # shards are read later, whatever the working folder is then; and netCDF drops blanks that a path begins with
        return cls(folder.absolute(), plan, grid, attributes)

    @property
    def classes(self) -> list[str]:
        """The driving classes."""
        classes: list[str] = self.plan["classes"]
        return classes

    def text(self) -> str:
        """The text of its ``run.json``."""
        record = {
            "specent_run": VERSION, "plan": self.plan, "sizes": list(self.grid.sizes), "block": list(self.grid.block),
            "attributes": self.attributes,
        }  # fmt: skip
        return json.dumps(record, indent=1) + "\n"

    @cached_property
    def plan_sha256(self) -> str:
        """Digest of the plan, by which shards say that they belong to it."""
        return sha256(json.dumps(self.plan, sort_keys=True).encode())

    def file(self, shard: Shard) -> Path:
        """Path of a shard."""
        return self.path / shard.name

    @property
    def kind(self) -> str:
        """Kind of its datasets."""
        return str(self.attributes["specent_kind"])

    def files(self) -> list[Shard]:
        """What the files that are there hold, in order; whether they are whole is not looked at.

        A file of trajectories holds a shard. One of statistics may hold several that were added up. Of files that hold
        the same trajectories the largest counts: whoever added up was killed, or two copies of a folder were joined.
        """
        return sorted(self._disjoint()[0], key=lambda shard: (shard.sample_start, shard.class_start))

    def _disjoint(self) -> tuple[list[Shard], set[Shard]]:
        """Files of which no two hold the same trajectories, from the largest, and the shards that they stand for."""
        chosen, covered = [], set[Shard]()
        for file in sorted(self._present(), key=lambda shard: (-shard.trajectories, shard.name)):
            shards = self.grid.within(file)
            if covered.isdisjoint(shards):
                chosen.append(file)
                # a sum that is damaged stands for nothing
                if len(shards) == 1 or self.is_whole(file):
                    covered.update(shards)
        return chosen, covered

    def _present(self) -> list[Shard]:
        names = (Shard.of_name(entry.name) for entry in os.scandir(self.path))
        shards = [(shard, len(self.grid.within(shard))) for shard in names if shard is not None]
        return [shard for shard, count in shards if count == 1 or (count and self.kind == STATISTICS)]

    def superfluous(self) -> list[Shard]:
        """Files of statistics whose trajectories are in other files, too."""
        chosen, covered = self._disjoint()
        others = set(self._present()).difference(chosen)
        return [one for one in others if covered.issuperset(self.grid.within(one))]

    def is_whole(self, shard: Shard) -> bool:
        """Whether the file of a shard ends in a seal; `fault` says whether the seal is right."""
        return sealing.ends_in_seal(self.file(shard))

    def fault(self, shard: Shard) -> str:
        """What is wrong with the file of a shard, which is read as a whole; empty if nothing is."""
        path, classes = self.file(shard), self.classes[shard.class_start : shard.class_stop]
        try:
            if self._good and members.resembles(
                path, self._good[0], classes, range(shard.sample_start, shard.sample_stop),
                lambda settings: members.check_plan(path, settings, self.plan_sha256),
            ):  # fmt: skip
                return ""
            with reading.open_file(path) as dataset:
                self._check_member(shard, dataset)
            if not self._good:
                self._good.append(members.pattern(path))
        except ArchiveError as error:
            return str(error)
        except (OSError, RuntimeError, LookupError, ValueError):  # it has no pattern, so each is opened
            pass
        return ""

    @cached_property
    def _good(self) -> list[members.Pattern]:
        """The pattern of a shard that was opened and found good."""
        return []

    def _check_member(self, shard: Shard, dataset: xr.Dataset) -> None:
        members.check_plan(self.file(shard), str(dataset.attrs["settings"]), self.plan_sha256)
        schema.validate(dataset, self.kind)
        same = dataset["class_label"].values.tolist() == self.classes[shard.class_start : shard.class_stop]
        samples = np.arange(shard.sample_start, shard.sample_stop)
        if self.kind == STATISTICS:
            counts = dataset["trajectories"].values
            same = same and parse_json(str(dataset.attrs["settings"])).get("shard") == shard.name
            same = same and bool((counts == len(samples)).all())
        else:
            same = same and np.array_equal(dataset["sample"].values, samples)
        if not same:
            raise ArchiveError(f"{shard.name} holds other trajectories than its name says")

    def missing(self, there: Iterable[Shard] | None = None) -> list[Shard]:
        """The shards that are not there, in order.

        Parameters
        ----------
        there : iterable of Shard, optional
            What is there; by default what the files that end in a seal hold.
        """
        files = (file for file in self.files() if self.is_whole(file)) if there is None else there
        done = {shard for file in files for shard in self.grid.within(file)}
        return [shard for shard in self.grid.shards if shard not in done]

    def open(self) -> xr.Dataset:
        """All shards as one lazy dataset, or their statistics added up; of a run that is not finished those of the
        samples that all classes have.

        Raises
        ------
        ArchiveError
            If no samples are there for all classes, or the first shard is damaged.

        Warns
        -----
        SpecentWarning
            If shards are missing.
        """
        missing = self.missing()
        incomplete = {(shard.sample_start, shard.sample_stop) for shard in missing}
        cuts = self.grid.sample_cuts
        spans = [span for span in itertools.pairwise(cuts) if span not in incomplete]
        count = len(self.grid.shards)
        done = f"{count - len(missing)} of {count} shards"
        if not spans:
            raise ArchiveError(
                f"path={str(self.path)!r}: {done} are there, and no samples of every class; {missing[0].name} is the "
                "first that is missing. Run it again to go on, or open single shards"
            )
        if missing:
            warnings.warn(
                f"path={str(self.path)!r}: {done} are there; opened are {sum(b - a for a, b in spans)} samples of "
                f"every class, of {cuts[-1]}",
                SpecentWarning,
                stacklevel=3,
            )
        result = self._summed(spans) if self.kind == STATISTICS else self._lazy(spans)
        try:
            self._refuse_other_attributes(result)
            described = result.assign_attrs(self.attributes)
            schema.validate(described, self.kind)
        except SpecentError as error:
            raise ArchiveError(
                f"path={str(self.path)!r}: {RECORD} and the shards do not fit together: {error}"
            ) from error
        return described

    def _refuse_other_attributes(self, result: xr.Dataset) -> None:
        """Refuse attributes that say something else of how the numbers came about than the shards say themselves."""
        for name in _DECISIVE:
            here, there = self.attributes.get(name), result.attrs.get(name)
            if type(here) is not type(there) or here != there:
                raise ArchiveError(
                    f"the attribute {name} is {brief(here)} in {RECORD} and {brief(there)} in the shards; restore it"
                )

    def _summed(self, spans: list[tuple[int, int]]) -> xr.Dataset:
        starts = {start for start, _ in spans}
        needed = {shard for shard in self.grid.shards if shard.sample_start in starts}
        for _ in range(_ATTEMPTS):
            # a file of several shards holds some classes of the same samples, or all classes
            files = [file for file in self.files() if file.sample_start in starts and self.is_whole(file)]
            if needed.issubset(shard for file in files for shard in self.grid.within(file)):
                try:
                    return summed(self.read_sums(files))
                except ArchiveError:
                    if all(self.file(file).exists() for file in files):
                        raise
        raise ArchiveError(f"path={str(self.path)!r}: a run is adding up its files; open it again in a moment")

    def read_sums(self, files: Iterable[Shard]) -> Iterator[xr.Dataset]:
        """The statistics in some files, one after the other, each verified."""
        for file in files:
            with reading.open_file(self.file(file)) as part:
                self._check_member(file, part)
                yield part

    def _lazy(self, spans: list[tuple[int, int]]) -> xr.Dataset:
        first = next(shard for shard in self.grid.shards if (shard.sample_start, shard.sample_stop) == spans[0])
        with reading.open_file(self.file(first)) as template:
            self._check_member(first, template)
        samples = np.concatenate([np.arange(*span) for span in spans])
        chunks = {"class_label": np.diff(self.grid.class_cuts), "sample": np.diff(spans)[:, 0]}
        variables = {}
        for name, variable in template.data_vars.items():
            dims = tuple(map(str, variable.dims))
            blocks = tuple(tuple(np.ravel(chunks.get(dim, template.sizes[dim])).tolist()) for dim in dims)
            stored = _Stored(self, str(name), dims, tuple(map(sum, blocks)), variable.dtype, spans)
            token = f"{name}-{sha256(f'{self.plan_sha256} {self.path} {spans}'.encode())}"
            array = da.from_array(  # type: ignore[no-untyped-call]
                stored, blocks, name=token, fancy=False, meta=np.empty((0,) * len(dims), variable.dtype)
            )
            variables[name] = xr.Variable(dims, array, variable.attrs)
        prior = dict(zip(template["candidate"].values.tolist(), template["candidate_prior"].values, strict=True))
        of_class = {"class_label": self.classes, "label_prior": [prior[name] for name in self.classes]}
        coords = {name: coord.variable for name, coord in template.coords.items() if name not in (*of_class, "sample")}
        for name, values in of_class.items():
            coords[name] = xr.Variable("class_label", values, template[name].attrs)
        coords["sample"] = xr.Variable("sample", samples, template["sample"].attrs)
        return xr.Dataset(variables, coords, template.attrs)


class _Stored:
    """One variable of all shards, as an array whose parts are read when they are used."""

    def __init__(
        self, folder: RunFolder, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype: np.dtype[Any],
        spans: list[tuple[int, int]],
    ) -> None:  # fmt: skip
        self.folder, self.name, self.dims, self.shape, self.dtype = folder, name, dims, shape, dtype
        self.spans, self.ndim = spans, len(shape)

    def __getitem__(self, key: tuple[slice | int, ...]) -> np.ndarray:
        wanted = [np.atleast_1d(np.arange(size)[part]) for size, part in zip(self.shape, key, strict=True)]
        if not all(map(len, wanted)):
            return np.empty([len(part) for part in wanted], self.dtype)
        low = [int(part.min()) for part in wanted]
        # what lies between the ends is read whole, and thinned out or turned round then
        region = [range(start, int(part.max()) + 1) for start, part in zip(low, wanted, strict=True)]
        pieces = list(self._pieces(region))
        if len(pieces) == 1:
            values = self._read(pieces[0][0], pieces[0][1])
        else:
            values = np.empty([len(part) for part in region], self.dtype)
            for shard, own, target in pieces:
                values[target] = self._read(shard, own)
        whole = all(len(part) == len(span) and part[0] == span[0] for part, span in zip(wanted, region, strict=True))
        chosen = values if whole else values[np.ix_(*[part - i for part, i in zip(wanted, low, strict=True)])]
        return chosen.squeeze(tuple(i for i, part in enumerate(key) if not isinstance(part, slice)))

    def _pieces(self, region: Sequence[range]) -> Iterator[tuple[Shard, Region, Region]]:
        """Shards that hold a part of a region: which part of theirs it is, and which of the region."""
        wanted = dict(zip(self.dims, region, strict=True))
        class_cuts = self.folder.grid.class_cuts
        sample_cuts = [0, *itertools.accumulate(stop - start for start, stop in self.spans)]
        # of thousands of shards a block of the array needs one
        for i in _overlapping(sample_cuts, wanted["sample"]):
            for k in _overlapping(class_cuts, wanted["class_label"]):
                held = {
                    "class_label": range(class_cuts[k], class_cuts[k + 1]),
                    "sample": range(sample_cuts[i], sample_cuts[i + 1]),
                }
                own, target = [], []
                for dim, part in wanted.items():
                    there = held.get(dim, range(part.stop))
                    first, last = max(part.start, there.start), min(part.stop, there.stop)
                    own.append(slice(first - there.start, last - there.start))
                    target.append(slice(first - part.start, last - part.start))
                yield Shard(class_cuts[k], class_cuts[k + 1], *self.spans[i]), tuple(own), tuple(target)

    def _read(self, shard: Shard, region: Region) -> np.ndarray:
        """A part of the variable of a shard, whose seal is checked when this process reads it for the first time."""
        path = self.folder.file(shard)
        held = {"class_label": shard.class_stop - shard.class_start, "sample": shard.sample_stop - shard.sample_start}
        shape = tuple(held.get(dim, size) for dim, size in zip(self.dims, self.shape, strict=True))
        try:
            state = path.stat()
            members.check_once(path, self.folder.plan_sha256, (state.st_ino, state.st_size, state.st_mtime_ns))
            with opened(path) as file:
                variable = file[self.name]
                if (variable.dimensions, variable.shape, variable.dtype) != (self.dims, shape, self.dtype):
                    raise ArchiveError(f"path={str(path)!r}: {self.name} is not as in the other shards")
                variable.set_auto_maskandscale(False)
                return np.asarray(variable[region])
        # netCDF4 knows attributes that are gone, or a group in the place of a variable, as AttributeError
        except (OSError, RuntimeError, LookupError, AttributeError) as error:
            raise ArchiveError(f"path={str(path)!r} cannot be read ({error}); carry the run out again") from error


def _overlapping(cuts: Sequence[int], wanted: range) -> range:
    """Which of the intervals between cuts hold a part of a range that is not empty.

    Examples
    --------
    >>> _overlapping([0, 10, 20, 30], range(5, 20))
    range(0, 2)
    """
    return range(bisect_right(cuts, wanted.start) - 1, bisect_left(cuts, wanted.stop))
