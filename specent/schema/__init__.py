"""The data contract: one registry of kinds, dimensions, coordinates, variables and attributes, and its rules.

It feeds validation, the attributes of every output, the axis labels of the figures, ``specent describe`` and the
documentation of the file format. Files follow CF-1.11; units are read by UDUNITS, where ``bit`` is known and
``nat`` is not: quantities in natural logarithms have the unit ``1`` and say so in their ``long_name``.
"""

from __future__ import annotations

from specent.schema.building import finish, plain_attributes, versions, with_settings
from specent.schema.compacting import BITS as BITS
from specent.schema.compacting import compact as compact
from specent.schema.markdown import as_markdown
from specent.schema.migration import migrate
from specent.schema.profiles import Curve, build_profiles
from specent.schema.reading import need
from specent.schema.registry import (
    ATTRIBUTES,
    CONVENTIONS,
    COORDINATES,
    DIMENSIONS,
    KIND_ATTRIBUTES,
    KINDS,
    NULL,
    SCHEMA,
    Variable,
)
from specent.schema.validation import ordered, validate

__all__ = [
    "ATTRIBUTES",
    "CONVENTIONS",
    "COORDINATES",
    "DIMENSIONS",
    "KINDS",
    "KIND_ATTRIBUTES",
    "NULL",
    "SCHEMA",
    "Curve",
    "Variable",
    "as_markdown",
    "build_profiles",
    "compact",
    "finish",
    "migrate",
    "need",
    "ordered",
    "plain_attributes",
    "validate",
    "versions",
    "with_settings",
]
