"""The shards of a run as work: what there is to do, and how one of them is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from specent import archive, schema
from specent.archive.run_folder import RunFolder
from specent.archive.shards import Shard
from specent.errors import ModelError
from specent.runs.keeping import Keeping
from specent.sampling.sampler import Execution, Sampler
from specent.sampling.setup import Setup


@dataclass(frozen=True, eq=False)
class Workload:
    """Shards of a plan that are to be sampled into its folder.

    Attributes
    ----------
    kept : Keeping
        What is kept of the run, and with it the whole run and how it is computed.
    folder : RunFolder
        Where the shards go.
    shards : sequence of Shard
        The shards that are not there yet, in the order in which they are begun.
    """

    kept: Keeping
    folder: RunFolder
    shards: Sequence[Shard]

    @property
    def setup(self) -> Setup:
        """The whole run."""
        return self.kept.setup

    @property
    def execution(self) -> Execution:
        """How it is computed."""
        return self.kept.execution

    @property
    def trajectories(self) -> int:
        """How many trajectories the shards hold, for every guidance setting."""
        return sum(shard.trajectories for shard in self.shards)

    def evaluations(self, shard: Shard | None = None) -> int:
        """How many states the network denoises for one shard, or for all of them."""
        each = self.setup.evaluations // self.setup.trajectories
        return each * (self.trajectories if shard is None else shard.trajectories)


@dataclass(frozen=True)
class ShardOutcome:
    """What came of a shard.

    Attributes
    ----------
    shard : Shard
        Which one.
    failure : str
        Why it could not be sampled; empty if it is there.
    """

    shard: Shard
    failure: str = ""


def try_shard(
    sampler: Sampler, kept: Keeping, folder: RunFolder, shard: Shard, bar: tqdm[Any], looks: bool
) -> ShardOutcome:
    """Sample a shard into its folder; a network that fails costs this shard and no other."""
    try:
        sample_shard(sampler, kept, folder, shard, bar, looks)
    except ModelError as error:
        return ShardOutcome(shard, str(error))
    return ShardOutcome(shard)


def sample_shard(sampler: Sampler, kept: Keeping, folder: RunFolder, shard: Shard, bar: tqdm[Any], looks: bool) -> None:
    """Sample a shard and write it into its folder, whole or not at all.

    Parameters
    ----------
    sampler : Sampler
        The run, ready.
    kept : Keeping
        What is kept of its trajectories.
    folder : RunFolder
        Where the shard goes.
    shard : Shard
        Which trajectories.
    bar : tqdm
        Counts the evaluations of the network.
    looks : bool
        Whether to warn of a start that tells the labels apart.

    Raises
    ------
    ModelError
        If the network fails.
    ArchiveError
        If the shard cannot be written.
    """
    dataset = kept.sample(sampler, shard, bar, looks)
    dataset = schema.with_settings(dataset, plan_sha256=folder.plan_sha256, shard=shard.name)
    # a worker that was given up for lost may have written the same shard since; it holds the same numbers
    archive.write(dataset, folder.file(shard), overwrite=True)
