"""What a choice changes on the page is sent together, when all of it has changed."""

from __future__ import annotations

from typing import Any

import pytest
from bokeh.document import Document
from bokeh.models import Div

from specent.explorer.serving import _in_one_message


def test_changes_are_sent_when_the_function_has_ended() -> None:
    document, part, sent = Document(), Div(text="before"), []
    document.add_root(part)
    document.on_change(lambda event: sent.append(event))

    def change() -> None:
        part.text = "between"
        part.text, part.width = "after", 300
        assert sent == []

    _in_one_message(document, change)
    assert {event.attr: event.new for event in sent} == {"text": "after", "width": 300}


def test_an_error_does_not_hold_back_later_changes() -> None:
    document, part = Document(), Div(text="before")
    document.add_root(part)
    sent: list[Any] = []
    document.on_change(lambda event: sent.append(event.new))

    def fail() -> None:
        part.text = "half"
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        _in_one_message(document, fail)
    part.text = "later"
    assert sent == ["half", "later"]
