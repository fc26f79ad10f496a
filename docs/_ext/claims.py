"""Numbers that the documentation claims, each beside its exact value and beside what was computed just now."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Claim:
    """A number as a page prints it, and what it must agree with.

    Parameters
    ----------
    quantity : str
        What it is.
    claimed : str
        The number as it stands on the page.
    page : str
        The file it stands in, seen from the root of the repository.
    exact : float or None
        The value in closed form, by quadrature, or of the data; None where there is only a bound.
    computed : float
        The value that this build computed.
    within : float
        How far the computed value may lie from the exact one and from the claimed one.
    command : str
        What computes it at full size.
    """

    quantity: str
    claimed: str
    page: str
    exact: float | None
    computed: float
    within: float
    command: str

    def __post_init__(self) -> None:
        if self.claimed not in (ROOT / self.page).read_text(encoding="utf-8"):
            raise ValueError(f"{self.quantity}: {self.claimed} does not stand in {self.page}")
        number = float(self.claimed.replace("−", "-").rstrip(" %"))
        for name, other in (("exact", self.exact), ("claimed", number)):
            if other is not None and abs(self.computed - other) > self.within:
                raise ValueError(
                    f"{self.quantity}: {self.computed:.6g} is more than {self.within:g} off the {name} {other:.6g}"
                )


@dataclass
class Claims:
    """A table of claims, which a notebook shows."""

    rows: list[Claim] = field(default_factory=list)

    def add(
        self, quantity: str, claimed: str, page: str, exact: float | None, computed: float, within: float, command: str
    ) -> None:
        """Add a claim; one that does not hold is refused, which ends the build."""
        self.rows.append(Claim(quantity, claimed, page, exact, float(computed), within, command))

    def _repr_html_(self) -> str:
        names = ("quantity", "claimed", "exact", "computed here", "within", "command")
        head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
        lines = []
        for row in self.rows:
            exact = "" if row.exact is None else f"{row.exact:.6g}"
            cells = [row.quantity, row.claimed, exact, f"{row.computed:.6g}", f"{row.within:.1g}"]
            text = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            lines.append(f"<tr>{text}<td><code>{html.escape(row.command)}</code></td></tr>")
        return f'<table class="table dataframe"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'
