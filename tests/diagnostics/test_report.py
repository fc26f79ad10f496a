"""The report: what it says and how it is read."""

import pytest

from specent.diagnostics import Line, Report
from specent.errors import SpecentError

LINES = (
    Line("finite", "pass", "all is finite"),
    Line("time", "warn", "x " * 100, "poor"),
    Line("labels", "fail", "a is b", "they are swapped", "swap them"),
)


def test_a_report_is_good_unless_a_line_fails() -> None:
    report = Report("mine", LINES, 12)
    assert not report.ok
    assert report.failed == ("labels",)
    assert Report("mine", LINES[:2], 12).ok
    assert [line.name for line in report] == ["finite", "time", "labels"]


def test_a_line_is_found_by_its_name() -> None:
    report = Report("mine", LINES, 12)
    assert report["labels"].hint == "swap them"
    with pytest.raises(SpecentError, match="'label' is no line of this report; it has finite, time, labels"):
        report["label"]


def test_the_text_holds_every_verdict_and_fits_the_page() -> None:
    rows = str(Report("mine", LINES, 12)).splitlines()
    assert rows[0] == "mine: 1 pass, 1 warn, 1 fail (12 network evaluations)"
    assert max(map(len, rows)) <= 118
    assert [row.split()[0] for row in rows[1:] if row[0] != " "] == ["pass", "warn", "fail"]
    assert rows[-2:] == [" " * 24 + "cause: they are swapped", " " * 24 + "hint:  swap them"]
