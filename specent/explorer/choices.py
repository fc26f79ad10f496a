"""The choices of a reader as widgets, which say what was chosen and show what is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import panel as pn

from specent.explorer.cards import paragraph, text_pane
from specent.explorer.components import Groups
from specent.explorer.layout import WIDGETS
from specent.explorer.naming import groups_of, of_groups, partition_text
from specent.explorer.source import Explored
from specent.explorer.state import State
from specent.explorer.views import axis_choices, level_text
from specent.partitions import Partition

ALL = "all, to compare them"
_NONE = "(another)"

Change = Callable[..., None]


class Choices:
    """Widgets of everything that can be chosen.

    Parameters
    ----------
    source : Explored
        What is explored.
    change : callable
        Called with the fields of the state that a reader changed.
    """

    def __init__(self, source: Explored, change: Change) -> None:
        self.source, self._change, self._showing = source, change, False
        self.text = self._widget(pn.widgets.TextInput, label="Partition, such as: cat, dog | car")
        self.text.placeholder = _example(source)
        self.problem = text_pane(kind="alert")
        self.stored = self._select("Partitions of the archive", [_NONE, *source.partition_names])
        self.groups = Groups(labels=source.labels, visible=source.analyses, sizing_mode="stretch_width", margin=(5, 10))
        self.guidance = self._several("Guidance", source.names("guidance"))
        self.run = self._several("Run", source.names("run"))
        self.estimator = self._widget(pn.widgets.CheckBoxGroup, label="Estimators", options=source.estimators)
        self.axis = self._select("Noise axis", axis_choices(source))
        self.level = self._widget(
            pn.widgets.IntSlider, label="Noise level", start=0, end=len(source.log_snr) - 1, show_value=False
        )
        self.pinned = self._widget(pn.widgets.Checkbox, label="Pin the noise level while the pointer moves")
        self.class_label = self._select("Trajectory of class", source.labels if self._pictured else [])
        self.sample = self._widget(pn.widgets.IntInput, label="Sample", start=0, value=0)
        self.theme = self._select("Colours", {"as the system has them": "", "light": "light", "dark": "dark"})
        self._listen()

    @property
    def _pictured(self) -> bool:
        return self.source.kind == "trajectories"

    def panel(self) -> Any:
        """All widgets, in the order in which they are reached by the keyboard."""
        parts = [self.text, self.problem]
        parts += [self.stored] if self.source.partition_names else []
        parts += [self.groups] if self.source.analyses else []
        parts += [one for one in (self.guidance, self.run) if len(one.options) > 1]
        if len(self.source.estimators) > 1:
            parts += [text_pane("Estimators", "status", align="start"), self.estimator]
        parts += [self.axis, self.level, self.pinned]
        parts += [self.class_label, self.sample] if self._pictured else []
        return pn.Column(*parts, self.theme, sizing_mode="stretch_width", margin=0)

    def show(self, state: State, partition: Partition | str) -> None:
        """Show a state, in which nothing is left empty."""
        with self._quietly():
            self.text.value = state.partition
            name = partition if isinstance(partition, str) else partition.name
            self.stored.value = name if name in self.stored.options else _NONE
            if isinstance(partition, Partition) and of_groups(self.groups.groups, self.source.labels) != partition:
                self.groups.groups = groups_of(partition)
            self.guidance.value = state.guidance[0] if len(state.guidance) == 1 else ALL
            self.run.value = state.run[0] if len(state.run) == 1 else ALL
            self.estimator.value = list(state.estimator)
            self.axis.value, self.theme.value, self.pinned.value = state.axis, state.theme, state.pinned
            self.show_level(state.level)
            if self._pictured:
                self.class_label.value, self.sample.value = state.class_label, state.sample
        self.complain("")

    def show_level(self, level: float | None) -> None:
        """Show a noise level."""
        if level is not None:
            with self._quietly():
                self.level.value = int(abs(self.source.log_snr - level).argmin())
                self.level.label = f"Noise level {level_text(self.source, level)}"

    def complain(self, words: str) -> None:
        """Say under the partition what is wrong with it."""
        self.problem.object = paragraph(words, "alert", role="alert") if words else ""

    def grown(self, source: Explored) -> None:
        """Go on with a run of which more is there."""
        self.source = source

    def _listen(self) -> None:
        self._on(self.text, lambda value: {"partition": value})
        self._on(self.stored, lambda value: {} if value == _NONE else {"partition": value})
        self.groups.param.watch(self._grouped, "groups")
        self._on(self.guidance, lambda value: {"guidance": self._names("guidance", value)})
        self._on(self.run, lambda value: {"run": self._names("run", value)})
        self._on(self.estimator, lambda value: {"estimator": tuple(value)})
        self._on(self.axis, lambda value: {"axis": value})
        self._on(self.level, lambda value: {"level": float(self.source.log_snr[value])})
        self._on(self.pinned, lambda value: {"pinned": bool(value)})
        self._on(self.class_label, lambda value: {"class_label": value})
        self._on(self.sample, lambda value: {"sample": int(value or 0)})
        self._on(self.theme, lambda value: {"theme": value})

    def _on(self, widget: Any, change: Callable[[Any], dict[str, Any]]) -> None:
        def changed(event: Any) -> None:
            fields = {} if self._showing else change(event.new)
            if fields:
                self._change(**fields)

        widget.param.watch(changed, "value")

    def _grouped(self, event: Any) -> None:
        if self._showing:
            return
        partition = of_groups(event.new, self.source.labels)
        if partition is not None:
            self._change(partition=partition_text(partition, self.source.labels, self.source.stored))

    def _names(self, dim: str, value: str) -> tuple[str, ...]:
        return tuple(self.source.names(dim)) if value == ALL else (value,)

    @contextmanager
    def _quietly(self) -> Any:
        before, self._showing = self._showing, True
        try:
            yield
        finally:
            self._showing = before

    def _select(self, name: str, options: Any) -> Any:
        return self._widget(pn.widgets.Select, label=name, options=options)

    def _several(self, name: str, names: list[str]) -> Any:
        return self._select(name, [*names, ALL] if len(names) > 1 else names)

    @staticmethod
    def _widget(kind: Any, **options: Any) -> Any:
        return kind(sizing_mode="stretch_width", stylesheets=[WIDGETS], **options)


def _example(source: Explored) -> str:
    few = source.labels[:3]
    return f"{', '.join(few[:-1])} | {few[-1]}" if len(few) > 2 else "full"
