"""Names of version 0.1 that have moved: they work until version 0.3, with a warning that says the new name.

This table is the one place that may name the upper floors of the house from below, and it names them as text.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# documented name of version 0.1 -> its name now; a colon stands before the name of a function or a value in a module
RETIRED = {
    "specent.analysis.clocks": "specent.analysis.rescheduling",
    "specent.analysis.combining": "specent.analysis.combine",
    "specent.analysis.paired": "specent.analysis.differences",
    "specent.analysis.places": "specent.analysis.crossings",
    "specent.analysis.profiles": "specent.analysis.entropy",
    "specent.analysis.rates": "specent.analysis.production",
    "specent.analysis.speciate": "specent.analysis.speciation",
    "specent.analysis.trajectories": "specent.analysis.posterior",
    "specent.checking": "specent.diagnostics",
    "specent.checks": "specent.arguments",
    "specent.cli": "specent.command",
    "specent.coordinates": "specent.schema.coordinates",
    "specent.models:check": "specent:check",
    "specent.models.ddpm_training": "specent.training.ddpm",
    "specent.models.edm2.tiny": "specent.models.edm2.tiny_networks",
    "specent.models:exact_profiles": "specent.exact:profiles",
    "specent.models.pipelines": "specent.models.diffusers",
    "specent.models.pipelines.tiny": "specent.models.diffusers.tiny_pipelines",
    "specent.models.diffusers.tiny": "specent.models.diffusers.tiny_pipelines",
    "specent.models.diffusers.tiny_pipelines:write": "specent.models.diffusers.tiny_pipelines:write_pipeline",
    "specent.models.reference": "specent.models.exact_model",
    "specent.models.training": "specent.training.edm",
    "specent.plotting:check_output": "specent.plotting:figure_path",
    "specent.plotting:differences": "specent.plotting:guidance_effect",
    "specent.plotting.paired": "specent.plotting.guidance_effect",
    "specent.plotting.pictures": "specent.plotting.export",
    "specent.sampling.transitions": "specent.transitions",
}


def install() -> None:
    """Let the import system know the retired modules. Doing it again changes nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # first, because a renamed package would otherwise be loaded a second time under its old name
        sys.meta_path.insert(0, _Finder())


def attribute(package: str, name: str) -> object:
    """What the function ``__getattr__`` of a package answers for a name that it does not have.

    Parameters
    ----------
    package : str
        Name of the package.
    name : str
        Name of the attribute.

    Returns
    -------
    object
        What a retired attribute or module is today; a warning says its new name.

    Raises
    ------
    AttributeError
        If there never was such an attribute.
    """
    new = RETIRED.get(f"{package}:{name}") or RETIRED.get(f"{package}.{name}")
    if new is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    # one for this function, one for __getattr__
    warnings.warn(_message(f"{package}.{name}", new.replace(":", ".")), DeprecationWarning, stacklevel=3)
    module, _, value = new.partition(":")
    return getattr(import_module(module), value) if value else import_module(module)


def successor(name: str) -> str | None:
    """The name that a retired module, or a module within a retired package, has now; None for any other name."""
    parents = name.split(".")
    for depth in range(len(parents), 1, -1):
        head = ".".join(parents[:depth])
        if head in RETIRED:
            return ".".join([RETIRED[head], *parents[depth:]])
    return None


def _message(old: str, new: str) -> str:
    return f"{old} is called {new} since version 0.2; the old name is removed in version 0.3"


class _Finder(MetaPathFinder):
    """Finds retired modules by their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("specent.") or successor(fullname) is None:
            return None
        return ModuleSpec(fullname, _Loader())


class _Loader(Loader):
    """Puts the module of today where the import system looks for the old one."""

    def exec_module(self, module: ModuleType) -> None:
        new = successor(module.__name__)
        assert new is not None
        # warnings do not count the frames of the import system
        warnings.warn(_message(module.__name__, new), DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(new)
