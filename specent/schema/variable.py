"""What one variable of an archive must look like: a row of the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """What one variable of an archive must look like.

    `dims` are required, in this order; those in `optional` may be absent. ``...`` stands for the dimensions of one
    sample, (feature) or (channel, y, x). The type ``float`` is either of float32 and float64. An `essential` variable
    must be there. `axis` is the attribute of the dataset that names the axis in which the number is given. Where
    `missing` is true, NaN stands for a value that does not exist. `bits` is what
    `specent.schema.compact` keeps of the mantissa; 0 leaves the variable as it is.
    """

    name: str
    dims: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    essential: bool = True
    optional: tuple[str, ...] = ()
    axis: str = ""
    missing: bool = False
    bits: int = 0

    def attributes(self, dataset_attributes: Mapping[str, object]) -> dict[str, str]:
        """Units and long_name, with the axis in which the number is given."""
        axis = f" (axis: {dataset_attributes[self.axis]})" if self.axis in dataset_attributes else ""
        return {"units": self.units, "long_name": self.long_name + axis}


def bounded(
    name: str, dims: tuple[str, ...], units: str, long_name: str, axis: str = "", missing: bool = False, *,
    essential: bool = True, optional: tuple[str, ...] = ("run", "dimension"),
) -> list[Variable]:  # fmt: skip
    """A variable with its lower and its upper bound."""
    return [
        Variable(name + suffix, dims, "float64", units, bound + long_name, essential, optional, axis, missing)
        for suffix, bound in (("", ""), ("_lower", "lower bound of the "), ("_upper", "upper bound of the "))
    ]
