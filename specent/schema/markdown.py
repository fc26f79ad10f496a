"""The registry as tables, for the page of the documentation that describes the file format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from specent.schema.registry import (
    ATTRIBUTES,
    CONVENTIONS,
    COORDINATES,
    DIMENSIONS,
    KIND_ATTRIBUTES,
    KINDS,
    MAKERS,
    SCHEMA,
    Variable,
)


def as_markdown() -> str:
    """The registry as tables in Markdown, for the page of the documentation that describes the format.

    Examples
    --------
    >>> print(as_markdown().splitlines()[0])
    Schema version 2, conventions CF-1.11.
    """

    def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
        cells = [tuple(head.split(",")), tuple("---" for _ in head.split(",")), *rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)

    def rows(variables: Iterable[Variable]) -> list[tuple[str, ...]]:
        return [
            (
                f"`{v.name}`",
                ", ".join(f"[{dim}]" if dim in v.optional else dim for dim in v.dims),
                v.dtype,
                v.units,
                v.long_name + (f" (axis: attribute `{v.axis}`)" if v.axis else ""),
                "yes" if v.essential else "no",
            )
            for v in variables
        ]

    def attributes(meanings: Mapping[str, str]) -> str:
        return table("attribute,meaning", [(f"`{name}`", text) for name, text in meanings.items()])

    head = "name,dimensions,type,units,meaning,required"
    parts = [
        f"Schema version {SCHEMA}, conventions {CONVENTIONS}.",
        "Dimensions in brackets may be absent; `...` stands for (feature) or (channel, y, x).",
        "## Dimensions",
        table("dimension,meaning", [(f"`{name}`", text) for name, text in DIMENSIONS.items()]),
        "## Coordinates",
        "Those required are so wherever their dimension is.",
        table(head, rows(COORDINATES.values())),
        "## Attributes of every file",
        attributes(ATTRIBUTES),
    ]
    for kind, variables in KINDS.items():
        parts += [f"## Kind `{kind}`", f"{MAKERS[kind].capitalize()}.", table(head, rows(variables.values()))]
        parts += ["Further attributes:", attributes(KIND_ATTRIBUTES[kind])]
    return "\n\n".join(parts) + "\n"
