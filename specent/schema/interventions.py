"""The variables of the kind ``interventions``: what becomes of a trajectory that goes on with fresh noise."""

from __future__ import annotations

from specent.schema.variable import Variable, bounded

_OPTIONAL = ("run",)
_TURN = ("run", "mover", "time")


def interventions() -> list[Variable]:
    """The rows of the registry for this kind."""

    def numbers(name: str, dims: tuple[str, ...], text: str, units: str = "1") -> list[Variable]:
        return bounded(name, dims, units, text, essential=False, optional=_OPTIONAL)

    def number(name: str, dims: tuple[str, ...], text: str, units: str = "1", essential: bool = False) -> Variable:
        return Variable(name, dims, "float64", units, text, essential, _OPTIONAL)

    same = "probability that a continuation ends on the side of its origin"
    return [
        number(
            "kernel", (*_TURN, "side", "end_side"), "probability that a continuation ends on a side, given its origin",
            essential=True,
        ),
        number(
            "kernel_standard_error", (*_TURN, "side", "end_side"),
            "standard error of the probability that a continuation ends on a side, given its origin",
        ),
        *numbers("phi", _TURN, same),
        number("phi_standard_error", _TURN, f"standard error of the {same}"),
        *numbers("eigenvalue", (*_TURN, "rank"), "eigenvalue of the transition kernel"),
        number("entropy_least", _TURN, "least conditional entropy of the side that goes with phi", "bit"),
        number("entropy_most", _TURN, "largest conditional entropy of the side that goes with phi", "bit"),
        *numbers("basin", _TURN, f"{same}, without fresh noise"),
        *numbers("phi_at_steps", (*_TURN, "steps"), f"{same}, at so many steps"),
        number("step_error", _TURN, "change of phi if the fewest steps are left out of its extrapolation"),
        *numbers("posterior_phi", ("run", "time"), "phi that the posterior at the turn predicts"),
        *numbers("disagreement", _TURN, "phi less that which the posterior at the turn predicts"),
        number("disagreement_standard_error", _TURN, "standard error of the disagreement of phi and posterior"),
    ]  # fmt: skip
