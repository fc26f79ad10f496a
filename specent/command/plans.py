"""The command ``specent run PLAN.toml``: a plan file carried out into a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cyclopts import App

from specent.command.interface import OPTIONS
from specent.errors import visible

SUFFIXES = (".toml", ".json")
"""How the name of a plan file ends."""


def plan_app(name: str) -> App:
    """Command line of one plan file.

    Parameters
    ----------
    name : str
        The file, as it was typed.

    Returns
    -------
    App
        Carries the plan out and prints how far the run is.
    """
    command_line = _command_line(name)

    @command_line.default
    def carry_out(
        *,
        out: Path,
        samples: int | None = None,
        seed: int | None = None,
        shard: int | None = None,
        device: str = "cpu",
        batch_size: int | None = None,
        threads: int | None = None,
        compiled: bool = False,
        scheduler: str | None = None,
    ) -> None:
        """Carry a plan out in shards, into a run folder. Whatever ended it, the same command goes on with it; more
        samples are added to those that are there. `specent status RUN` says how far it is.

        Parameters
        ----------
        out : Path
            The run folder: new, empty, or of the same plan.
        samples : int
            Trajectories per class; by default as many as the plan says.
        seed : int
            Seed of the random streams, instead of that of the plan.
        shard : int
            Samples of each class in a shard, for a new folder; by default 50 or more.
        device : str
            cpu or cuda.
        batch_size : int
            Trajectories at a time; the numbers do not depend on it.
        threads : int
            Threads of the processor; by default as many as the network is worth.
        compiled : bool
            Run the network through torch.compile.
        scheduler : str
            Address of a Dask scheduler whose workers sample the shards, or local for processes of this machine.
        """
        from specent import archive, runs
        from specent.command.prices import print_price

        changes: dict[str, Any] = {"samples": samples, "seed": seed}
        plan = runs.Plan.read(name)
        plan = replace(plan, **{key: value for key, value in changes.items() if value is not None})
        folder = runs.run(
            plan,
            out,
            client=scheduler,
            shard=shard,
            device=device,
            batch_size=batch_size,
            threads=threads,
            compiled=compiled,
        )
        print("\n".join(map(visible, str(archive.status(folder)).splitlines())))
        print_price(Path(folder))

    return command_line


def _command_line(name: str) -> App:
    """An app with the options that every one has."""
    command_line = App(
        name=f"specent run {visible(name)}",
        usage=f"Usage: specent run {visible(name)} --out RUN [--flag value ...]",
        help_format="plaintext",
        version_flags=(),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    command_line["--help"].group = OPTIONS
    return command_line
