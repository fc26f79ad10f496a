"""A state goes into an address and comes back; what an address may hold besides does no harm."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from specent.axes import AXES
from specent.explorer.state import THEMES, State

# lone halves of surrogate pairs cannot be encoded, in an address or a file
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.lists(text, max_size=3).map(tuple)
states = st.builds(
    State,
    partition=text,
    guidance=names,
    run=names,
    estimator=names,
    axis=st.sampled_from(AXES),
    level=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    class_label=text,
    sample=st.integers(0, 10**8) | st.just(-1),
    pinned=st.booleans(),
    theme=st.sampled_from(["", *THEMES]),
)


@given(states)
def test_an_address_holds_the_whole_state(state: State) -> None:
    assert State.of_query(state.to_query()) == state


@given(st.text(max_size=200))
def test_any_address_is_a_state(query: str) -> None:
    state = State.of_query(query)
    assert state.axis in AXES
    assert state.level is None or abs(state.level) < float("inf")


def test_what_cannot_be_read_is_left_out() -> None:
    query = "?axis=colour&level=nan&sample=-4&pinned=yes&theme=neon&guidance=w%3D2&unknown=1"
    assert State.of_query(query) == State(guidance=("w=2",))
    assert State.of_query("?partition=%ff") == State()
