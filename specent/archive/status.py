"""How far a run is."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from specent.archive import reading
from specent.archive.run_folder import SET_ASIDE, STATISTICS, RunFolder
from specent.archive.run_lock import is_held
from specent.arguments import flag
from specent.errors import ArchiveError

# of a few hundred workers that write at once, two bursts
_RECENT = 1025
_PAUSE = 5
# seconds from the sampling of a shard to its file on a slow disk; what is later was copied
_LATE = 120


@dataclass(frozen=True)
class RunStatus:
    """How far a run is; printed it says so in words.

    Attributes
    ----------
    folder : str
        The folder.
    done, missing : int
        Shards that are there, and that are not.
    damaged : tuple of (str, str)
        Shards that are there and damaged, with what is wrong, if they were read.
    set_aside : int
        Damaged shards that were found earlier, and sampled again.
    trajectories : int
        Trajectories in the shards that are there, for every guidance setting.
    running : bool
        Whether a process is carrying the run out now.
    rate : float or None
        Shards an hour, from the times at which the last ones were written; None if that is unknown, as in a copy whose
        files have new times.
    """

    folder: str
    done: int
    missing: int
    damaged: tuple[tuple[str, str], ...]
    set_aside: int
    trajectories: int
    running: bool
    rate: float | None

    @property
    def hours_left(self) -> float | None:
        """How long the rest takes at this rate, in hours; None if that is unknown."""
        return self.missing / self.rate if self.rate else None

    def __str__(self) -> str:
        total = self.done + self.missing + len(self.damaged)
        state = "running" if self.running else "finished" if self.done == total else "not running"
        lines = [
            f"{self.folder}: {state}",
            f"  done      {self.done} of {total} shards, {self.trajectories} trajectories for every guidance setting",
            f"  missing   {self.missing}",
            f"  damaged   {len(self.damaged)}" + (f", {self.set_aside} set aside before" if self.set_aside else ""),
        ]
        lines += [f"    {fault}" for _, fault in self.damaged]
        if self.missing and self.rate is not None and self.hours_left is not None:
            lines.append(f"  rate      about {_whole(self.rate)} shards an hour, {_duration(self.hours_left)} left")
        if self.missing and not self.running:
            lines.append("  run it again to go on")
        return "\n".join(lines)


def status(folder: str | os.PathLike[str], *, verify: bool = False) -> RunStatus:
    """How far the run of a folder is; the folder may be being written.

    Parameters
    ----------
    folder : str or path-like
        The run folder.
    verify : bool
        Read every shard and check its seal; otherwise only their ends are looked at.

    Returns
    -------
    RunStatus

    Raises
    ------
    SpecentError
        If it is no run folder.

    Examples
    --------
    >>> status("nowhere")
    Traceback (most recent call last):
    specent.errors.ArchiveError: path='nowhere' does not exist; check the name and the folder
    """
    there = RunFolder.read(folder)
    reads = flag(verify, "verify")
    done, damaged, times = [], [], []
    for shard in there.files():
        file = there.file(shard)
        try:
            written = file.stat().st_mtime
        except OSError:
            continue
        fault = there.fault(shard) if reads else "" if there.is_whole(shard) else f"{file.name} was cut short"
        if fault:
            damaged.append((shard.name, fault))
        else:
            done += there.grid.within(shard)
            times.append((written, file))
    # sums of statistics are written when they are added up, long after their first sample
    recent = sorted(times) if there.kind == STATISTICS else _originals(sorted(times))
    aside = there.path / SET_ASIDE
    return RunStatus(
        folder=str(folder),
        done=len(done),
        missing=len(there.grid.shards) - len(done) - len(damaged),
        damaged=tuple(damaged),
        set_aside=len(list(aside.glob("*.nc"))),
        trajectories=sum(shard.trajectories for shard in done),
        running=is_held(there.path),
        rate=_rate([written for written, _ in recent]),
    )


def _originals(files: list[tuple[float, Path]]) -> list[tuple[float, Path]]:
    """The last files but those that were copied here: the time of a copy is not that at which it was sampled.

    What is copied is there before the run goes on, so files are looked into by bisection.
    """
    recent = files[-_RECENT:]
    return recent[bisect_left(recent, True, key=lambda one: not _is_copy(*one)) :]


def _is_copy(written: float, file: Path) -> bool:
    """Whether a file is younger than what is in it says."""
    try:
        with reading.open_file(file, verify=False) as dataset:
            sampled = datetime.fromisoformat(str(dataset.attrs["history"]).split()[0]).timestamp()
    except (ArchiveError, OSError, RuntimeError, KeyError, LookupError, ValueError):
        return False
    return written > sampled + _LATE


def _rate(times: list[float]) -> float | None:
    """Shards an hour from the last ones written: their number over the time they took, but for pauses.

    Several workers write in bursts, so the usual distance says nothing; but the waits between bursts recur, and what is
    many times as long as the third longest of them is a pause.

    Examples
    --------
    >>> bursts = [600.0 * burst + worker for burst in range(5) for worker in range(4)]
    >>> round(_rate(bursts) or 0)
    28
    """
    gaps = [later - earlier for earlier, later in itertools.pairwise(times[-_RECENT:])]
    usual = sorted(gaps)[-3:][0] if gaps else 0.0
    worked = [gap for gap in gaps if gap <= _PAUSE * usual or usual <= 0]
    return 3600 * len(worked) / sum(worked) if sum(worked) > 0 else None


def _whole(rate: float) -> str:
    """A rate in three digits or whole numbers, without an exponent.

    Examples
    --------
    >>> _whole(7370.4), _whole(6.0), _whole(0.0526)
    ('7370', '6', '0.0526')
    """
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.3g}"


def _duration(hours: float) -> str:
    """A duration in words.

    Examples
    --------
    >>> _duration(0.003), _duration(0.5), _duration(30.0), _duration(100.0)
    ('less than a minute', '30 minutes', '30.0 hours', '4.2 days')
    """
    if hours < 1 / 60:
        return "less than a minute"
    if hours < 1:
        return f"{60 * hours:.0f} minutes"
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
